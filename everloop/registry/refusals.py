"""Refusals on their way from the registry function to whoever sent the command: the same class arrives.

They travel as an answer, not as the function's failure: nothing is broken when the registry says no, and the function's
error count is what an alarm watches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NotRequired, TypedDict

from everloop.busy_services import ServiceBusyError
from everloop.registry.exceptions import RegistryError, UnknownRefusalError

Refusal = RegistryError | ServiceBusyError
REFUSALS = (RegistryError, ServiceBusyError)


class RefusalDocument(TypedDict):
    """An error: its class, its sentence, and what else it says."""

    error: str
    message: str
    facts: dict[str, object]


class WriterAnswer(TypedDict):
    """What the registry function answers: the record as it stands afterwards (null when there is none), or why not."""

    record: NotRequired[dict[str, object] | None]
    refused: NotRequired[RefusalDocument]


def refusal_document(error: Refusal) -> RefusalDocument:
    """The error as JSON values: class, sentence, and what else it says."""
    return {"error": type(error).__name__, "message": str(error), "facts": vars(error)}


def refusal_from(document: RefusalDocument) -> Refusal:
    """The error that was written down. A class that is not known here, of a newer function, is an
    :class:`UnknownRefusalError`.
    """
    kind = _classes().get(document["error"])
    if kind is None:
        return UnknownRefusalError(f"{document['error']}: {document['message']}")
    # Not by its own constructor, which takes facts and makes the sentence.
    error = kind.__new__(kind, document["message"])
    error.__dict__.update(document["facts"])
    return error


def _classes() -> dict[str, type[Refusal]]:
    kinds: tuple[type[Refusal], ...] = (ServiceBusyError, *_below(RegistryError))
    return {kind.__name__: kind for kind in kinds}


def _below(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    yield kind
    for sub in kind.__subclasses__():
        yield from _below(sub)
