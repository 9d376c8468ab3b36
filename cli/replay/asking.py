"""Asks about the rows of an hour in as many requests as the API's limits want, and keeps account of what is refused."""

from __future__ import annotations

import json
import time
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


FIRST_WAIT, LONGEST_WAIT, MOST_WAITED = 0.1, 2.0, 60.0
"""Seconds before what was shed is asked again, at first and at most; and after how many in a row it is given up."""


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
    post: Callable[[list[Instance]], PredictionsDocument],
    instances: list[Instance],
    key: str,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[tuple[list[Instance], PredictionsDocument | Refusal]]:
    """Ask about rows; what one of them is refused for costs the others nothing.

    A refusal that names a row takes that row out, and the rest is asked again. One that names none is tried with
    halves, down to the single row; a failure of the service (status 5xx) refuses all of them, once. What is shed
    because there is too much of it (429, or a 503 that says when to come back) is asked again after a wait, no sooner
    than it says: a declared rate counts in real time, and a replay is faster than the callers it stands for.

    Parameters
    ----------
    post : callable
        Sends rows and returns the answer.
    key : str
        The column that names a row.
    sleep : callable
        Waits so many seconds.

    Yields
    ------
    tuple
        Rows with their answer, or one row with its refusal.

    Raises
    ------
    ApiRefusedError
        When the caller may not ask at all (401, 403).
    """
    waiting, waited, wait = [instances], 0.0, FIRST_WAIT
    while waiting:
        part = waiting.pop()
        if not part:
            continue
        try:
            answer = post(part)
        except ApiRefusedError as error:
            if error.status in (401, 403):
                raise
            if error.is_shed and waited < MOST_WAITED:
                pause = max(wait, error.retry_after or 0.0)
                sleep(pause)
                waited, wait = waited + pause, min(2 * wait, LONGEST_WAIT)
                waiting.append(part)
                continue
            told, place = error.told, error.index
            if len(part) == 1 or error.status >= 500 or error.status == 429:
                reason = error.status, str(told.get("code") or ""), str(told.get("message") or error.message)
                yield from (([row], Refusal(str(row[key]), *reason)) for row in part)
            elif isinstance(place, int) and 0 <= place < len(part):
                waiting += [part[:place] + part[place + 1 :], [part[place]]]
            else:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
        else:
            waited, wait = 0.0, FIRST_WAIT
            yield part, answer
