"""The registry function's whole work: one command in, one answer out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everloop.busy_services import busy_services_named
from everloop.registry.commands import decoded
from everloop.registry.refusals import REFUSALS, WriterAnswer, refusal_document
from everloop.registry.store import RegistryStore


def caller_of(invoked_function_arn: str) -> str | None:
    """The alias that was invoked; None for the function itself.

    ``arn:<partition>:lambda:<region>:<account>:function:<name>[:<alias>]``
    """
    parts = invoked_function_arn.split(":")
    return parts[7] if len(parts) == 8 else None


def answer(event: Any, caller: str | None, store_for: Callable[[str], RegistryStore]) -> WriterAnswer:
    """Carry out the command ``event`` of ``caller``.

    Parameters
    ----------
    store_for : callable
        Caller to a store that writes it into each audit record.

    Returns
    -------
    WriterAnswer
    """
    try:
        with busy_services_named():
            command = decoded(event, caller)
            record = command.carry_out(store_for(str(caller)))
    except REFUSALS as error:
        return {"refused": refusal_document(error)}
    return {"record": record.to_json() if record else None}
