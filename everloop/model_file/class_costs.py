"""What deciding for one of several classes costs, by the class that came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everloop.model_file.misfit import Misfit
from everloop.model_file.partial import all_known, value_of
from everloop.problem_types import MULTICLASS


def cost_matrix(costs: Mapping[str, Mapping[str, float]], classes: Sequence[str | int]) -> list[list[float]]:
    """The costs by the class that came, then by the one decided for, in the order of ``classes``; 0 unless declared."""
    names = [str(name) for name in classes]
    return [[float(costs.get(came, {}).get(decided, 0.0)) for decided in names] for came in names]


def costs_of_the_type(problem: Any) -> Iterator[Misfit]:
    """Whether costs are of declared classes, and leave something to decide."""
    costs = value_of(problem.value, "costs")
    if problem.type != MULTICLASS:
        if costs is not None:
            yield Misfit(
                ("value", "costs"), {}, f"no 'costs' with the type {problem.type}, which has prices of its own"
            )
        if value_of(problem.value, "decisions", "likeliest") != "likeliest":
            yield Misfit(
                ("value", "decisions"), problem.value.decisions, f"no 'decisions' with the type {problem.type}"
            )
        return
    if costs is None:
        if value_of(problem.value, "decisions", "likeliest") == "least_cost":
            yield Misfit(("value", "decisions"), "least_cost", "likeliest, because no `costs` are declared")
        return
    classes = [str(name) for name in all_known(value_of(problem, "classes") or [])]
    unknown = [
        (came, decided)
        for came, row in costs.items()
        for decided in ("", *row)
        if not {came, decided} <= {"", *classes}
    ]
    for came, decided in unknown:
        at = ("value", "costs", came, decided) if decided and came in classes else ("value", "costs", came)
        yield Misfit(at, decided or came, f"a class of problem.classes: {', '.join(classes)}")
    if unknown or not classes:
        return
    matrix = cost_matrix(costs, classes)
    cheapest = [all(row[place] <= min(row) for row in matrix) for place in range(len(classes))]
    if any(cheapest):
        always = classes[cheapest.index(True)]
        allowed = f"costs that leave something to decide: always deciding for {always} costs least, without a model"
        yield Misfit(("value", "costs"), {}, allowed)
