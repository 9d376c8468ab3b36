"""States that many tests begin with: each is built once in a process, and every test has a copy of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from moto.dynamodb.models import dynamodb_backends

from tests.fakes.aws import ACCOUNT, REGION

T = TypeVar("T")

_built: dict[Hashable, tuple[dict[str, Any], list[dict[str, Any]], Any]] = {}


def built_once(state: Hashable, build: Callable[[], T], *parts: Any) -> T:
    """What ``build`` gives, with the tables of this test's account and the ``parts`` as it leaves them.

    Parameters
    ----------
    state
        The state's name: all that ``build`` depends on is in it, the tables and parts before it too.
    build : callable
        Builds the state; the first test that asks for it waits for this.
    parts
        Objects that ``build`` changes besides, such as fakes. They hold plain values and no clients.
    """
    tables = dynamodb_backends[ACCOUNT][REGION].tables
    if state not in _built:
        made = build()
        _built[state] = copy.deepcopy((dict(tables), [vars(part) for part in parts], made))
        return made
    kept, attributes, made = copy.deepcopy(_built[state])
    tables.clear()
    tables.update(kept)
    for part, its in zip(parts, attributes, strict=True):
        vars(part).clear()
        vars(part).update(its)
    return made
