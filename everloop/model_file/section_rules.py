"""What the keys of one section ask of each other. One rule is one function, so that each speaks where it can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from everloop.evaluation.baselines import GO_BY_A_FEATURE
from everloop.lake_tables import RESERVED_COLUMNS
from everloop.limits import shows_nothing
from everloop.model_file.misfit import Misfit
from everloop.model_file.partial import Rule, all_known, known, value_of

CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""Names that SQL reads as the clock. Every other word of SQL, Python or pandas is a name like any: queries quote it."""

ROLES = {"key": "key", "time": "time", "target": "label"}
"""What the lake calls the columns that a declaration gives a role."""

_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f]")


def _group_by_something(baseline: Any) -> Iterator[Misfit]:
    if baseline.kind in GO_BY_A_FEATURE and baseline.by is None:
        yield Misfit(("by",), None, f"the name of the category feature that {baseline.kind} goes by")


def _others_by_nothing(baseline: Any) -> Iterator[Misfit]:
    if baseline.kind not in GO_BY_A_FEATURE and baseline.by is not None:
        yield Misfit(("by",), baseline.by, f"no 'by' with the kind {baseline.kind}")


def _numbers_without_values(feature: Any) -> Iterator[Misfit]:
    if feature.type == "number" and feature.values is not None:
        yield Misfit(("values",), feature.values, "no 'values' with the type number")


def _numbers_without_unseen(feature: Any) -> Iterator[Misfit]:
    if feature.type == "number" and feature.unseen == "refuse":
        yield Misfit(("unseen",), feature.unseen, "no 'unseen' with the type number")


def _limits_rise(feature: Any) -> Iterator[Misfit]:
    if feature.type == "number" and feature.min is not None and feature.max is not None and feature.min > feature.max:
        yield Misfit(("max",), feature.max, f"at least {feature.min:g}, the 'min'")


def _categories_without_limits(feature: Any) -> Iterator[Misfit]:
    for key in ("min", "max") if feature.type == "category" else ():
        limit = value_of(feature, key)
        if limit is not None:
            yield Misfit((key,), limit, f"no {key!r} with the type category")


def _some_values(feature: Any) -> Iterator[Misfit]:
    # Who lists values means a category.
    if value_of(feature, "type", "category") == "category" and feature.values is not None and not feature.values:
        yield Misfit(("values",), feature.values, "one value or more")


def _each_value(feature: Any) -> Iterator[Misfit]:
    if value_of(feature, "type", "category") != "category" or feature.values is None:
        return
    seen: set[str] = set()
    longest = value_of(feature, "max_length")
    for index, value in known(feature.values):
        # What a request or a history may not hold could never occur.
        if not value or (longest is not None and len(value) > longest):
            most = "" if longest is None else f"1 to {longest} characters, the 'max_length'"
            yield Misfit(("values", index), value, f"a text of {most or 'one character or more'}")
        elif not value.isprintable() and _CONTROL_CHARACTERS.search(value):
            yield Misfit(("values", index), value, "a text without control characters")
        elif shows_nothing(value):
            yield Misfit(("values", index), value, "a text of which something is seen")
        elif value in seen:
            yield Misfit(("values", index), value, "each value once")
        seen.add(value)


def _names_once(data: Any) -> Iterator[Misfit]:
    first: dict[str, str] = {}
    for role in ROLES:
        name = value_of(data, role)
        if name is None:
            continue
        others = {ROLES[other]: other for other in ROLES if other != role}
        if name in others:
            allowed = f"another name: in the lake, {name!r} is the column of data.{others[name]}"
            yield Misfit((role,), name, allowed)
        elif name in first:
            yield Misfit((role,), name, f"another name: it is that of {first[name]}")
        first.setdefault(name, f"data.{role}")
    for index, feature in known(data.features):
        name, place = value_of(feature, "name"), ("features", index, "name")
        if name is None:
            continue
        if name in first:
            yield Misfit(place, name, f"another name: it is that of {first[name]}")
        elif name in RESERVED_COLUMNS:
            taken = ", ".join(sorted(RESERVED_COLUMNS))
            yield Misfit(place, name, f"another name: the product's own tables have the columns {taken}")
        elif name in CLOCK_WORDS:
            taken = ", ".join(sorted(CLOCK_WORDS))
            yield Misfit(place, name, f"another name: SQL reads the clock by the names {taken}")
        first.setdefault(name, f"data.features[{index}]")


def _rates_rise(data: Any) -> Iterator[Misfit]:
    low, high = all_known(data.positive_rate)
    if low >= high:
        yield Misfit(("positive_rate",), [low, high], "two rates, the lower one first")


def _target_range_rises(data: Any) -> Iterator[Misfit]:
    low, high = data.target_min, data.target_max
    if low is not None and high is not None and low >= high:
        yield Misfit(("target_max",), high, f"more than {low:g}, the 'target_min'")


def _window_beyond_the_test(data: Any) -> Iterator[Misfit]:
    window, test = data.training_window_days, data.split.test_days
    if window is not None and window <= test:
        yield Misfit(
            ("training_window_days",), window, f"more than {test}, which data.split.test_days keeps for the test"
        )


def _bounds_something(threshold: Any) -> Iterator[Misfit]:
    if threshold.min is None and threshold.max is None:
        yield Misfit((), {}, "'min' or 'max' beside the metric")


def _bounds_rise(threshold: Any) -> Iterator[Misfit]:
    if threshold.min is not None and threshold.max is not None and threshold.min > threshold.max:
        yield Misfit(("max",), threshold.max, f"at least {threshold.min:g}, the 'min'")


def _least_is_reached(threshold: Any) -> Iterator[Misfit]:
    if threshold.min is not None and threshold.metric in ("roc_auc", "brier") and threshold.min > 1:
        yield Misfit(("min",), threshold.min, f"at most 1, as every {threshold.metric} is")


def _most_is_reached(threshold: Any) -> Iterator[Misfit]:
    low = value_of(threshold, "min")
    falls = low is not None and threshold.max is not None and low > threshold.max
    if threshold.max is not None and threshold.max < 0 and not falls:
        yield Misfit(("max",), threshold.max, f"at least 0, as every {value_of(threshold, 'metric', 'metric')} is")


def _steps_rise(rollout: Any) -> Iterator[Misfit]:
    before = None
    for index, step in known(rollout.steps):
        percent = value_of(step, "percent")
        if percent is not None and before is not None and percent <= before:
            allowed = f"more than {before:g}, which the step before has"
            yield Misfit(("steps", index, "percent"), percent, allowed)
        before = percent


def _spans_hold_windows(monitoring: Any) -> Iterator[Misfit]:
    days = monitoring.window_hours // 24
    if monitoring.drift_days % days:
        allowed = f"a multiple of {days}, the days of a window (window_hours {monitoring.window_hours})"
        yield Misfit(("drift_days",), monitoring.drift_days, allowed)


def _one_cost(investment: Any) -> Iterator[Misfit]:
    if investment.cost is not None and investment.cost_share is not None:
        yield Misfit(("cost_share",), investment.cost_share, "either 'cost' or 'cost_share'")


SECTION_RULES: dict[str, tuple[Rule, ...]] = {
    "Baseline": (_group_by_something, _others_by_nothing),
    "Feature": (
        _numbers_without_values,
        _numbers_without_unseen,
        _limits_rise,
        _categories_without_limits,
        _some_values,
        _each_value,
    ),
    "Data": (_names_once, _rates_rise, _target_range_rises, _window_beyond_the_test),
    "AbsoluteThreshold": (_bounds_something, _bounds_rise, _least_is_reached, _most_is_reached),
    "Rollout": (_steps_rise,),
    "Monitoring": (_spans_hold_windows,),
    "Investment": (_one_cost,),
}
"""By the name of the section's class."""
