"""What a multiclass classification declares, and what it can't have yet: each refused where it stands, by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.evaluation.baselines import OF_SEVERAL_CLASSES
from everloop.model_file.misfit import Misfit
from everloop.model_file.partial import all_known, known, value_of
from everloop.problem_types import MULTICLASS

PRICES = ("false_positive_cost", "false_negative_cost", "true_positive_value", "error_cost_per_unit")
_BECAUSE = f"because problem.type is {MULTICLASS}"


def classes_of_the_type(problem: Any) -> Iterator[Misfit]:
    """Classes where there are several, and nowhere else; each once, all of one kind."""
    classes = value_of(problem, "classes", "unknown")
    if problem.type != MULTICLASS:
        if classes not in (None, "unknown"):
            yield Misfit(("classes",), classes, f"no 'classes' with the type {problem.type}")
        return
    if classes is None:
        yield Misfit(("classes",), None, "the classes that a row may be of, e.g. `classes: [on_time, late, cancelled]`")
        return
    seen: dict[str, Any] = {}
    for index, name in known(problem.classes):
        if type(name) is not type(problem.classes[0]):
            yield Misfit(("classes", index), name, "strings alone, or whole numbers alone")
        elif str(name) in seen:
            yield Misfit(("classes", index), name, "each class once")
        seen.setdefault(str(name), name)


def no_prices(problem: Any) -> Iterator[Misfit]:
    """Prices of right and wrong decisions are of two classes, or of a number; several classes have costs."""
    for key in PRICES:
        price = value_of(problem.value, key)
        if price:
            yield Misfit(("value", key), price, f"no {key!r}, {_BECAUSE}: it pays by `costs`, of each class that came")


def rule_of_several_classes(problem: Any) -> Iterator[Misfit]:
    """Which rules answer a probability of each class."""
    kind = problem.baseline.kind
    if kind not in OF_SEVERAL_CLASSES:
        yield Misfit(("baseline", "kind"), kind, f"{' or '.join(sorted(OF_SEVERAL_CLASSES))}, {_BECAUSE}")


def what_several_classes_lack(declaration: Any) -> Iterator[Misfit]:
    """What other sections ask for that is of two classes, or of a number."""
    if declaration.problem.type != MULTICLASS:
        return
    yield from _no_recalibration(declaration)
    if value_of(declaration.gate, "money") is not None and value_of(declaration.problem.value, "costs") is None:
        yield Misfit(("gate", "money"), {}, f"problem.value.costs beside it, {_BECAUSE}: decisions have no prices yet")
    for section, key, reason in _LACKING:
        found = value_of(getattr(declaration, section), key)
        if found is not None:
            yield Misfit((section, key), {}, f"no {key!r}, {_BECAUSE}: {reason}")
    threshold = value_of(declaration.serving, "threshold", DEFAULT_THRESHOLD)
    if threshold != DEFAULT_THRESHOLD:
        yield Misfit(
            ("serving", "threshold"), threshold, f"no 'threshold', {_BECAUSE}: the likeliest class is answered"
        )


_LACKING = (
    ("training", "learning_curve", "it measures one score a row"),
    ("retraining", "investment", "probes compare one score a row; `quality`, `drift`, `volume` and `schedule_days` do"),
    ("training", "warm_start", "trainings are full ones"),
)
DEFAULT_THRESHOLD = 0.5


def shares_of_classes(declaration: Any) -> Iterator[Misfit]:
    """Balance is declared of ones, or of named classes."""
    problem, data = declaration.problem, declaration.data
    if problem.type != MULTICLASS:
        if value_of(data, "class_shares"):
            yield Misfit(("data", "class_shares"), data.class_shares, f"no 'class_shares' with the type {problem.type}")
        return
    if value_of(data, "positive_rate", (0.0, 1.0)) != (0.0, 1.0):
        yield Misfit(("data", "positive_rate"), list(data.positive_rate), f"'class_shares' instead, {_BECAUSE}")
    names = [str(name) for name in all_known(problem.classes or [])]
    for name, (low, high) in data.class_shares.items():
        if name not in names:
            yield Misfit(("data", "class_shares", name), [low, high], f"a class of problem.classes: {', '.join(names)}")
        elif low >= high:
            yield Misfit(("data", "class_shares", name), [low, high], "two shares, the lower one first")


def _no_recalibration(declaration: Any) -> Iterator[Misfit]:
    if declaration.recalibration is not None:
        yield Misfit(
            ("recalibration",),
            {},
            f"`recalibration: none`, {_BECAUSE}: what is learned from labels moves one score a row",
        )
