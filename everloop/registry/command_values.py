"""What the values of a command may be: such that the records they become can be written, read back and ordered.

A value that is none would not fail here but in whoever reads the record later: one instant that can't be read among
the runs, and no run of the model is listed or opened again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from everloop.instants import parse_instant
from everloop.limits import hidden_in_key
from everloop.manifest import REPORT
from everloop.recalibration.written import LONGEST_GROUPED_TEXT
from everloop.shown import shown

MAX_NAME = 256
"""Characters of a name. DynamoDB's sort keys take 1,024 bytes, and a name is in one with words beside it."""

MAX_NUMBER = 10**9
MAX_DEPTH = 32
MAX_DIGITS = 38
YEARS = (1970, 2199)

_INSTANTS = frozenset({"at", "started_at", "window_end", "learned_until", "to", "until"})
_TEXTS = frozenset({"reason", "cause", "actor", "held_by", "why"})


def value_problems(given: Mapping[str, object]) -> list[str]:
    """What is wrong with the values of a command whose fields have the right types; empty when nothing is."""
    problems = [f"{field} {problem}" for field, value in given.items() for problem in _of_field(field, value)]
    gate, files = given.get("gate"), given.get("files")
    if not problems and isinstance(gate, dict) and isinstance(files, dict) and REPORT in files:
        registered, judged = files[REPORT]["sha256"], gate.get("report_sha256")
        if registered != judged:
            problems.append(
                f"the gate judged the report {shown(judged)}, but files has {REPORT} with {shown(registered)}"
            )
    return problems


def _of_field(field: str, value: Any) -> Iterator[str]:
    unwritable = list(_of_json(value, 0))
    if unwritable:
        yield from unwritable
    elif isinstance(value, str):
        yield from _of_text(field, value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        most = 100 if field == "percent" else MAX_NUMBER
        if not 0 <= value <= most:
            yield f"is {shown(value)}: allowed are 0 to {most:,}"
    elif field == "gate":
        yield from _of_gate(value)
    elif field == "check" and not isinstance(value.get("phase"), str):
        yield "has no phase"
    elif field == "reasons":
        yield from _of_reasons(value)
    elif field == "files":
        yield from _of_files(value)


def _of_text(field: str, value: str) -> Iterator[str]:
    if field in _INSTANTS:
        try:
            year = parse_instant(value).year
        except ValueError as error:
            yield f"is not an instant: {error}"
            return
        if not YEARS[0] <= year <= YEARS[1]:
            yield f"is {shown(value)}: the registry accepts the years {YEARS[0]} to {YEARS[1]}"
    elif field == "calibration":
        if len(value) > LONGEST_GROUPED_TEXT:
            yield f"has {len(value):,} characters: a calibration has at most {LONGEST_GROUPED_TEXT:,}"
    elif field not in _TEXTS and not (0 < len(value) <= MAX_NAME and value.isprintable() and not hidden_in_key(value)):
        yield f"has {len(value):,} characters, {value[:40]!a}: a name has 1 to {MAX_NAME}, all of them visible"


def _of_gate(gate: Mapping[str, object]) -> Iterator[str]:
    if gate.get("verdict") not in ("pass", "fail"):
        yield f"has the verdict {shown(gate.get('verdict'))}: the verdicts are pass and fail"
    reasons = gate.get("reasons")
    if not isinstance(reasons, list):
        yield "has no list of reasons"
        return
    yield from _of_reasons(reasons)
    failed = [r.get("code") for r in reasons if isinstance(r, dict) and r.get("passed") is False]
    if failed and gate.get("verdict") == "pass":
        yield f"passes, but has the failed reason {shown(failed[0])}"


def _of_reasons(reasons: list[Any]) -> Iterator[str]:
    if not all(isinstance(reason, dict) and isinstance(reason.get("sentence"), str) for reason in reasons):
        yield "has a reason without a sentence"


def _of_files(files: Mapping[str, object]) -> Iterator[str]:
    for name, facts in files.items():
        sha256, size = (facts.get("sha256"), facts.get("bytes")) if isinstance(facts, dict) else (None, None)
        if not (isinstance(sha256, str) and 0 < len(sha256) <= MAX_NAME) or type(size) is not int or size < 0:
            yield f"has no sha256 or no bytes for {shown(name)}"


def _of_json(value: Any, depth: int) -> Iterator[str]:
    """What could not be written as JSON text, or not be read back."""
    if depth > MAX_DEPTH:
        yield f"is nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield "has a lone surrogate"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"is or contains {value}, which JSON can't represent"
    elif isinstance(value, int):
        if abs(value) >= 10**MAX_DIGITS:
            yield f"has a number of more than {MAX_DIGITS} digits"
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _of_json(name, depth)
            yield from _of_json(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _of_json(inner, depth + 1)
