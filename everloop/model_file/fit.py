"""Whether the sections of a declaration fit each other, and the services that will carry them out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from everloop.model_file import sizes, worst_case
from everloop.model_file.misfit import Location, Misfit
from everloop.model_file.names import closest_name
from everloop.model_file.partial import Partial, Rule, known, value_of, whole_items, written
from everloop.model_file.prices import PRICES_REGION, USD_PER_HOUR
from everloop.model_file.schedule import parse_schedule
from everloop.numbers_of import number_of

if TYPE_CHECKING:
    from everloop.model_file.sections import AllSections

GATE_METRICS = {"binary_classification": ("log_loss", "brier"), "regression": ("mae", "rmse")}
ABSOLUTE_METRICS = {"binary_classification": ("log_loss", "brier", "roc_auc"), "regression": ("mae", "rmse")}


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
    return f"{' or '.join(map(repr, metrics))}, as problem.type is {kind}"


def _baseline(declaration: AllSections) -> Iterator[Misfit]:
    by = declaration.problem.baseline.by
    features = [feature for _, feature in known(declaration.data.features)]
    # A type that is unknown may come to be category, and a name that is wrong to be this one.
    names = [written(f, "name") for f in features if value_of(f, "type", "category") == "category"]
    if by is not None and by not in names and by not in [closest_name(n) for n in names if isinstance(n, str)]:
        allowed = f"the name of a category feature: {', '.join(map(str, names)) or 'none is declared'}"
        yield Misfit(("problem", "baseline", "by"), by, allowed)


def _target_range(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.problem.type == "regression":
        return
    for key in ("target_min", "target_max"):
        limit = value_of(declaration.data, key)
        if limit is not None:
            yield Misfit(("data", key), limit, f"no {key!r}: the target of a binary_classification is 0 or 1")


def _request_size(declaration: AllSections) -> Iterator[Misfit]:
    """As many rows as are taken at once have to find room in a request, however long their values are."""
    rows, row = declaration.serving.max_rows, sizes.row_bytes(_with_whole_features(declaration))
    room = (sizes.MAX_BODY_BYTES - len('{"instances":[]}')) // row
    if 1 <= room < rows:
        yield Misfit(
            ("serving", "max_rows"),
            rows,
            f"at most {room}: a request has at most {sizes.MAX_BODY_BYTES:,} bytes, and a row with these columns takes "
            f"up to {row:,} (max_length of each category, 4 bytes a character; a shorter one leaves room for more)",
        )


def _width(declaration: AllSections) -> Iterator[Misfit]:
    """Whether the services take what is written of all features together: at least of those that are known."""
    declaration = _with_whole_features(declaration)
    worst = [
        ("one row as it is captured", sizes.record_bytes(declaration), sizes.MAX_RECORD_BYTES, "Firehose"),
        ("the query of a training set", sizes.snapshot_query_bytes(declaration), sizes.MAX_QUERY_BYTES, "Athena"),
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
                f"{remedy}: {what} could take {found:,} bytes, and {service} takes {limit:,}",
            )
    queries = sizes.profile_queries(declaration)
    if queries > sizes.MAX_QUERIES:
        yield Misfit(
            ("data", "features"),
            features,
            f"{remedy}: to count a window could take more than {sizes.MAX_QUERIES} queries of "
            f"{sizes.MAX_QUERY_BYTES:,} bytes, the most that Athena takes",
        )


def _with_whole_features(declaration: Any) -> Any:
    if not isinstance(declaration, Partial):
        return declaration
    return declaration.having(data=whole_items(declaration.data, "features"))


def _execution(declaration: AllSections) -> Iterator[Misfit]:
    """Whether Step Functions lets one execution take its time, and keep its history."""
    if worst_case.pipeline_seconds(declaration) > worst_case.EXECUTION_SECONDS:
        yield _too_long(declaration)
    elif worst_case.rollout_looks(declaration.rollout) > worst_case.HISTORY_LOOKS:
        yield _too_many_looks(declaration)


def _too_long(declaration: AllSections) -> Misfit:
    rollout, seconds = declaration.rollout, worst_case.pipeline_seconds(declaration)
    hold = rollout.guardrail.max_hold_minutes
    # What takes longest is what there is to shorten: a hold comes with every step, and once more.
    shares: list[tuple[int, Location, int]] = [
        (rollout.bake_minutes, ("rollout", "bake_minutes"), rollout.bake_minutes),
        (hold * (len(rollout.steps) + 1), ("rollout", "guardrail", "max_hold_minutes"), hold),
        *((step.minutes, ("rollout", "steps", i, "minutes"), step.minutes) for i, step in enumerate(rollout.steps)),
    ]
    _, place, found = max(shares, key=lambda share: share[0])
    days = math.ceil(seconds / 86400)
    return Misfit(
        place,
        found,
        f"fewer minutes: with all jobs, all steps and holds and the bake, one execution could take {days:,} days, and "
        f"Step Functions ends it after {worst_case.EXECUTION_SECONDS // 86400}",
    )


def _too_many_looks(declaration: AllSections) -> Misfit:
    return Misfit(
        ("rollout", "guardrail", "max_hold_minutes"),
        declaration.rollout.guardrail.max_hold_minutes,
        "fewer minutes, or longer steps: a step that is held is looked at once in its own length, which could come to "
        f"{worst_case.rollout_looks(declaration.rollout):,} looks, and the history of one execution has room for "
        f"{worst_case.HISTORY_LOOKS:,}",
    )


def _windows(declaration: AllSections) -> Iterator[Misfit]:
    monitoring, quality = declaration.monitoring, declaration.retraining.quality
    days = monitoring.window_hours // 24
    between = parse_schedule(monitoring.schedule).days_between
    if between != days:
        every = "every day" if days == 1 else f"every {days} days"
        example = "cron(0 6 * * ? *)" if days == 1 else "cron(0 6 ? * MON *)" if days == 7 else f"rate({days} days)"
        allowed = f"a run {every}, e.g. {example}: with window_hours {monitoring.window_hours}, days would otherwise "
        wrong = "be watched twice" if between is not None and between < days else "never be watched"
        yield Misfit(("monitoring", "schedule"), monitoring.schedule, allowed + wrong)
    if quality is not None and quality.days <= days:
        allowed = f"more days than a window has, which are {days}: one window does not show how days differ"
        yield Misfit(("retraining", "quality", "days"), quality.days, allowed)


def _comparable_rows(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a training that starts by itself has a whole test part that its champion has not learned from.

    A refit has learned up to the newest label there was; as many days of new rows there are as have gone by since.
    """
    if declaration.training.refit != "after_gate":
        return
    retraining, test_days = declaration.retraining, declaration.data.split.test_days
    cooldown, schedule = retraining.cooldown_days, retraining.schedule_days
    why = (
        f"at least {test_days}, the days of data.split.test_days: with training.refit 'after_gate' a champion has "
        f"learned from all rows that were labelled, and a training {{}} later finds only so many days of test "
        "rows that are new to it (or training.refit 'none', of which the champion never learns its test rows)"
    )
    by_evidence = retraining.quality or retraining.drift or retraining.investment or retraining.volume
    if by_evidence and cooldown < test_days:
        yield Misfit(("retraining", "cooldown_days"), cooldown, why.format(number_of(cooldown, "day")))
    if schedule is not None and max(schedule, cooldown) < test_days:
        yield Misfit(("retraining", "schedule_days"), schedule, why.format(number_of(max(schedule, cooldown), "day")))


def _probe_windows(declaration: AllSections) -> Iterator[Misfit]:
    """Whether the windows of probes are whole windows of the monitor."""
    investment, days = declaration.retraining.investment, declaration.monitoring.window_hours // 24
    if investment is not None and investment.every_days % days:
        allowed = f"a multiple of {days}, the days of a window (monitoring.window_hours)"
        yield Misfit(("retraining", "investment", "every_days"), investment.every_days, allowed)


def _priced_investment(declaration: AllSections) -> Iterator[Misfit]:
    """Whether a retraining that is priced in money can be held against predictions that are."""
    investment = declaration.retraining.investment
    if investment is not None and investment.cost is not None and not declaration.problem.has_prices:
        yield Misfit(
            ("retraining", "investment", "cost"),
            investment.cost,
            "prices in problem.value, which say what predictions cost; or cost_share, a retraining's cost as a share "
            "of what a window loses",
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
            f"at least {_usd(worst)}, which one run can cost: {_run_cost(declaration)}",
        )


def _monthly_cost(declaration: AllSections) -> Iterator[Misfit]:
    cost, quota = declaration.cost, declaration.retraining.quota
    worst, runs = worst_case.training_run_usd(declaration), worst_case.runs_in_a_month(declaration)
    if worst is None:
        return
    probes = worst_case.probes_usd(declaration)
    total = runs * worst + probes
    if _rounded_up(total) > cost.monthly_budget_usd:
        also = f", and probes (retraining.investment) up to {_usd(probes)}" if probes else ""
        yield Misfit(
            ("cost", "monthly_budget_usd"),
            cost.monthly_budget_usd,
            f"at least {_usd(total)}, which training can cost in a month: with "
            f"{number_of(quota.runs, 'run')} in any {number_of(quota.days, 'day')}, retraining.quota lets "
            f"{runs} start, at up to {_usd(worst)} each "
            f"({_run_cost(declaration)}){also}",
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
    """The figure that is named, which has to be enough."""
    scale = 10.0 ** _places(amount)
    return math.ceil(round(amount * scale, 6)) / scale


def _places(amount: float) -> int:
    """Cents; below a dollar a tenth of one."""
    return 3 if amount < 1 else 2


WHOLE_RULES: tuple[Rule, ...] = (
    _gate_metric,
    _absolute_metrics,
    _baseline,
    _target_range,
    _request_size,
    _width,
    _execution,
    _windows,
    _comparable_rows,
    _probe_windows,
    _priced_investment,
    _probe_price,
    _training_run_cost,
    _monthly_cost,
)
"""Of the whole declaration."""
