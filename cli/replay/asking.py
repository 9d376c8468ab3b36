"""Asks about the rows of an hour in as many requests as the API's limits want, and keeps account of what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from everloop.cli.exceptions import ApiRefusedError
from everloop.model_file.sizes import MAX_BODY_BYTES
from everloop.serving.protocols.predictions import PredictionsDocument
from everloop.typed_json import JsonObject

Instance = JsonObject
"""A row as the API takes it."""

FRAME = len('{"instances":[]}')


@dataclass(frozen=True)
class Refusal:
    """A row that got no prediction: the status and code of the answer, and what it said."""

    key: str
    status: int
    code: str
    message: str


def batches(instances: list[Instance], most_rows: int, most_bytes: int = MAX_BODY_BYTES) -> Iterator[list[Instance]]:
    """The rows in their order, in parts that one request has room for. A row that is too long has a part of its own."""
    part: list[Instance] = []
    size = FRAME
    for instance in instances:
        row = len(json.dumps(instance, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")) + 1
        if part and (len(part) == most_rows or size + row > most_bytes):
            yield part
            part, size = [], FRAME
        part.append(instance)
        size += row
    if part:
        yield part


def ask(
    post: Callable[[list[Instance]], PredictionsDocument], instances: list[Instance], key: str
) -> Iterator[tuple[list[Instance], PredictionsDocument | Refusal]]:
    """Ask about rows; what one of them is refused for costs the others nothing.

    A refusal that names a row takes that row out, and the rest is asked again. One that names none is tried with
    halves, down to the single row; a failure of the service (status 5xx) refuses all of them, once.

    Parameters
    ----------
    post : callable
        Sends rows and returns the answer.
    key : str
        The column that names a row.

    Yields
    ------
    tuple
        Rows with their answer, or one row with its refusal.

    Raises
    ------
    ApiRefusedError
        When the caller may not ask at all (401, 403).
    """
    waiting = [instances]
    while waiting:
        part = waiting.pop()
        if not part:
            continue
        try:
            answer = post(part)
        except ApiRefusedError as error:
            if error.status in (401, 403):
                raise
            told, place = error.told, error.index
            if len(part) == 1 or error.status >= 500:
                reason = error.status, str(told.get("code") or ""), str(told.get("message") or error.message)
                yield from (([row], Refusal(str(row[key]), *reason)) for row in part)
            elif isinstance(place, int) and 0 <= place < len(part):
                waiting += [part[:place] + part[place + 1 :], [part[place]]]
            else:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
        else:
            yield part, answer
