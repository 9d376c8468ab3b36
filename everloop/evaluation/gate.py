"""The gate: facts of an evaluation and a declared policy in, a verdict with its reasons out.

It fails closed. What the report does not say is a reason to refuse, never a check left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.evaluation.advice import advice
from everloop.evaluation.bounds import (
    FEWEST_OF_A_CLASS,
    SEEN_SHARE,
    area_bounds,
    days_needed,
    lower_bound,
    rows_needed,
    upper_bound,
)
from everloop.evaluation.report import Latency, MetricValue, PairedDifference, ParityFacts, Parts, Report
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class Expected:
    """What the pipeline knows of the run, and the report therefore has to be about.

    Attributes
    ----------
    test_rows : int
        Rows of the snapshot's test split.
    champion_version : int or None
        The version that was champion when the run began; None when there was none.
    """

    model: str
    run_id: str
    snapshot_hash: str
    test_rows: int
    champion_version: int | None


@dataclass(frozen=True)
class Verdict:
    """Passed when every reason did. The failed reasons come first."""

    passed: bool
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "verdict": "pass" if self.passed else "fail",
            "reasons": [reason.as_dict() for reason in self.reasons],
        }


def decide(report: Report, policy: Gate, expected: Expected) -> Verdict:
    """Decide whether the candidate may go on.

    Parameters
    ----------
    report : Report
        What the evaluation found.
    policy : Gate
        The declaration's section ``gate``.
    expected : Expected
        What the report has to be about.

    Returns
    -------
    Verdict
        With one reason for each check made.
    """
    reasons = [
        *_identity(report, expected),
        *_parity(report),
        _probes(report),
        _test_rows(report, policy),
        *_enough_to_judge(report, policy, expected),
        *_classes(report, expected),
        _baseline(report, policy),
        *_absolute(report, policy),
        *_champion(report, policy, expected),
        *costs(report.latency_ms, report.artifact_bytes, policy),
    ]
    ordered = sorted(reasons, key=lambda reason: bool(reason.passed))
    return Verdict(all(reason.passed for reason in reasons), tuple(ordered))


def _identity(report: Report, expected: Expected) -> Iterator[Reason]:
    found = {
        "model": (report.model, expected.model),
        "run": (report.run_id, expected.run_id),
        "data snapshot": (report.snapshot_hash, expected.snapshot_hash),
        "number of test rows": (report.rows, expected.test_rows),
        "champion": (report.champion_version, expected.champion_version),
    }
    for what, (is_of, should) in found.items():
        if is_of != should:
            yield checked(
                "report_mismatch", False, f"The report is not of this run: its {what} is {is_of}, not {should}."
            )


def _parity(report: Report) -> Iterator[Reason]:
    if report.parity is None:
        yield checked("parity", False, "The report does not say whether the exported model answers as trained.")
        return
    yield from parity_reasons(report.parity, report.rows, "The exported model")


def parity_reasons(parity: ParityFacts, rows: int, model: str) -> Iterator[Reason]:
    """Whether an exported model answers as the trained one on all ``rows``; ``model`` is how sentences call it."""
    yield checked(
        "parity_rows",
        parity.rows == rows and parity.rows > 0,
        f"{model} was compared with the trained one on {parity.rows:,} of {rows:,} test rows.",
        parity.rows,
        rows,
    )
    yield checked(
        "parity_flips",
        parity.label_flips == 0,
        f"It answered differently in {parity.label_flips:,} of them; its score differs by at most "
        f"{parity.max_abs_difference:.2g}.",
        parity.label_flips,
        0,
    )


def _probes(report: Report) -> Reason:
    probes = report.probes
    if probes is None:
        return checked("probes", False, "The report does not say whether the model answers all that is declared.")
    complete = probes.possibilities == probes.admitted and probes.rows == probes.possibilities * probes.base_rows > 0
    return checked(
        "probes",
        complete,
        f"It answered {probes.possibilities:,} of the {probes.admitted:,} kinds of row that the contract admits "
        f"(missing, unseen, at the limits), each in {probes.base_rows:,} training rows.",
        probes.possibilities,
        probes.admitted,
    )


def _test_rows(report: Report, policy: Gate) -> Reason:
    enough = report.rows >= policy.minimum_test_rows
    sentence = (
        f"There are {report.rows:,} test rows of {report.days:,} days; at least "
        f"{policy.minimum_test_rows:,} rows are required."
    )
    if not enough and report.rows and report.days:
        days = math.ceil(policy.minimum_test_rows * report.days / report.rows)
        sentence += (
            f" That is about {days:,} days of such rows: bring more history and declare as many data.split.test_days, "
            "or a lower gate.minimum_test_rows, which shows less."
        )
    return checked(
        "minimum_test_rows",
        enough,
        sentence,
        report.rows,
        policy.minimum_test_rows,
    )


def _enough_to_judge(report: Report, policy: Gate, expected: Expected) -> Iterator[Reason]:
    """Whether what matters can have happened: a kind of row that none is of, and a day like no other, are not seen."""
    rows, days = rows_needed(policy.confidence), days_needed(policy.confidence)
    how = f"at least {rows:,} are required at {100 * policy.confidence:.6g}% confidence"
    remedy = "Declare more data.split.test_days, or train again when more labels have arrived."
    if report.rows < rows:
        sentence = (
            f"The test part has {_rows(report.rows)}: too few to judge a model, {how}. A kind of row that is "
            f"{100 * SEEN_SHARE:g}% of all may be missing among fewer. {remedy}"
        )
        yield checked("too_few_rows", False, sentence, report.rows, rows)
    elif expected.champion_version is not None and report.champion_rows is not None and report.champion_rows < rows:
        sentence = (
            f"The champion has not learned from {_rows(report.champion_rows)} of the test part: too few to compare on, "
            f"{how}. Train again when more labels have arrived."
        )
        yield checked("too_few_rows", False, sentence, report.champion_rows, rows)
    paired = report.paired_champion
    compared = report.days if expected.champion_version is None or paired is None else min(report.days, paired.days)
    if compared < days:
        where = (
            "The test rows are" if compared == report.days else "The test rows that the champion has not learned are"
        )
        sentence = (
            f"{where} of {compared:,} {'day' if compared == 1 else 'days'}: too few to know how days "
            f"differ, at least {days:,} are required at {100 * policy.confidence:.6g}% confidence. {remedy}"
        )
        yield checked("too_few_days", False, sentence, compared, days)


def _classes(report: Report, expected: Expected) -> Iterator[Reason]:
    """Whether there are rows enough of each class: what a model does to positives is not seen without any."""
    if report.problem_type != "binary_classification":
        return
    if report.classes is None:
        yield checked("rows_of_each_class", False, "The report does not say how many test rows are of each class.")
        return
    found = (
        (1, report.classes.ones, report.classes.days_with_ones),
        (0, report.classes.zeros, report.classes.days_with_zeros),
    )
    label, rows, days = min(found, key=lambda one: one[1])
    yield _rows_of_a_class(f"{_rows(rows)} of class {label}, on {days} of {report.days} days", rows, "The test part")
    champion = None if report.paired_champion is None else report.paired_champion.parts
    if (
        expected.champion_version is not None
        and champion is not None
        and champion.counted < min(rows, FEWEST_OF_A_CLASS)
    ):
        told = f"{_rows(champion.counted)} of the rarer class"
        yield _rows_of_a_class(told, champion.counted, "What the champion is compared on")


def _rows_of_a_class(told: str, rows: int, where: str) -> Reason:
    if rows >= FEWEST_OF_A_CLASS:
        sentence = f"{where} has {told}; at least {FEWEST_OF_A_CLASS} are required."
        return checked("rows_of_each_class", True, sentence, rows, FEWEST_OF_A_CLASS)
    sentence = (
        f"{where} has {told}: too few to judge a model, at least {FEWEST_OF_A_CLASS} are required. Declare more "
        "data.split.test_days, or train again when more labels have arrived."
    )
    return checked("too_few_of_a_class", False, sentence, rows, FEWEST_OF_A_CLASS)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _baseline(report: Report, policy: Gate) -> Reason:
    return _better("baseline", report.paired_baseline, policy, policy.baseline_margin)


def _champion(report: Report, policy: Gate, expected: Expected) -> Iterator[Reason]:
    if expected.champion_version is None:
        yield checked("champion", True, "There is no champion to compare with: this would be the first.")
        return
    rows = _champion_rows(report, policy)
    yield rows
    if not rows.passed:
        return
    if policy.policy == "better":
        yield _better("champion", report.paired_champion, policy, policy.margin)
    else:
        yield _not_worse("champion", report.paired_champion, policy)


def _champion_rows(report: Report, policy: Gate) -> Reason:
    """Rows that the champion learned from would count in its favour, so the two are compared on the others."""
    code, rows, until = "champion_rows", report.champion_rows, report.champion_learned_until
    if rows is None or until is None:
        return checked(code, False, "The report does not say up to which row the champion has learned.")
    # Of fewer test rows than that, the check of the test rows tells already.
    required = max(1, min(policy.minimum_test_rows, report.rows))
    enough = rows >= required
    wait = "" if enough else ": train again once more labels have come"
    return checked(
        code,
        enough,
        f"The champion has learned from rows up to {until}, so the two are compared on the {rows:,} of "
        f"{report.rows:,} test rows after that; at least {required:,} are required{wait}.",
        rows,
        required,
    )


def _better(other: str, paired: PairedDifference | None, policy: Gate, margin: float) -> Reason:
    code, bound = f"better_than_{other}", _upper_bound(paired, policy)
    if paired is None or bound is None:
        return _incomparable(code, other, paired, policy)
    wanted = f"better by more than {margin:.4g}" if margin else "better at all"
    passed, sentence = bound < -margin, f"{_compared(other, paired, bound, policy)}; required is {wanted}."
    if not passed:
        sentence += f" {advice(paired, bound, -margin, policy.confidence)}"
    return checked(code, passed, sentence, bound, -margin)


def _not_worse(other: str, paired: PairedDifference | None, policy: Gate) -> Reason:
    code, bound = f"not_worse_than_{other}", _upper_bound(paired, policy)
    if paired is None or bound is None:
        return _incomparable(code, other, paired, policy)
    wanted = f"worse by at most {policy.margin:.4g}" if policy.margin else "not worse"
    passed, sentence = bound <= policy.margin, f"{_compared(other, paired, bound, policy)}; required is {wanted}."
    if not passed:
        sentence += f" {advice(paired, bound, policy.margin, policy.confidence)}"
    return checked(code, passed, sentence, bound, policy.margin)


def _upper_bound(paired: PairedDifference | None, policy: Gate) -> float | None:
    """The difference that the true one stays below with the declared confidence; None where unknown.

    One-sided: only "how bad could it be" decides.
    """
    if paired is None or paired.metric != policy.metric or paired.standard_error is None:
        return None
    if paired.degrees_of_freedom < 1 or not paired.standard_error >= 0 or not _enough(paired.parts):
        return None
    assert paired.parts is not None
    bound = upper_bound(
        paired.difference, paired.standard_error, paired.degrees_of_freedom, paired.parts, policy.confidence
    )
    return bound if math.isfinite(bound) else None


def _enough(parts: Parts | None) -> bool:
    return parts is not None and parts.counted >= FEWEST_OF_A_CLASS


def _compared(other: str, paired: PairedDifference, bound: float, policy: Gate) -> str:
    how = f"{-bound:.4g} better" if bound < 0 else f"{bound:.4g} worse" if bound > 0 else "equal"
    return (
        f"On the same rows the candidate's {policy.metric} less the {other}'s is {paired.difference:+.4g}, "
        f"and with {100 * policy.confidence:.6g}% confidence it is at the worst {how}"
    )


def _incomparable(code: str, other: str, paired: PairedDifference | None, policy: Gate) -> Reason:
    if paired is None:
        why = f"the report has no comparison with the {other}"
    elif paired.metric != policy.metric:
        why = f"it was compared with the {other} in {paired.metric}"
    elif paired.degrees_of_freedom < 1:
        why = "the test rows are of a single day, which says nothing about other days"
    elif paired.parts is not None and not _enough(paired.parts):
        why = paired.reason or f"{_rows(paired.parts.counted)} of the rarer class are too few"
    else:
        why = f"the comparison with the {other} has no usable standard error"
    return checked(code, False, f"The candidate's {policy.metric} cannot be judged: {why}.")


def _absolute(report: Report, policy: Gate) -> Iterator[Reason]:
    """The limits of the candidate's own metrics: it keeps them with the declared confidence, not just on these rows."""
    for threshold in policy.absolute:
        metric = report.candidate.get(threshold.metric)
        value = None if metric is None else metric.value
        low, high = _bounds(threshold.metric, metric, policy.confidence)
        for name, limit in (("min", threshold.min), ("max", threshold.max)):
            if limit is None:
                continue
            bound, word = (low, "at least") if name == "min" else (high, "at most")
            within = bound is not None and (bound >= limit if name == "min" else bound <= limit)
            yield checked(
                "absolute_threshold",
                within,
                f"The candidate's {threshold.metric} is {_told(metric, value, bound, word, policy)}; required is "
                f"{word} {limit:.4g}.",
                value if bound is None else bound,
                limit,
            )


def _told(metric: MetricValue | None, value: float | None, bound: float | None, word: str, policy: Gate) -> str:
    if metric is None or value is None:
        return f"not known{_because(metric)}"
    if bound is None:
        return f"{value:.4g}, but how sure that is is not known{_because(metric)}"
    return f"{value:.4g}, and {word} {bound:.4g} with {100 * policy.confidence:.6g}% confidence"


def _because(metric: MetricValue | None) -> str:
    return f" ({metric.reason})" if metric is not None and metric.reason else ""


def _bounds(name: str, metric: MetricValue | None, confidence: float) -> tuple[float | None, float | None]:
    """What the metric lies at or above, and at or below, with the declared confidence each; None where unknown."""
    if metric is None or metric.value is None or metric.reason:
        return None, None
    value, error, freedom, parts = metric.value, metric.standard_error, metric.degrees_of_freedom, metric.parts
    if error is None or freedom < 1 or not error >= 0:
        return None, None
    if name == "roc_auc":
        return area_bounds(value, error, freedom, confidence)
    if not _enough(parts):
        return None, None
    assert parts is not None
    return (
        lower_bound(value, error, freedom, parts, confidence),
        upper_bound(value, error, freedom, parts, confidence),
    )


def costs(latency: Latency | None, artifact_bytes: int | None, policy: Gate) -> Iterator[Reason]:
    """The checks of what a model costs to serve, as far as limits are declared."""
    if policy.max_latency_ms is not None:
        value = None if latency is None else latency.p99
        yield _at_most("latency", "Scoring one row takes", "ms at the 99th percentile", value, policy.max_latency_ms)
    if policy.max_artifact_mb is not None:
        size = None if artifact_bytes is None else artifact_bytes / BYTES_PER_MB
        yield _at_most("artifact_size", "The artefact has", "MB", size, policy.max_artifact_mb)


def _at_most(code: str, what: str, unit: str, value: float | None, limit: float) -> Reason:
    if value is None:
        return checked(code, False, f"{what} an unknown number of {unit}; allowed are {limit:.4g}.", None, limit)
    return checked(code, value <= limit, f"{what} {value:.4g} {unit}; allowed are {limit:.4g}.", value, limit)
