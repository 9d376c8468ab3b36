"""Whether the sections of a declaration fit each other, and the services that will carry them out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from everloop.evaluation.expressions import ExpressionError, check
from everloop.model_file import sizes, worst_case
from everloop.model_file.answers_fit import (
    answers_in_time,
    bounded_loss,
    decisions,
    labels_in_time,
    measured_business,
)
from everloop.model_file.capture_fit import capture_misfits
from everloop.model_file.fallback_fit import fallback_misfits
from everloop.model_file.grouped_fit import RATES, RECALIBRATED_RATES, dimension_misfits, grouped_misfits
from everloop.model_file.misfit import Location, Misfit
from everloop.model_file.multiclass_fit import (
    shares_of_classes,
    what_several_classes_lack,
)
from everloop.model_file.names import closest_name
from everloop.model_file.partial import Partial, Rule, all_known, known, value_of, whole_items, written
from everloop.model_file.prices import PRICES_REGION, USD_PER_HOUR
from everloop.model_file.ranking_fit import judged_ranking, lists_of_a_feature, relevance_of_labels
from everloop.model_file.schedule import parse_schedule
from everloop.model_file.split_fit import (
    classes_to_count,
    groups_of_a_feature,
    keys_of_the_split,
    learners_of_held_groups,
)
from everloop.model_file.tiers import tier_misfits
from everloop.numbers_of import number_of
from everloop.problem_types import BINARY, MULTICLASS, REGRESSION
from everloop.recalibration.interval import rows_needed

if TYPE_CHECKING:
    from everloop.model_file.sections.all_sections import AllSections

FLIPS = ("max_noise_flips", "max_search_flips")
"""Limits of ``gate.robustness`` that only a classification has."""

GATE_METRICS = {BINARY: ("log_loss", "brier"), MULTICLASS: ("log_loss", "brier"), REGRESSION: ("mae", "rmse")}
ABSOLUTE_METRICS = {
    BINARY: ("log_loss", "brier", "roc_auc"),
    MULTICLASS: ("log_loss", "brier", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc_ovr"),
    REGRESSION: ("mae", "rmse"),
}


def _gate_metric(declaration: AllSections) -> Iterator[Misfit]:
    kind, metric = declaration.problem.type, declaration.gate.metric
    if metric not in GATE_METRICS[kind]:
        yield Misfit(("gate", "metric"), metric, _one_of(GATE_METRICS[kind], kind))


def _absolute_metrics(declaration: AllSections) -> Iterator[Misfit]:
    kind = declaration.problem.type
    for index, threshold in known(declaration.gate.absolute):
        metric = value_of(threshold, "metric")
        if metric is not None and metric not in ABSOLUTE_METRICS[kind]:
            yield Misfit(("gate", "absolute", index, "metric"), metric, _one_of(ABSOLUTE_METRICS[kind], kind))


def _one_of(metrics: tuple[str, ...], kind: str) -> str:
    return f"{' or '.join(map(repr, metrics))}, because problem.type is {kind}"


def _baseline(declaration: AllSections) -> Iterator[Misfit]:
    by = declaration.problem.baseline.by
    features = [feature for _, feature in known(declaration.data.features)]
    # A type that is unknown may come to be category, and a name that is wrong to be this one.
    names = [written(f, "name") for f in features if value_of(f, "type", "category") == "category"]
    if by is not None and by not in names and by not in [closest_name(n) for n in names if isinstance(n, str)]:
        allowed = f"the name of a category feature: {', '.join(map(str, names)) or 'none is declared'}"
        yield Misfit(("problem", "baseline", "by"), by, allowed)


def _interval_rows(declaration: AllSections) -> Iterator[Misfit]:
    interval = declaration.problem.interval
    if interval is None:
        return
    least, tested = rows_needed(interval.coverage), declaration.gate.minimum_test_rows
    if tested < least:
        allowed = f"at least {least}: an interval of problem.interval.coverage {interval.coverage:g} needs as many"
        yield Misfit(("gate", "minimum_test_rows"), tested, allowed)


def _expression(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a heuristic can be read, and answers what the problem asks for."""
    text = declaration.problem.baseline.expression
    if text is None:
        return
    at = ("problem", "baseline", "expression")
    try:
        kind = check(text, {f.name: f.type for f in all_known(declaration.data.features)})
    except ExpressionError as error:
        yield Misfit(at, text, str(error))
        return
    if kind == "condition" and declaration.problem.type == "regression":
        yield Misfit(at, text, "an expression that answers a number, because problem.type is regression")


def _recalibrated_groups(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.recalibration is not None:
        yield from grouped_misfits(declaration, declaration.recalibration, ("recalibration",))


def _fair_groups(declaration: AllSections) -> Iterator[Misfit]:
    recalibration = declaration.recalibration
    fairness = None if recalibration is None else recalibration.fairness
    if fairness is None:
        return
    at = ("recalibration", "fairness")
    yield from grouped_misfits(declaration, fairness, at)
    yield from _rates_of_classes(declaration, fairness, at, RECALIBRATED_RATES)


def _rates_of_classes(
    declaration: AllSections, fairness: Any, at: Location, rates: tuple[str, ...]
) -> Iterator[Misfit]:
    if declaration.problem.type != "regression":
        return
    for key in rates:
        limit = value_of(fairness, key)
        if limit is not None:
            yield Misfit((*at, key), limit, f"no {key!r}: a regression decides nothing, so it has no such rate")


def _slices(declaration: AllSections) -> Iterator[Misfit]:
    slices = value_of(declaration.gate, "slices")
    for index, by in known(value_of(slices, "by", [])) if slices is not None else ():
        yield from dimension_misfits(declaration, by, ("gate", "slices", "by", index))


def _fair_gate(declaration: AllSections) -> Iterator[Misfit]:
    fairness, at = value_of(declaration.gate, "fairness"), ("gate", "fairness")
    if fairness is None:
        return
    for index, by in known(value_of(fairness, "by", [])):
        yield from dimension_misfits(declaration, by, (*at, "by", index))
    yield from _rates_of_classes(declaration, fairness, at, RATES)


def _flips(declaration: AllSections) -> Iterator[Misfit]:
    robustness = value_of(declaration.gate, "robustness")
    if robustness is not None:
        yield from _rates_of_classes(declaration, robustness, ("gate", "robustness"), FLIPS)


def _target_range(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.problem.type == "regression":
        return
    for key in ("target_min", "target_max"):
        limit = value_of(declaration.data, key)
        if limit is not None:
            target = "0 or 1" if declaration.problem.type == BINARY else "one of problem.classes"
            yield Misfit(("data", key), limit, f"no {key!r}: the target of a {declaration.problem.type} is {target}")


def _request_size(declaration: AllSections) -> Iterator[Misfit]:
    """As many rows as are taken at once must find room in a request, however long their values are."""
    rows, row = declaration.serving.max_rows, sizes.row_bytes(_with_whole_features(declaration))
    room = (sizes.MAX_BODY_BYTES - len('{"instances":[]}')) // row
    if 1 <= room < rows:
        yield Misfit(
            ("serving", "max_rows"),
            rows,
            f"at most {room}: a request has at most {sizes.MAX_BODY_BYTES:,} bytes, and a row with these columns"
            f" takes up to {row:,} (max_length of each category, 4 bytes a character; with a shorter one more rows"
            " fit)",
        )


def _width(declaration: AllSections) -> Iterator[Misfit]:
    """Whether the services take what is written of all features together: at least of those that are known."""
    declaration = _with_whole_features(declaration)
    worst = [
        ("one captured row", sizes.record_bytes(declaration), sizes.MAX_RECORD_BYTES, "Firehose"),
        ("the query of a training set", sizes.training_set_query_bytes(declaration), sizes.MAX_QUERY_BYTES, "Athena"),
        ("the record of a training set", sizes.snapshot_record_bytes(declaration), sizes.MAX_ITEM_BYTES, "DynamoDB"),
        ("the record of a window", sizes.window_record_bytes(declaration), sizes.MAX_ITEM_BYTES, "DynamoDB"),
    ]
    features = declaration.data.features
    remedy = f"fewer than these {len(features)} features, or a shorter max_length of categories"
    for what, found, limit, service in worst:
        if found > limit:
            yield Misfit(
                ("data", "features"),
                features,
                f"{remedy}: {what} could take {found:,} bytes, and {service} accepts at most {limit:,}",
            )
    queries = sizes.profile_queries(declaration)
    if queries > sizes.MAX_QUERIES:
        yield Misfit(
            ("data", "features"),
            features,
            f"{remedy}: counting a window could need more than {sizes.MAX_QUERIES} queries of"
            f" {sizes.MAX_QUERY_BYTES:,} bytes, the most that Athena accepts",
        )


def _with_whole_features(declaration: Any) -> Any:
    if not isinstance(declaration, Partial):
        return declaration
    return declaration.having(data=whole_items(declaration.data, "features"))


def _execution(declaration: AllSections) -> Iterator[Misfit]:
    """Whether Step Functions lets one execution take its time. How often it looks at a rollout follows from that."""
    if worst_case.pipeline_seconds(declaration) > worst_case.EXECUTION_SECONDS:
        yield _too_long(declaration)


def _too_long(declaration: AllSections) -> Misfit:
    rollout, seconds = declaration.rollout, worst_case.pipeline_seconds(declaration)
    hold = rollout.guardrail.max_hold_minutes
    unseen = 0 if rollout.shadow is None else value_of(rollout.shadow, "minutes") or 0
    # What takes longest is what there is to shorten: a hold comes with every step, and once more.
    shares: list[tuple[int, Location, int]] = [
        (rollout.bake_minutes, ("rollout", "bake_minutes"), rollout.bake_minutes),
        (hold * (len(rollout.steps) + 2), ("rollout", "guardrail", "max_hold_minutes"), hold),
        (unseen, ("rollout", "shadow", "minutes"), unseen),
        *((step.minutes, ("rollout", "steps", i, "minutes"), step.minutes) for i, step in enumerate(rollout.steps)),
    ]
    _, place, found = max(shares, key=lambda share: share[0])
    days = math.ceil(seconds / 86400)
    return Misfit(
        place,
        found,
        f"fewer minutes: with all jobs, steps, holds and the bake, one execution could take {days:,} days, and"
        f" Step Functions ends it after {worst_case.EXECUTION_SECONDS // 86400}",
    )


def _windows(declaration: AllSections) -> Iterator[Misfit]:
    monitoring, quality = declaration.monitoring, declaration.retraining.quality
    days = monitoring.window_hours // 24
    between = parse_schedule(monitoring.schedule).days_between
    if between != days:
        every = "every day" if days == 1 else f"every {days} days"
        example = "cron(0 6 * * ? *)" if days == 1 else "cron(0 6 ? * MON *)" if days == 7 else f"rate({days} days)"
        allowed = f"a run {every}, e.g. {example}: with window_hours {monitoring.window_hours}, otherwise days would "
        wrong = "be monitored twice" if between is not None and between < days else "never be monitored"
        yield Misfit(("monitoring", "schedule"), monitoring.schedule, allowed + wrong)
    if quality is not None and quality.days <= days:
        allowed = f"more days than one window has ({days}): one window does not show how days differ"
        yield Misfit(("retraining", "quality", "days"), quality.days, allowed)


def _unlearned_standing_set(declaration: AllSections) -> Iterator[Misfit]:
    """Whether no training learns from the standing set, though it does not read its rows."""
    if declaration.gate.standing is not None and declaration.training.warm_start is not None:
        yield Misfit(
            ("gate", "standing"),
            {},
            "no 'standing' with training.warm_start: a version that is continued may have learned from the rows that"
            " are put aside",
        )


def _comparable_rows(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a training that starts by itself has a whole test part that its champion has not learned from.

    A refit has learned up to the newest label there was; as many days of new rows there are as have gone by since.
    """
    if declaration.training.refit != "after_gate":
        return
    retraining, test_days = declaration.retraining, declaration.data.split.longest_days
    cooldown, schedule = retraining.cooldown_days, retraining.schedule_days
    why = (
        f"at least {test_days}, the days of data.split.test_days: with training.refit 'after_gate' a champion has"
        " learned from all labelled rows, and a training {} later has only that many days of test rows which are"
        " new to it (or training.refit 'none': then a champion never learns from its test rows)"
    )
    by_evidence = retraining.quality or retraining.drift or retraining.investment or retraining.volume
    if by_evidence and cooldown < test_days:
        yield Misfit(("retraining", "cooldown_days"), cooldown, why.format(number_of(cooldown, "day")))
    if schedule is not None and max(schedule, cooldown) < test_days:
        yield Misfit(("retraining", "schedule_days"), schedule, why.format(number_of(max(schedule, cooldown), "day")))


def _judged_in_a_shadow(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a shadow has a limit for what it finds, and one that answers of this type have."""
    shadow, kind = value_of(declaration.rollout, "shadow"), declaration.problem.type
    if shadow is None:
        return
    disagreement, shift = value_of(shadow, "max_disagreement"), value_of(shadow, "max_score_shift")
    if kind == REGRESSION and disagreement is not None:
        yield Misfit(
            ("rollout", "shadow", "max_disagreement"), disagreement, "max_score_shift alone: values are not decisions"
        )
    elif kind == MULTICLASS and shift is not None:
        yield Misfit(
            ("rollout", "shadow", "max_score_shift"), shift, "max_disagreement alone: scores of other classes differ"
        )
    elif disagreement is None and shift is None:
        lacks = "max_score_shift" if kind == REGRESSION else "max_disagreement"
        yield Misfit(("rollout", "shadow", lacks), None, "a limit: without one every answer would do, e.g. 0.05")


def _room_for_autoscaling(declaration: AllSections) -> Iterator[Misfit]:
    endpoint = declaration.serving.endpoint
    if endpoint is None or endpoint.autoscaling is None:
        return
    most, least = endpoint.autoscaling.max_instances, endpoint.instances
    if most <= least:
        at = ("serving", "endpoint", "autoscaling", "max_instances")
        yield Misfit(at, most, f"more than serving.endpoint.instances, the fewest, which is {least}")


_ENDPOINTS = {
    "sagemaker_endpoint": "instance_type and usd_per_hour",
    "sagemaker_serverless": "serverless: {memory_mb: …, max_concurrency: …, usd_per_gb_second: …}",
}
"""What each target needs in ``serving.endpoint`` besides the image."""


def _endpoint_of_the_target(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a target that needs an endpoint has one. Beside another target it stays until a rollout has left it."""
    target, endpoint = declaration.rollout.target, declaration.serving.endpoint
    needed = _ENDPOINTS.get(target)
    if needed is None:
        return
    if endpoint is None:
        yield Misfit(("rollout", "target"), target, f"a serving.endpoint beside it, with image, {needed}")
    elif (value_of(endpoint, "serverless") is not None) != (target == "sagemaker_serverless"):
        other = next(name for name in _ENDPOINTS if name != target)
        yield Misfit(("rollout", "target"), target, f"{other!r}, or a serving.endpoint with {needed}")


def _days_to_tune_on(declaration: AllSections) -> Iterator[Misfit]:
    """Whether the shortest declared span has days before the validation parts."""
    tuning, data = value_of(declaration.training, "tuning"), declaration.data
    spans = [days for days in (data.training_window_days, *(data.training_spans or ())) if days is not None]
    if tuning is None or not spans:
        return
    taken, room = tuning.folds * tuning.fold_days, min(spans) - data.split.longest_days
    if taken >= room:
        allowed = (
            f"with fold_days {tuning.fold_days} fewer than {room / tuning.fold_days:g}: the declared rows to learn from"
            f" have {number_of(room, 'day')} before the test part, and the first fold learns from what precedes it"
        )
        yield Misfit(("training", "tuning", "folds"), tuning.folds, allowed)


def _probe_windows(declaration: AllSections) -> Iterator[Misfit]:
    """Whether the windows of probes are whole windows of the monitor."""
    investment, days = declaration.retraining.investment, declaration.monitoring.window_hours // 24
    if investment is not None and investment.every_days % days:
        allowed = f"a multiple of {days}, the days of a window (monitoring.window_hours)"
        yield Misfit(("retraining", "investment", "every_days"), investment.every_days, allowed)


def _measured_spans(declaration: AllSections) -> Iterator[Misfit]:
    """Whether anything measures the spans that trainings are to choose from."""
    spans = declaration.data.training_spans
    if spans is not None and declaration.retraining.investment is None:
        yield Misfit(
            ("data", "training_spans"),
            spans,
            "a retraining.investment beside them, whose probes measure the spans (`investment: {}` is enough)",
        )


def _probe_price(declaration: AllSections) -> Iterator[Misfit]:
    investment = declaration.retraining.investment
    own = investment is not None and investment.instance_type not in (None, declaration.training.instance_type)
    if investment is not None and own and worst_case.probe_usd_per_hour(declaration) is None:
        yield Misfit(
            ("retraining", "investment", "instance_type"),
            investment.instance_type,
            f"one whose price is known here ({', '.join(USD_PER_HOUR)}), or that of training.instance_type",
        )


def _training_run_cost(declaration: AllSections) -> Iterator[Misfit]:
    cost, instance = declaration.cost, declaration.training.instance_type
    worst = worst_case.training_run_usd(declaration)
    if worst is None:
        yield Misfit(
            ("training", "instance_type"),
            instance,
            f"one whose price is known here ({', '.join(USD_PER_HOUR)}), or any other together with its price in your "
            "region as cost.instance_usd_per_hour",
        )
    elif _rounded_up(worst) > cost.max_training_run_usd:
        yield Misfit(
            ("cost", "max_training_run_usd"),
            cost.max_training_run_usd,
            f"at least {_usd(worst)}, the possible cost of one run: {_run_cost(declaration)}",
        )


def _monthly_cost(declaration: AllSections) -> Iterator[Misfit]:
    cost, quota = declaration.cost, declaration.retraining.quota
    worst, runs = worst_case.training_run_usd(declaration), worst_case.runs_in_a_month(declaration)
    if worst is None:
        return
    probes, older = worst_case.probes_usd(declaration), worst_case.restorations_usd(declaration)
    endpoint = worst_case.endpoint_usd(declaration)
    total = runs * worst + probes + older + endpoint
    if _rounded_up(total) > cost.monthly_budget_usd:
        also = f", and probes (retraining.investment) up to {_usd(probes)}" if probes else ""
        also += f", and the endpoint's instances, which run all the time, {_usd(endpoint)}" if endpoint else ""
        also += f", and evaluations of older versions up to {_usd(older)}" if older else ""
        yield Misfit(
            ("cost", "monthly_budget_usd"),
            cost.monthly_budget_usd,
            f"at least {_usd(total)}, the possible cost of training in a month: with"
            f" {number_of(quota.runs, 'run')} in any {number_of(quota.days, 'day')}, retraining.quota lets {runs}"
            f" start, at up to {_usd(worst)} each ({_run_cost(declaration)}){also}",
        )


def _run_cost(declaration: AllSections) -> str:
    price = worst_case.instance_usd_per_hour(declaration)
    whence = f"in {PRICES_REGION}" if declaration.cost.instance_usd_per_hour is None else "as declared"
    start_up = worst_case.START_UP_SECONDS // 60
    return (
        f"{worst_case.jobs(declaration)} jobs of {number_of(declaration.training.max_minutes, 'minute')} and up "
        f"to {start_up} to "
        f"start, on {declaration.training.instance_type} at ${price:g} an hour {whence}"
    )


def _usd(amount: float) -> str:
    return f"${_rounded_up(amount):,.{_places(amount)}f}"


def _rounded_up(amount: float) -> float:
    """The figure that is named, which must be enough."""
    scale = 10.0 ** _places(amount)
    return math.ceil(round(amount * scale, 6)) / scale


def _places(amount: float) -> int:
    """Cents; below a dollar a tenth of one."""
    return 3 if amount < 1 else 2


def _acceptable_latency(declaration: AllSections) -> Iterator[Misfit]:
    """Whether the limits of latency are those that callers can live with."""
    acceptable = declaration.problem.acceptable_latency_ms
    if acceptable is None:
        return
    guardrail = value_of(declaration.rollout, "guardrail")
    for location, limit in (
        (("gate", "max_latency_ms"), value_of(value_of(declaration, "gate"), "max_latency_ms")),
        (("rollout", "guardrail", "max_p99_latency_ms"), value_of(guardrail, "max_p99_latency_ms")),
    ):
        if limit is not None and limit > acceptable:
            yield Misfit(location, limit, f"at most {acceptable:g}, the problem.acceptable_latency_ms")


WHOLE_RULES: tuple[Rule, ...] = (
    _gate_metric,
    _absolute_metrics,
    _baseline,
    _expression,
    _interval_rows,
    _recalibrated_groups,
    _fair_groups,
    _slices,
    _fair_gate,
    _flips,
    _target_range,
    _request_size,
    _width,
    _execution,
    _windows,
    _unlearned_standing_set,
    keys_of_the_split,
    classes_to_count,
    lists_of_a_feature,
    relevance_of_labels,
    judged_ranking,
    groups_of_a_feature,
    learners_of_held_groups,
    _comparable_rows,
    _endpoint_of_the_target,
    _room_for_autoscaling,
    _judged_in_a_shadow,
    answers_in_time,
    decisions,
    labels_in_time,
    bounded_loss,
    measured_business,
    _days_to_tune_on,
    _probe_windows,
    _measured_spans,
    _probe_price,
    _training_run_cost,
    _monthly_cost,
    _acceptable_latency,
    fallback_misfits,
    capture_misfits,
    what_several_classes_lack,
    shares_of_classes,
    tier_misfits,
)
"""Of the whole declaration."""
