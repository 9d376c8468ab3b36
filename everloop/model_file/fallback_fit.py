"""Whether a declared fallback answers what the problem asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.evaluation.baselines import ANSWERING
from everloop.model_file.misfit import Misfit
from everloop.model_file.partial import value_of
from everloop.names import PREVIOUS_CHAMPION
from everloop.problem_types import BINARY, MULTICLASS

_AT = ("serving", "fallback")
_SUM_TOLERANCE = 1e-6


def fallback_misfits(declaration: Any) -> Iterator[Misfit]:
    """A score of the problem's type, or a baseline that answers a row by itself; in less than the function's time."""
    fallback = declaration.serving.fallback
    if fallback is None:
        return
    yield from _value(declaration, fallback)
    after, seconds = value_of(fallback, "after_ms"), value_of(declaration.serving, "timeout_seconds")
    if after is not None and seconds is not None and after >= seconds * 1000:
        yield Misfit((*_AT, "after_ms"), after, f"less than serving.timeout_seconds, {seconds * 1000:g} ms")


def _value(declaration: Any, fallback: Any) -> Iterator[Misfit]:
    value, kind = value_of(fallback, "value", "unknown"), declaration.problem.type
    if fallback.use == "baseline":
        rule = declaration.problem.baseline.kind
        if rule not in ANSWERING:
            allowed = f"'value': the baseline {rule} can't answer a row alone, as {', '.join(ANSWERING)} can"
            yield Misfit((*_AT, "use"), "baseline", allowed)
        yield from _no_value("baseline", value)
    elif fallback.use == PREVIOUS_CHAMPION:
        yield from _no_value(PREVIOUS_CHAMPION, value)
    elif value == "unknown":
        return
    elif kind == MULTICLASS:
        yield from _of_classes(declaration, value)
    elif value is None or isinstance(value, dict):
        yield Misfit((*_AT, "value"), value, "a number: the score that everyone is answered")
    elif kind == BINARY and not 0 <= value <= 1:
        yield Misfit((*_AT, "value"), value, "a probability, from 0 to 1")


def _no_value(use: str, value: Any) -> Iterator[Misfit]:
    if value not in (None, "unknown"):
        yield Misfit((*_AT, "value"), value, f"no 'value' with the use {use}")


def _of_classes(declaration: Any, value: Any) -> Iterator[Misfit]:
    names = [str(name) for name in declaration.problem.classes or ()]
    right = isinstance(value, dict) and sorted(value) == sorted(names)
    if not right or abs(sum(value.values()) - 1) > _SUM_TOLERANCE:
        allowed = f"a probability of each of the classes {', '.join(names)}, 1 together"
        yield Misfit((*_AT, "value"), value, allowed)
