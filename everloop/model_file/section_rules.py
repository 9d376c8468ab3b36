"""What the keys of one section ask of each other. One rule is one function, so that each speaks where it can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from everloop.evaluation.baselines import ALL_KEYS, CLASSES_ONLY, KEYS
from everloop.lake_tables import RESERVED_COLUMNS
from everloop.limits import shows_nothing
from everloop.model_file.class_costs import costs_of_the_type
from everloop.model_file.misfit import Misfit
from everloop.model_file.multiclass_fit import classes_of_the_type, no_prices, rule_of_several_classes
from everloop.model_file.partial import Rule, all_known, known, value_of
from everloop.model_file.usual_limit import USUAL_RATE
from everloop.problem_types import MULTICLASS, REGRESSION
from everloop.recalibration.grouped_by import EDGE_DIGITS, MOST_GROUPS
from everloop.serving.load_test import TIMES_PEAK

CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""Names that SQL reads as the clock. Every other word of SQL, Python or pandas is a name like any: queries quote it."""

ROLES = {"key": "key", "time": "time", "target": "label"}
"""What the lake calls the columns that a declaration gives a role."""

_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f]")


_KEYS_FOR = {
    "by": "the name of the category feature that {kind} uses for its groups",
    "expression": 'the heuristic over features, e.g. "departure_minute > 1000"',
    "script": "the Python file of the folder whose function rule(features) is in force, e.g. rule.py",
}


def _keys_of_the_rule(baseline: Any) -> Iterator[Misfit]:
    takes = KEYS.get(baseline.kind, {})
    for key in ALL_KEYS:
        found = value_of(baseline, key, "unknown")
        if found is None and takes.get(key):
            yield Misfit((key,), None, _KEYS_FOR[key].format(kind=baseline.kind))
        elif found not in (None, "unknown") and key not in takes:
            yield Misfit((key,), found, f"no {key!r} with the kind {baseline.kind}")


def _probabilities_of_classes(problem: Any) -> Iterator[Misfit]:
    kind = problem.baseline.kind
    if problem.type == MULTICLASS:
        yield from rule_of_several_classes(problem)
        return
    if problem.type == "regression" and kind in CLASSES_ONLY:
        yield Misfit(("baseline", "kind"), kind, "a baseline that answers numbers, because problem.type is regression")


def _interval_of_a_value(problem: Any) -> Iterator[Misfit]:
    if problem.type != REGRESSION and problem.interval is not None:
        yield Misfit(("interval",), {}, f"no 'interval' with the type {problem.type}, whose answers are chances")


CLASS_PRICES = ("false_positive_cost", "false_negative_cost", "true_positive_value")
UNIT_PRICE = "error_cost_per_unit"


def _prices_of_the_type(problem: Any) -> Iterator[Misfit]:
    """A price that nothing is paid by would be believed to count."""
    if problem.type == MULTICLASS:
        yield from no_prices(problem)
        return
    kind, value = problem.type, problem.value
    for key in (UNIT_PRICE,) if kind == "binary_classification" else CLASS_PRICES:
        price = value_of(value, key)
        if price:
            counted = ", ".join(CLASS_PRICES if kind == "binary_classification" else (UNIT_PRICE,))
            yield Misfit(("value", key), price, f"no {key!r}, because problem.type is {kind}: it pays by {counted}")


def _priced(problem: Any) -> Iterator[Misfit]:
    """Whether predictions come to money; of a classification, whether both ways to be wrong do."""
    kind, value = problem.type, problem.value
    if kind == MULTICLASS:
        return
    if kind == "regression":
        if not value.error_cost_per_unit:
            yield Misfit(("value", UNIT_PRICE), 0, "more than 0: what a unit of error costs in value.currency")
        return
    if not value.false_positive_cost:
        yield Misfit(
            ("value", "false_positive_cost"),
            value.false_positive_cost,
            "more than 0: what acting on a row costs that is a 0. If that costs nothing, act on every row, without a"
            " model",
        )
    if not value.false_negative_cost and not value.true_positive_value:
        yield Misfit(
            ("value", "false_negative_cost"),
            value.false_negative_cost,
            "more than 0, or a true_positive_value: what is lost by a miss, or won by a hit. If nothing is, act on no"
            " row, without a model",
        )


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
            yield Misfit(("values", index), value, f"a string of {most or 'one character or more'}")
        elif not value.isprintable() and _CONTROL_CHARACTERS.search(value):
            yield Misfit(("values", index), value, "a string without control characters")
        elif shows_nothing(value):
            yield Misfit(("values", index), value, "a string with a visible character")
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
            yield Misfit((role,), name, f"another name: {first[name]} has it already")
        first.setdefault(name, f"data.{role}")
    for index, feature in known(data.features):
        name, place = value_of(feature, "name"), ("features", index, "name")
        if name is None:
            continue
        if name in first:
            yield Misfit(place, name, f"another name: {first[name]} has it already")
        elif name in RESERVED_COLUMNS:
            taken = ", ".join(sorted(RESERVED_COLUMNS))
            yield Misfit(place, name, f"another name: Everloop's own tables have the columns {taken}")
        elif name in CLOCK_WORDS:
            taken = ", ".join(sorted(CLOCK_WORDS))
            yield Misfit(place, name, f"another name: SQL reads the current time with the names {taken}")
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
    window, test = data.training_window_days, data.split.longest_days
    if window is not None and window <= test:
        yield Misfit(("training_window_days",), window, f"more than {test}, the days of data.split.test_days")


def _spans_rise(data: Any) -> Iterator[Misfit]:
    least, of = data.split.longest_days, "which data.split.test_days keeps for the test"
    for index, span in known(data.training_spans or []):
        if span <= least:
            yield Misfit(("training_spans", index), span, f"more than {least}, {of}")
        least, of = max(least, span), "the one before it"


def _one_choice_of_rows(data: Any) -> Iterator[Misfit]:
    if data.training_spans is not None and data.training_window_days is not None:
        yield Misfit(
            ("training_spans",), data.training_spans, "either 'training_window_days' or 'training_spans', which choose"
        )


def _accepted_leaks_are_features(data: Any) -> Iterator[Misfit]:
    names = [value_of(feature, "name") for _, feature in known(data.features)]
    for name in data.leakage_accepted:
        if name not in names and len(names) == len(data.features) and None not in names:
            yield Misfit(("leakage_accepted", name), data.leakage_accepted[name], "a reason for one of data.features")


def _bounds_something(threshold: Any) -> Iterator[Misfit]:
    if threshold.min is None and threshold.max is None:
        yield Misfit((), {}, "'min' or 'max' next to the metric")


def _bounds_rise(threshold: Any) -> Iterator[Misfit]:
    if threshold.min is not None and threshold.max is not None and threshold.min > threshold.max:
        yield Misfit(("max",), threshold.max, f"at least {threshold.min:g}, the 'min'")


_UP_TO_ONE = frozenset({"roc_auc", "brier", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc_ovr"})


def _least_is_reached(threshold: Any) -> Iterator[Misfit]:
    if threshold.min is not None and threshold.metric in _UP_TO_ONE and threshold.min > 1:
        yield Misfit(("min",), threshold.min, f"at most 1, as every {threshold.metric} is")


def _most_is_reached(threshold: Any) -> Iterator[Misfit]:
    low = value_of(threshold, "min")
    falls = low is not None and threshold.max is not None and low > threshold.max
    if threshold.max is not None and threshold.max < 0 and not falls:
        yield Misfit(("max",), threshold.max, f"at least 0, as every {value_of(threshold, 'metric', 'metric')} is")


def _peak_fits(serving: Any) -> Iterator[Misfit]:
    peak, most = value_of(serving, "peak"), value_of(serving, "max_rows")
    rows = None if peak is None else value_of(peak, "rows")
    if rows is not None and most is not None and rows > most:
        yield Misfit(("peak", "rows"), rows, f"at most {most}, the 'max_rows' of a request")


def _rate_above_the_load(serving: Any) -> Iterator[Misfit]:
    """Whether a load test is let through: what is shed counts as an error there."""
    rate, peak = value_of(serving, "rate"), value_of(serving, "peak")
    if rate is None or peak is None:
        return
    asked = TIMES_PEAK * peak.requests_per_second
    if rate.requests_per_second < asked:
        allowed = (
            f"at least {asked:g}, which `everloop load` asks: twice the serving.peak of"
            f" {peak.requests_per_second:g}, and what is shed counts as an error (or a lower peak)"
        )
        yield Misfit(("rate", "requests_per_second"), rate.requests_per_second, allowed)


def _load_below_a_rest_api(serving: Any) -> Iterator[Misfit]:
    """The same of a REST API without a rate: it is the model's own, so its limit is known."""
    peak = value_of(serving, "peak")
    if value_of(serving, "api") != "rest" or value_of(serving, "rate", "unknown") is not None or peak is None:
        return
    asked = value_of(peak, "requests_per_second", 0)
    if TIMES_PEAK * asked > USUAL_RATE:
        allowed = (
            f"at most {USUAL_RATE / TIMES_PEAK:g}: `everloop load` asks twice as much, and a REST API without a"
            f" 'rate' lets {USUAL_RATE} requests a second through (or declare serving.rate)"
        )
        yield Misfit(("peak", "requests_per_second"), asked, allowed)


def _no_tokens_at_a_rest_api(serving: Any) -> Iterator[Misfit]:
    if value_of(serving, "api") == "rest" and value_of(serving, "authorization") == "jwt":
        yield Misfit(
            ("api",),
            "rest",
            "'http' with authorization jwt: a REST API of API Gateway can't verify the tokens of an issuer, an HTTP API"
            " can (or declare authorization iam)",
        )


def _tokens_where_asked_for(serving: Any) -> Iterator[Misfit]:
    authorization, jwt = value_of(serving, "authorization"), value_of(serving, "jwt", "unknown")
    if authorization == "jwt" and jwt is None:
        example = "{issuer: https://login.example.com, audience: [predictions]}"
        yield Misfit(("jwt",), None, f"whose tokens are taken, as authorization is jwt, e.g. `{example}`")
    elif authorization in ("iam", "none") and jwt not in (None, "unknown"):
        yield Misfit(("jwt",), {}, f"no 'jwt' with authorization {authorization}, which asks for no token")
    for key in ("audience", "scopes") if jwt not in (None, "unknown") else ():
        seen: set[str] = set()
        for index, word in known(value_of(jwt, key, [])):
            if word in seen:
                yield Misfit(("jwt", key, index), word, "each once")
            seen.add(word)


def _one_way_to_run(endpoint: Any) -> Iterator[Misfit]:
    """Whether it says how the image runs, on instances or without any, and nothing of the other way."""
    serverless = value_of(endpoint, "serverless", "unknown")
    if serverless is None:
        needed = {"instance_type": "e.g. ml.m5.large", "usd_per_hour": "what one of the instances costs in your region"}
        for key, what in needed.items():
            if value_of(endpoint, key, "unknown") is None:
                yield Misfit((key,), None, f"{what}; or `serverless`, which runs no instances")
        return
    for key in ("instance_type", "usd_per_hour", "autoscaling"):
        found = value_of(endpoint, key)
        if found is not None:
            found = found if isinstance(found, (str, float, int)) else {}
            yield Misfit((key,), found, f"no {key!r} beside 'serverless', which runs no instances")
    if value_of(endpoint, "instances", 1) != 1:
        yield Misfit(("instances",), endpoint.instances, "no 'instances' beside 'serverless', which runs none")


def _steps_rise(rollout: Any) -> Iterator[Misfit]:
    before = None
    for index, step in known(rollout.steps):
        percent = value_of(step, "percent")
        if percent is not None and before is not None and percent <= before:
            allowed = f"more than {before:g}, the percent of the previous step"
            yield Misfit(("steps", index, "percent"), percent, allowed)
        before = percent


def _spans_hold_windows(monitoring: Any) -> Iterator[Misfit]:
    days = monitoring.window_hours // 24
    if monitoring.drift_days % days:
        allowed = f"a multiple of {days}, the days of a window (window_hours {monitoring.window_hours})"
        yield Misfit(("drift_days",), monitoring.drift_days, allowed)


def _room_for_trees(warm: Any) -> Iterator[Misfit]:
    if warm.max_trees <= warm.added_trees:
        yield Misfit(("max_trees",), warm.max_trees, f"more than {warm.added_trees}, the 'added_trees'")


def _one_cost(investment: Any) -> Iterator[Misfit]:
    if investment.cost is not None and investment.cost_share is not None:
        yield Misfit(("cost_share",), investment.cost_share, "either 'cost' or 'cost_share'")


def _groups_of_something(grouped: Any) -> Iterator[Misfit]:
    for key in ("groups", "edges"):
        found = value_of(grouped, key)
        if found is not None and grouped.by is None:
            yield Misfit((key,), found, f"no {key!r} without 'by', the feature that it takes apart")


def _values_or_spans(grouped: Any) -> Iterator[Misfit]:
    if grouped.groups is not None and grouped.edges is not None:
        yield Misfit(("edges",), grouped.edges, "either 'groups' of a category or 'edges' of a number")


def _some_groups(grouped: Any) -> Iterator[Misfit]:
    for key, most in (("groups", MOST_GROUPS), ("edges", MOST_GROUPS - 1)):
        found = value_of(grouped, key)
        if found is not None and not 1 <= len(found) <= most:
            yield Misfit((key,), found, f"1 to {most} {key}: each group needs labelled rows of its own")


def _groups_once(grouped: Any) -> Iterator[Misfit]:
    seen: set[str] = set()
    for index, value in known(grouped.groups or []):
        if not value:
            yield Misfit(("groups", index), value, "a value: rows without one are in no group")
        elif value in seen:
            yield Misfit(("groups", index), value, "each group once")
        seen.add(value)


def _edges_rise(grouped: Any) -> Iterator[Misfit]:
    before = None
    for index, edge in known(grouped.edges or []):
        kept = float(f"{edge:.{EDGE_DIGITS}g}")
        if kept != edge:
            yield Misfit(("edges", index), edge, f"a number of at most {EDGE_DIGITS} digits")
        elif before is not None and edge <= before:
            yield Misfit(("edges", index), edge, f"more than {before:g}, the edge before it")
        before = edge


def _one_way_apart(by: Any) -> Iterator[Misfit]:
    if by.groups is not None and by.edges is not None:
        yield Misfit(("edges",), by.edges, "either 'groups' of a category or 'edges' of a number")


def _rising_edges(by: Any) -> Iterator[Misfit]:
    before = None
    for index, edge in known(by.edges or []):
        if before is not None and edge <= before:
            yield Misfit(("edges", index), edge, f"more than {before:g}, the edge before it")
        before = edge


def _each_dimension_once(section: Any) -> Iterator[Misfit]:
    seen: set[str] = set()
    for index, by in known(section.by):
        name = value_of(by, "by")
        if name is not None and name in seen:
            yield Misfit(("by", index, "by"), name, "each feature once")
        seen.add(name)


def _something_to_measure(slices: Any) -> Iterator[Misfit]:
    if not slices.by and not slices.found:
        yield Misfit(("by",), [], "one feature or more, e.g. `- {by: origin}`, or `found: true`")


_FAIRNESS_LIMITS = (
    "max_selection_rate_gap",
    "min_selection_rate_ratio",
    "max_true_positive_rate_gap",
    "max_false_positive_rate_gap",
    "max_equalized_odds_gap",
    "max_calibration_gap",
)


_ROBUSTNESS_LIMITS = (
    "max_missing_increase",
    "max_unseen_increase",
    "max_extreme_increase",
    "max_noise_increase",
    "max_unit_increase",
    "max_search_increase",
    "max_noise_flips",
    "max_search_flips",
)


def _some_limit(keys: tuple[str, ...]) -> Rule:
    """At least one of the keys is declared."""

    def check(section: Any) -> Iterator[Misfit]:
        if all(value_of(section, key, "unknown") is None for key in keys):
            yield Misfit((), {}, f"one limit or more: {', '.join(keys)}")

    return check


def _fair_by_group(recalibration: Any) -> Iterator[Misfit]:
    if recalibration.fairness is not None and recalibration.by is None:
        yield Misfit(("by",), None, "the feature whose groups are recalibrated apart: 'fairness' says what that may do")


def _limits_or_values(searched: Any) -> Iterator[Misfit]:
    limits = {key: value_of(searched, key) for key in ("low", "high")}
    if searched.values is not None:
        for key in ("low", "high", "log"):
            found = value_of(searched, key)
            if found not in (None, False):
                yield Misfit((key,), found, f"no {key!r} beside 'values'")
        return
    for key, found in limits.items():
        if found is None:
            yield Misfit((key,), None, "a number, as {low: 0.01, high: 0.3}; or a list of `values`")


def _limits_of_a_search(searched: Any) -> Iterator[Misfit]:
    low, high = searched.low, searched.high
    if low is None or high is None:
        return
    if not low < high:
        yield Misfit(("high",), high, f"more than {low:g}, the low")
    if searched.log and low <= 0:
        yield Misfit(("low",), low, "more than 0, because log is true")
    if isinstance(low, int) != isinstance(high, int):
        yield Misfit(("high",), high, "of the same kind as low: both whole numbers, or both with a decimal point")


def _time_beside_tuning(training: Any) -> Iterator[Misfit]:
    if training.tuning is not None and training.tuning.minutes >= training.max_minutes:
        allowed = f"less than {training.max_minutes}, the training.max_minutes: the model is made in the rest of them"
        yield Misfit(("tuning", "minutes"), training.tuning.minutes, allowed)


_GROUPED: tuple[Rule, ...] = (_groups_of_something, _values_or_spans, _some_groups, _groups_once, _edges_rise)

SECTION_RULES: dict[str, tuple[Rule, ...]] = {
    "Baseline": (_keys_of_the_rule,),
    "Problem": (
        classes_of_the_type,
        _interval_of_a_value,
        _prices_of_the_type,
        costs_of_the_type,
        _priced,
        _probabilities_of_classes,
    ),
    "Feature": (
        _numbers_without_values,
        _numbers_without_unseen,
        _limits_rise,
        _categories_without_limits,
        _some_values,
        _each_value,
    ),
    "Data": (
        _names_once,
        _rates_rise,
        _target_range_rises,
        _window_beyond_the_test,
        _spans_rise,
        _one_choice_of_rows,
        _accepted_leaks_are_features,
    ),
    "AbsoluteThreshold": (_bounds_something, _bounds_rise, _least_is_reached, _most_is_reached),
    "Rollout": (_steps_rise,),
    "Endpoint": (_one_way_to_run,),
    "Serving": (
        _peak_fits,
        _rate_above_the_load,
        _load_below_a_rest_api,
        _no_tokens_at_a_rest_api,
        _tokens_where_asked_for,
    ),
    "Monitoring": (_spans_hold_windows,),
    "Recalibration": (*_GROUPED, _fair_by_group),
    "Fairness": _GROUPED,
    "By": (_one_way_apart, _groups_once, _rising_edges),
    "GateFairness": (_each_dimension_once, _some_limit(_FAIRNESS_LIMITS)),
    "GateRobustness": (_some_limit(_ROBUSTNESS_LIMITS),),
    "GateSlices": (_each_dimension_once, _something_to_measure),
    "Investment": (_one_cost,),
    "WarmStart": (_room_for_trees,),
    "SearchRange": (_limits_or_values, _limits_of_a_search),
    "Training": (_time_beside_tuning,),
}
"""By the name of the section's class."""
