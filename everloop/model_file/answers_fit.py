"""Whether what a rollout's guardrail judges of answers can be judged while the rollout lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.expressions import ExpressionError, check
from everloop.model_file import worst_case
from everloop.model_file.misfit import Location, Misfit
from everloop.model_file.partial import value_of
from everloop.problem_types import BINARY, REGRESSION

if TYPE_CHECKING:
    from everloop.model_file.sections.all_sections import AllSections


def names_in(problem: str) -> tuple[str, ...]:
    """What a business measure may be made of."""
    return ("prediction", "probability", "label") if problem == BINARY else ("prediction", "label")


def answers_in_time(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a step or the bake lasts until the answers to what was asked in it can be judged."""
    rollout = declaration.rollout
    judged = [name for name in ("scores", "disagreement") if value_of(rollout.guardrail, name) is not None]
    if not judged:
        return
    least = worst_case.LEAST_ANSWERED_MINUTES
    if max([rollout.bake_minutes, *(value_of(step, "minutes") or 0 for step in rollout.steps)]) < least:
        yield Misfit(
            ("rollout", "bake_minutes"),
            rollout.bake_minutes,
            f"{least} or more, or a step of as many: what rollout.guardrail.{judged[0]} judges is in the lake 20"
            " minutes after it was asked",
        )


def decisions(declaration: AllSections) -> Iterator[Misfit]:
    """Whether versions decide anything, where it is judged how often they decide otherwise."""
    if declaration.problem.type == REGRESSION and value_of(declaration.rollout.guardrail, "disagreement") is not None:
        yield Misfit(
            ("rollout", "guardrail", "disagreement"),
            {},
            "no 'disagreement' of a regression, where nothing is decided: declare rollout.guardrail.scores",
        )


def labels_in_time(declaration: AllSections) -> Iterator[Misfit]:
    """Whether labels come while a rollout lasts, where its guardrail judges by them."""
    rollout = declaration.rollout
    if value_of(rollout.guardrail, "quality") is None and value_of(rollout.guardrail, "business") is None:
        return
    lag = declaration.data.label_lag_hours
    lasts = rollout.bake_minutes + sum(value_of(step, "minutes") or 0 for step in rollout.steps)
    least = math.ceil(lag * 60) + worst_case.LEAST_ANSWERED_MINUTES
    if lasts < least:
        yield Misfit(
            ("rollout", "bake_minutes"),
            rollout.bake_minutes,
            f"{rollout.bake_minutes + least - lasts:,} or more: labels come {lag:g} hours after"
            " requests (data.label_lag_hours), and what is judged by labels needs them while the rollout lasts",
        )


def bounded_loss(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a loss has a largest value, as bets on its mean need."""
    if value_of(declaration.rollout.guardrail, "quality") is None or declaration.problem.type != REGRESSION:
        return
    if declaration.data.target_min is None or declaration.data.target_max is None:
        yield Misfit(
            ("rollout", "guardrail", "quality"),
            {},
            "no 'quality' without data.target_min and data.target_max: without a largest error no number of rows is"
            " evidence of a mean",
        )


def measured_business(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a business measure can be read, is bounded, and has callers of both versions to compare."""
    business = value_of(declaration.rollout.guardrail, "business")
    if business is None:
        return
    at: Location = ("rollout", "guardrail", "business")
    text = value_of(business, "measure")
    if text is not None:
        try:
            check(text, dict.fromkeys(names_in(declaration.problem.type), "number"))
        except ExpressionError as error:
            yield Misfit((*at, "measure"), text, str(error).replace("declared features", "what is known of a request"))
    least, most, drop = (value_of(business, key) for key in ("min", "max", "max_drop"))
    if least is not None and most is not None and least >= most:
        yield Misfit((*at, "max"), most, f"more than min, which is {least:g}")
    elif least is not None and most is not None and drop is not None and drop >= most - least:
        yield Misfit((*at, "max_drop"), drop, f"less than {most - least:g}, all that lies between min and max")
    if not declaration.rollout.steps:
        yield Misfit(at, {}, "no 'business' without rollout.steps: the callers of both versions are compared")
