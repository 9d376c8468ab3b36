"""Asks about the rows of a long file, a line each, in parts that one request has room for: no more is in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, cast

from everloop.cli.account import DeployedModel
from everloop.cli.exceptions import ApiRefusedError, CommandError
from everloop.cli.operations.predictions import predict
from everloop.cli.signed_http import JsonClient
from everloop.json_text import read_json
from everloop.model_file.sizes import MAX_BODY_BYTES
from everloop.typed_json import JsonObject

MOST_ROWS = 100
"""Rows in one request where the model's limit is not known. One that takes fewer says so, and gets fewer: each such
refusal counts as one of the version's, so the limit is better known."""

FRAME = len('{"on_row_error":"report","instances":[]}')

FIRST_WAIT, LONGEST_WAIT, MOST_WAITED = 0.2, 5.0, 120.0
"""Seconds before what was shed is asked again, at first and at most; and after how many in a row it is given up."""

_FEWER = frozenset({"too_many_instances", "too_large"})
"""Codes of refusals that fewer rows may not meet."""


@dataclass(frozen=True)
class Line:
    """A row of the file, by its line, from 1; or what keeps that line from being one."""

    number: int
    row: JsonObject
    size: int
    wrong: str = ""


@dataclass
class LinesAnswered:
    """What became of a file's rows: how many were answered, how many not, and by which versions."""

    answered: int = 0
    refused: int = 0
    versions: list[int] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """All of them."""
        return self.answered + self.refused


def predict_lines(
    http: JsonClient,
    model: DeployedModel,
    file: IO[bytes],
    write: Callable[[str], object],
    *,
    good_rows: bool = False,
    most_rows: int = MOST_ROWS,
    on_progress: Callable[[LinesAnswered], object] = lambda found: None,
    sleep: Callable[[float], object] = time.sleep,
) -> LinesAnswered:
    """Ask about each line of ``file``, a row as a JSON object, and write a line for each, in their order.

    A line of the answer is what the native protocol says of a row, with the ``version`` that said it; with
    ``good_rows`` that of a row that is wrong is its ``error``, whose ``index`` is the row's place in the file, from 0.
    Empty lines are none. At most one request's rows are held, which are ``most_rows``.

    Raises
    ------
    CommandError
        Where a row is wrong and ``good_rows`` is not said, or the API can't be asked; what was written before stands,
        and the message says up to which line that is.
    """
    asking, found = _Asking(http, model, good_rows, most_rows, sleep), LinesAnswered()
    for part in _parts(file, asking):
        try:
            for line, answer in asking.answers(part):
                _note(found, answer)
                place = {} if "error" not in answer else {"error": {**answer["error"], "index": found.rows - 1}}
                write(json.dumps({**answer, **place}, separators=(",", ":"), ensure_ascii=False) + "\n")
                asking.done = line.number
        except CommandError as error:
            raise _stopped(error, part, asking.done, found.rows) from error
        on_progress(found)
    return found


def lines_of(file: IO[bytes]) -> Iterator[Line]:
    """The lines of a file that are not empty; one that is longer than a request may be is read no further than that."""
    number = 0
    while text := file.readline(MAX_BODY_BYTES + 1):
        number += 1
        if len(text) > MAX_BODY_BYTES and not text.endswith(b"\n"):
            while (rest := file.readline(MAX_BODY_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Line(number, {}, 0, f"it is longer than a request may be, {MAX_BODY_BYTES:,} bytes")
            continue
        text = text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text
        if text.strip():
            yield _line(number, text)


def _line(number: int, text: bytes) -> Line:
    try:
        row = read_json(text.decode())
    except ValueError as error:
        return Line(number, {}, 0, f"it is not JSON in UTF-8: {error}")
    if not isinstance(row, dict):
        return Line(number, {}, 0, 'it is no object; a row is {"feature": value, …}')
    return Line(number, row, len(text))


class _Asking:
    """Asks for the answers to lines, and learns how many the model takes at once."""

    def __init__(
        self,
        http: JsonClient,
        model: DeployedModel,
        good_rows: bool,
        most_rows: int,
        sleep: Callable[[float], object],
    ) -> None:
        self.most_rows, self.done = most_rows, 0
        self._http, self._model, self._good_rows, self._sleep = http, model, good_rows, sleep

    def answers(self, part: list[Line]) -> Iterator[tuple[Line, dict[str, Any]]]:
        """The answer to each line, in their order."""
        waiting = [part]
        while waiting:
            lines = waiting.pop()
            if len(lines) > self.most_rows:
                waiting += [lines[self.most_rows :], lines[: self.most_rows]]
                continue
            right = [line for line in lines if not line.wrong]
            if len(right) < len(lines) and not self._good_rows:
                first = next(line for line in lines if line.wrong)
                before = lines[: lines.index(first)]
                if not before:
                    raise CommandError(f"line {first.number}: {first.wrong}", "mend that line")
                waiting += [lines[len(before) :], before]
                continue
            try:
                answers = self._asked(right) if right else []
            except ApiRefusedError as error:
                code, is_rows = error.told.get("code"), self._good_rows and error.status in (400, 413)
                if len(right) > 1 and (code in _FEWER or is_rows):
                    half = len(lines) // 2
                    if code == "too_many_instances":
                        self.most_rows = min(self.most_rows, half)
                    waiting += [lines[half:], lines[:half]]
                    continue
                if not is_rows:
                    raise
                answers = [{"error": error.told}]
            told = iter(answers)
            for line in lines:
                wrong = {"error": {"code": "malformed_json", "message": line.wrong, "field": None}}
                yield line, wrong if line.wrong else next(told)

    def _asked(self, lines: list[Line]) -> list[dict[str, Any]]:
        """The answers to rows; what is shed is asked again after a wait."""
        waited, wait = 0.0, FIRST_WAIT
        while True:
            try:
                rows = [line.row for line in lines]
                document = predict(self._http, self._model, rows, good_rows=self._good_rows)
            except ApiRefusedError as error:
                if not error.is_shed or waited >= MOST_WAITED:
                    raise
                pause = max(wait, error.retry_after or 0.0)
            else:
                told = cast("list[dict[str, Any]]", document["predictions"])
                return [one if "error" in one else {**one, "version": document["version"]} for one in told]
            self._sleep(pause)
            waited, wait = waited + pause, min(2 * wait, LONGEST_WAIT)


def _parts(file: IO[bytes], asking: _Asking) -> Iterator[list[Line]]:
    """Lines in parts of as many as a request has room for."""
    part: list[Line] = []
    size = FRAME
    for line in lines_of(file):
        if part and (len(part) >= asking.most_rows or size + line.size + 1 > MAX_BODY_BYTES):
            yield part
            part, size = [], FRAME
        part.append(line)
        size += line.size + 1
    if part:
        yield part


def _note(found: LinesAnswered, answer: dict[str, Any]) -> None:
    if "error" in answer:
        found.refused += 1
        return
    found.answered += 1
    if answer["version"] not in found.versions:
        found.versions.append(answer["version"])


def _stopped(error: CommandError, part: list[Line], done: int, rows: int) -> CommandError:
    """The error, by the line that it is about, and with what stands before it."""
    left = [line.number for line in part if line.number > done]
    message = error.message
    if isinstance(error, ApiRefusedError) and error.index is not None and error.index < len(left):
        message = f"line {left[error.index]}: {error.answer}"
    before = f"the answers to {rows:,} rows, up to line {done}, are written" if rows else "nothing was answered"
    return CommandError(
        f"{message}; {before}",
        f"{error.remedy}; or have the other rows answered all the same, with --good-rows",
    )
