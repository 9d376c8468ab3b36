"""The gate: facts of an evaluation and a declared policy in, a verdict with its reasons out.

It fails closed. What the report does not say is a reason to refuse, never a check left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.evaluation.report import PairedDifference, Report
from everloop.evaluation.student_t import t_quantile

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
class Reason:
    """One check, passed or failed.

    Attributes
    ----------
    code : str
        For programs.
    sentence : str
        For people.
    value, limit : float or None
        What was found and what it was held against, where these are numbers.
    """

    code: str
    passed: bool
    sentence: str
    value: float | None = None
    limit: float | None = None

    def as_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {"code": self.code, "passed": self.passed, "sentence": self.sentence}
        for name, number in (("value", self.value), ("limit", self.limit)):
            if number is not None and math.isfinite(number):
                document[name] = number
        return document


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
        _baseline(report, policy),
        *_absolute(report, policy),
        *_champion(report, policy, expected),
        *_cost(report, policy),
    ]
    ordered = sorted(reasons, key=lambda reason: reason.passed)
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
            yield Reason(
                "report_mismatch", False, f"The report is not of this run: its {what} is {is_of}, not {should}."
            )


def _parity(report: Report) -> Iterator[Reason]:
    parity = report.parity
    if parity is None:
        yield Reason("parity", False, "The report does not say whether the exported model answers as trained.")
        return
    complete = parity.rows == report.rows and parity.rows > 0
    yield Reason(
        "parity_rows",
        complete,
        f"The exported model was compared with the trained one on {parity.rows:,} of {report.rows:,} test rows.",
        parity.rows,
        report.rows,
    )
    yield Reason(
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
        return Reason("probes", False, "The report does not say whether the model answers all that is declared.")
    complete = probes.possibilities == probes.admitted and probes.rows == probes.possibilities * probes.base_rows > 0
    return Reason(
        "probes",
        complete,
        f"It answered {probes.possibilities:,} of the {probes.admitted:,} kinds of row that the contract admits "
        f"(missing, unseen, at the limits), each in {probes.base_rows:,} training rows.",
        probes.possibilities,
        probes.admitted,
    )


def _test_rows(report: Report, policy: Gate) -> Reason:
    return Reason(
        "minimum_test_rows",
        report.rows >= policy.minimum_test_rows,
        f"There are {report.rows:,} test rows of {report.days:,} days; at least "
        f"{policy.minimum_test_rows:,} rows are required.",
        report.rows,
        policy.minimum_test_rows,
    )


def _baseline(report: Report, policy: Gate) -> Reason:
    return _better("baseline", report.paired_baseline, policy, policy.baseline_margin)


def _champion(report: Report, policy: Gate, expected: Expected) -> Iterator[Reason]:
    if expected.champion_version is None:
        yield Reason("champion", True, "There is no champion to compare with: this would be the first.")
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
        return Reason(code, False, "The report does not say up to which row the champion has learned.")
    # Of fewer test rows than that, the check of the test rows tells already.
    required = max(1, min(policy.minimum_test_rows, report.rows))
    enough = rows >= required
    wait = "" if enough else ": train again once more labels have come"
    return Reason(
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
    return Reason(
        code, bound < -margin, f"{_compared(other, paired, bound, policy)}; required is {wanted}.", bound, -margin
    )


def _not_worse(other: str, paired: PairedDifference | None, policy: Gate) -> Reason:
    code, bound = f"not_worse_than_{other}", _upper_bound(paired, policy)
    if paired is None or bound is None:
        return _incomparable(code, other, paired, policy)
    wanted = f"worse by at most {policy.margin:.4g}" if policy.margin else "not worse"
    sentence = f"{_compared(other, paired, bound, policy)}; required is {wanted}."
    return Reason(code, bound <= policy.margin, sentence, bound, policy.margin)


def _upper_bound(paired: PairedDifference | None, policy: Gate) -> float | None:
    """The difference that the true one stays below with the declared confidence; None where unknown.

    One-sided: only "how bad could it be" decides.
    """
    if paired is None or paired.metric != policy.metric or paired.standard_error is None:
        return None
    if paired.degrees_of_freedom < 1 or not paired.standard_error >= 0:
        return None
    margin_of_error = t_quantile(policy.confidence, paired.degrees_of_freedom) * paired.standard_error
    bound = paired.difference + margin_of_error
    return bound if math.isfinite(bound) else None


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
    else:
        why = f"the comparison with the {other} has no usable standard error"
    return Reason(code, False, f"The candidate's {policy.metric} cannot be judged: {why}.")


def _absolute(report: Report, policy: Gate) -> Iterator[Reason]:
    for threshold in policy.absolute:
        metric = report.candidate.get(threshold.metric)
        value = None if metric is None else metric.value
        for name, limit in (("min", threshold.min), ("max", threshold.max)):
            if limit is None:
                continue
            side = "at least" if name == "min" else "at most"
            shown = "not known" if value is None else f"{value:.4g}"
            within = value is not None and (value >= limit if name == "min" else value <= limit)
            yield Reason(
                "absolute_threshold",
                within,
                f"The candidate's {threshold.metric} is {shown}; required is {side} {limit:.4g}.",
                value,
                limit,
            )


def _cost(report: Report, policy: Gate) -> Iterator[Reason]:
    if policy.max_latency_ms is not None:
        value = None if report.latency_ms is None else report.latency_ms.p99
        yield _at_most("latency", "Scoring one row takes", "ms at the 99th percentile", value, policy.max_latency_ms)
    if policy.max_artifact_mb is not None:
        size = None if report.artifact_bytes is None else report.artifact_bytes / BYTES_PER_MB
        yield _at_most("artifact_size", "The artefact has", "MB", size, policy.max_artifact_mb)


def _at_most(code: str, what: str, unit: str, value: float | None, limit: float) -> Reason:
    if value is None:
        return Reason(code, False, f"{what} an unknown number of {unit}; allowed are {limit:.4g}.", None, limit)
    return Reason(code, value <= limit, f"{what} {value:.4g} {unit}; allowed are {limit:.4g}.", value, limit)
