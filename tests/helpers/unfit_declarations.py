"""Declarations with one mistake each, a few for every rule, and where and how it has to be told."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with ``value`` at a path like ``data.features.1.name``."""
    changed = copy.deepcopy(document)
    *sections, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    place: Any = changed
    for part in sections:
        place = place[part]
    place[last] = value
    return changed


@dataclass(frozen=True)
class Unfit:
    """A value put at a path of a good declaration, and the mistake that has to come of it.

    ``line`` is the text of the line it is told at, at its last occurrence; without a ``path`` it is told at ``at``.
    """

    at: str
    value: Any
    line: str
    found: str
    allowed: str
    path: str = ""


NAMES = "data.features.{}.name"
UNFIT = {
    "an address that is none": Unfit("owner.email", "desk", "email: desk", "'desk'", "@"),
    "a policy that is none": Unfit("gate.policy", "best", "policy: best", "'best'", "'better' or 'not_worse'"),
    "a confidence in percent": Unfit("gate.confidence", 95, "confidence: 95", "95", "less than 1"),
    "a bake of no minutes": Unfit("rollout.bake_minutes", -1, "bake_minutes: -1", "-1", "greater than or equal to 0"),
    "a rate above one": Unfit(
        "rollout.guardrail.max_error_rate", 2, "max_error_rate: 2", "2", "less than or equal to 1"
    ),
    "a shadow that nothing decides on": Unfit(
        "rollout.shadow", {"minutes": 60}, "shadow:", "nothing", "a limit", "rollout.shadow.max_disagreement"
    ),
    "a shadow of no time": Unfit(
        "rollout.shadow",
        {"minutes": 0, "max_score_shift": 0.1},
        "minutes: 0",
        "0",
        "greater than or equal to 1",
        "rollout.shadow.minutes",
    ),
    "answers judged before they are in the lake": Unfit(
        "rollout",
        {
            "steps": [{"percent": 5, "minutes": 30}],
            "bake_minutes": 34,
            "guardrail": {"max_error_rate": 0.1, "max_p99_latency_ms": 200, "scores": {"max_distance": 0.1}},
        },
        "bake_minutes: 34",
        "34",
        "35 or more, or a step of as many",
        "rollout.bake_minutes",
    ),
    "decisions of a rollout that is too short": Unfit(
        "rollout",
        {
            "steps": [{"percent": 5, "minutes": 30}],
            "bake_minutes": 34,
            "guardrail": {"max_error_rate": 0.1, "max_p99_latency_ms": 200, "disagreement": {"max_share": 0.1}},
        },
        "bake_minutes: 34",
        "34",
        "what rollout.guardrail.disagreement judges",
        "rollout.bake_minutes",
    ),
    "labels that come after the rollout": Unfit(
        "rollout",
        {
            "steps": [{"percent": 5, "minutes": 30}],
            "bake_minutes": 60,
            "guardrail": {"max_error_rate": 0.1, "max_p99_latency_ms": 200, "quality": {"max_added_loss": 0.1}},
        },
        "bake_minutes: 60",
        "60",
        "or more: labels come",
        "rollout.bake_minutes",
    ),
    "a business measure of what nobody knows": Unfit(
        "rollout",
        {
            "steps": [{"percent": 5, "minutes": 30}],
            "bake_minutes": 2880,
            "guardrail": {
                "max_error_rate": 0.1,
                "max_p99_latency_ms": 200,
                "business": {"measure": "price * label", "min": 0, "max": 5, "max_drop": 1},
            },
        },
        "measure: price * label",
        "'price * label'",
        "'price' is not one of prediction, probability, label",
        "rollout.guardrail.business.measure",
    ),
    "a business measure without bounds": Unfit(
        "rollout",
        {
            "steps": [{"percent": 5, "minutes": 30}],
            "bake_minutes": 2880,
            "guardrail": {
                "max_error_rate": 0.1,
                "max_p99_latency_ms": 200,
                "business": {"measure": "label", "min": 5, "max": 5, "max_drop": 1},
            },
        },
        "max: 5",
        "5",
        "more than min, which is 5",
        "rollout.guardrail.business.max",
    ),
    "a window that is no number": Unfit(
        "monitoring.minimum_rows", "many", "minimum_rows: many", "'many'", "valid integer"
    ),
    "a wait that is negative": Unfit(
        "retraining.cooldown_days", -1, "cooldown_days: -1", "-1", "greater than or equal to 0"
    ),
    "a lag that is a text": Unfit("data.label_lag_hours", "12h", "label_lag_hours: 12h", "'12h'", "valid number"),
    "a type that is none": Unfit("data.features.2.type", "text", "type: text", "'text'", "'number' or 'category'"),
    "a metric of the other kind": Unfit("gate.metric", "mae", "metric: mae", "'mae'", "'log_loss' or 'brier'"),
    "a threshold of the other kind": Unfit(
        "gate.absolute",
        [{"metric": "roc_auc", "min": 0.5}, {"metric": "rmse", "max": 3}],
        "- metric: rmse",
        "'rmse'",
        "'roc_auc'",
        "gate.absolute[1].metric",
    ),
    "a baseline by no feature": Unfit(
        "problem.baseline",
        {"kind": "group_mean", "by": "lnie"},
        "by: lnie",
        "'lnie'",
        "line, operator",
        "problem.baseline.by",
    ),
    "a baseline by a number": Unfit(
        "problem.baseline",
        {"kind": "group_mean", "by": "wind"},
        "by: wind",
        "'wind'",
        "line, operator",
        "problem.baseline.by",
    ),
    "a baseline by nothing": Unfit(
        "problem.baseline.kind", "group_mean", "baseline:", "nothing", "group_mean", "problem.baseline.by"
    ),
    "a prior by something": Unfit("problem.baseline.by", "line", "by: line", "'line'", "prior"),
    "a repeated feature": Unfit(NAMES.format(2), "wind", "- name: wind", "'wind'", "data.features[1]"),
    "a feature called as the key": Unfit("data.key", "wind", "- name: wind", "'wind'", "data.key", NAMES.format(1)),
    "a target called as the time": Unfit("data.target", "departure", "target: departure", "'departure'", "data.time"),
    "a reserved feature": Unfit(NAMES.format(1), "version", "- name: version", "'version'", "own tables"),
    "a number with values": Unfit("data.features.1.values", [], "values: []", "an empty list", "number"),
    "a category with limits": Unfit("data.features.3.min", -7, "min: -7", "-7", "category"),
    "no values": Unfit("data.features.2.values", [], "values: []", "an empty list", "one value"),
    "an empty value": Unfit(
        "data.features.2.values", ["a", ""], "- ''", "''", "1 to 64 characters", "data.features.2.values.1"
    ),
    "a value that no request may hold": Unfit(
        "data.features.2.values",
        ["north", "so\tuth"],
        '- "so\\tuth"',
        "'so\\tuth'",
        "control characters",
        "data.features.2.values.1",
    ),
    "a value twice": Unfit("data.features.2.values", ["a", "a"], "- a", "'a'", "once", "data.features.2.values.1"),
    "limits the wrong way round": Unfit("data.features.0.max", -1, "max: -1", "-1", "at least 0"),
    "rates the wrong way round": Unfit("data.positive_rate", [0.6, 0.1], "positive_rate:", "[0.6, 0.1]", "lower"),
    "the same rate twice": Unfit("data.positive_rate", [0.5, 0.5], "positive_rate:", "[0.5, 0.5]", "lower"),
    "half of the rates": Unfit(
        "data.positive_rate", [0.1], "positive_rate:", "nothing", "a value more", "data.positive_rate.1"
    ),
    "three rates": Unfit("data.positive_rate", [0.1, 0.2, 0.3], "positive_rate:", "[0.1", "at most 2"),
    "a window that is all test": Unfit("data.training_window_days", 7, "training_window_days: 7", "7", "more than 7"),
    "no spans": Unfit("data.training_spans", [], "training_spans: []", "an empty list", "at least 1"),
    "a range of ones and zeros": Unfit("data.target_max", 1, "target_max: 1", "1", "0 or 1"),
    "a lag without end": Unfit("data.label_lag_hours", math.inf, "label_lag_hours: .inf", ".inf, which", "finite"),
    "a lag of ages": Unfit("data.label_lag_hours", 1e300, "label_lag_hours: 1.0e+300", "1.0e+300", "less than"),
    "a refit at another time": Unfit("training.refit", "always", "refit: always", "'always'", "after_gate"),
    "a refit that may not differ": Unfit(
        "training.refit_max_difference", 0, "refit_max_difference: 0", "0", "greater than 0"
    ),
    "a refit that may be anything": Unfit(
        "training.refit_max_difference", math.inf, "refit_max_difference: .inf", ".inf", "finite"
    ),
    "a warm start without room": Unfit(
        "training.warm_start",
        {"added_trees": 50, "max_trees": 50},
        "max_trees: 50",
        "50",
        "more than 50",
        "training.warm_start.max_trees",
    ),
    "a warm start of no tree": Unfit(
        "training.warm_start",
        {"added_trees": 0},
        "added_trees: 0",
        "0",
        "greater than or equal to 1",
        "training.warm_start.added_trees",
    ),
    "a script outside": Unfit("training.script", "../../x.py", "script: ../../x.py", "'../../x.py'", "inside"),
    "an absolute script": Unfit("training.script", "/x.py", "script: /x.py", "'/x.py'", "inside"),
    "a script by the way out": Unfit("training.script", "a/../../x.py", "script: a/../../x.py", "'a/..", "inside"),
    "a hidden script": Unfit("training.script", ".x/x.py", "script: .x/x.py", "'.x/x.py'", "inside"),
    "no Python": Unfit("training.script", "train.sh", "script: train.sh", "'train.sh'", "inside"),
    "a parameter that is a list": Unfit(
        "training.parameters", {"rate": [1]}, "rate:", "[1]", "a finite number", "training.parameters.rate"
    ),
    "a parameter without end": Unfit(
        "training.parameters", {"rate": math.inf}, "rate: .inf", ".inf", "a finite number", "training.parameters.rate"
    ),
    "an instance without a price": Unfit(
        "training.instance_type",
        "ml.g5.xlarge",
        "instance_type: ml.g5.xlarge",
        "'ml.g5.xlarge'",
        "cost.instance_usd_per_hour",
    ),
    "a threshold without a bound": Unfit(
        "gate.absolute", [{"metric": "brier"}], "- metric: brier", "this section", "'min' or 'max'", "gate.absolute.0"
    ),
    "a threshold the wrong way round": Unfit(
        "gate.absolute",
        [{"metric": "brier", "min": 0.3, "max": 0.2}],
        "max: 0.2",
        "0.2",
        "at least 0.3",
        "gate.absolute.0.max",
    ),
    "an area above one": Unfit(
        "gate.absolute", [{"metric": "roc_auc", "min": 55}], "min: 55", "55", "at most 1", "gate.absolute.0.min"
    ),
    "a loss below zero": Unfit(
        "gate.absolute",
        [{"metric": "log_loss", "max": -0.1}],
        "max: -0.1",
        "-0.1",
        "at least 0",
        "gate.absolute.0.max",
    ),
    "a peak of larger requests than are taken": Unfit(
        "serving",
        {"max_rows": 10, "peak": {"requests_per_second": 1, "rows": 11}},
        "rows: 11",
        "11",
        "at most 10, the 'max_rows'",
        path="serving.peak.rows",
    ),
    "a rate below the load test": Unfit(
        "serving",
        {"rate": {"requests_per_second": 30}, "peak": {"requests_per_second": 20}},
        "requests_per_second: 30",
        "30",
        "at least 40",
        path="serving.rate.requests_per_second",
    ),
    "a peak above a REST API's limit": Unfit(
        "serving",
        {"api": "rest", "peak": {"requests_per_second": 600}},
        "requests_per_second: 600",
        "600",
        "at most 500",
        path="serving.peak.requests_per_second",
    ),
    "tokens at a REST API": Unfit(
        "serving",
        {
            "api": "rest",
            "authorization": "jwt",
            "jwt": {"issuer": "https://login.example.com", "audience": ["predictions"]},
        },
        "api: rest",
        "'rest'",
        "'http' with authorization jwt",
        path="serving.api",
    ),
    "a burst beyond an account's": Unfit(
        "serving",
        {"rate": {"requests_per_second": 30, "burst": 5001}},
        "burst: 5001",
        "5001",
        "less than or equal to 5000",
        path="serving.rate.burst",
    ),
    "a reconciliation on days by a word": Unfit(
        "rollout.reconcile",
        {"schedule": "cron(0 6 L * ? *)"},
        "schedule: cron(0 6 L * ? *)",
        "'cron(0 6 L * ? *)'",
        "runs every day",
        path="rollout.reconcile.schedule",
    ),
    "steps that do not rise": Unfit("rollout.steps.1.percent", 10, "- percent: 10", "10", "more than 10"),
    "a bake of two years": Unfit("rollout.bake_minutes", 1_051_200, "bake_minutes: 1051200", "1051200", "after 365"),
    "a step of two years": Unfit("rollout.steps.1.minutes", 1_051_200, "minutes: 1051200", "1051200", "after 365"),
    "a hold of half a year, three times": Unfit(
        "rollout.guardrail",
        {"max_error_rate": 0.1, "max_p99_latency_ms": 9, "max_hold_minutes": 262_800},
        "max_hold_minutes: 262800",
        "262800",
        "Step Functions",
        "rollout.guardrail.max_hold_minutes",
    ),
    "more steps than anybody takes": Unfit(
        "rollout.steps", [{"percent": 1 + n, "minutes": 1} for n in range(21)], "steps:", "this list", "at most 20"
    ),
    "a latency that is no number": Unfit(
        "rollout.guardrail.max_p99_latency_ms", math.nan, "max_p99_latency_ms: .nan", ".nan", "finite"
    ),
    "more rows than a body holds": Unfit("serving.max_rows", 15_000, "max_rows: 15000", "15000", "less than"),
    "no schedule": Unfit(
        "monitoring.schedule", "rate(banana)", "schedule: rate(banana)", "'rate(banana)'", "rate(1 day)"
    ),
    "a schedule of crontab": Unfit(
        "monitoring.schedule", "cron(0 11 * * *)", "schedule: cron(0 11 * * *)", "'cron(0 11 * * *)'", "six fields"
    ),
    "a schedule that leaves days out": Unfit(
        "monitoring.schedule", "rate(7 days)", "schedule: rate(7 days)", "'rate(7 days)'", "never be monitored"
    ),
    "a window longer than the schedule": Unfit(
        "monitoring",
        {"window_hours": 48, "drift_days": 8},
        "monitoring:",
        "'cron(0 6 * * ? *)', the default when the key is left out",
        "monitored twice",
        "monitoring.schedule",
    ),
    "days that hold no whole window": Unfit(
        "monitoring",
        {"window_hours": 48, "schedule": "rate(2 days)"},
        "monitoring:",
        "7, the default when the key is left out",
        "a multiple of 2",
        "monitoring.drift_days",
    ),
    "quality of a single window": Unfit(
        "monitoring",
        {"window_hours": 168, "schedule": "rate(7 days)"},
        "days: 7",
        "7",
        "more days than one window has",
        "retraining.quality.days",
    ),
    "an effect without end": Unfit("monitoring.minimum_effect", math.inf, "minimum_effect: .inf", ".inf", "finite"),
    "less confidence than a coin": Unfit(
        "retraining.quality.confidence", 0.49, "confidence: 0.49", "0.49", "greater than or equal to 0.5"
    ),
    "a price beyond all prices": Unfit(
        "cost.instance_usd_per_hour",
        1e305,
        "instance_usd_per_hour: 1.0e+305",
        "1.0e+305",
        "less than or equal to 10000",
    ),
    "a run above its ceiling": Unfit(
        "cost.max_training_run_usd",
        0.2,
        "max_training_run_usd: 0.2",
        "0.2",
        "at least $0.460, the possible cost of one run: 4 jobs of 30 minutes and up to 30 to start, on ml.m5.large"
        " at $0.115",
    ),
    "a month above its budget": Unfit(
        "cost.monthly_budget_usd",
        0.9,
        "monthly_budget_usd: 0.9",
        "0.9",
        "at least $1.84, the possible cost of training in a month: with 4 runs in any 60 days",
    ),
    "a slice by what is no feature": Unfit(
        "gate.slices",
        {"by": [{"by": "colour"}]},
        "- by: colour",
        "'colour'",
        "the name of a feature",
        "gate.slices.by.0.by",
    ),
    "robustness without a limit": Unfit(
        "gate.robustness",
        {},
        "robustness: {}",
        "this section",
        "one limit or more: max_missing_increase",
    ),
    "fairness without a limit": Unfit(
        "gate.fairness",
        {"by": [{"by": "line"}]},
        "fairness:",
        "this section",
        "one limit or more: max_selection_rate_gap",
    ),
}
