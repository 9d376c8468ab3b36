"""The gate: facts of an evaluation and a declared policy in, a verdict with its reasons out.

It fails closed. What the report does not say is a reason to refuse, never a check left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from everloop.dataset.held_groups import HeldGroups
from everloop.documents.pipeline import VerdictDocument
from everloop.evaluation.advice import threshold_advice
from everloop.evaluation.bounds import area_bounds, lower_bound, upper_bound
from everloop.evaluation.compared import ON_THE_SAME_ROWS, Terms, better, enough, not_worse, where_compared
from everloop.evaluation.enough import enough_to_judge
from everloop.evaluation.fairness_gate import on_fairness
from everloop.evaluation.heavy_tails import is_heavy, too_heavy_tails
from everloop.evaluation.held_groups_gate import on_held_groups
from everloop.evaluation.measured import AREAS
from everloop.evaluation.money_gate import in_money
from everloop.evaluation.ranking_gate import on_ranking
from everloop.evaluation.report import Latency, MetricValue, ParityFacts, Report
from everloop.evaluation.robustness_gate import on_robustness
from everloop.evaluation.slice_gate import on_slices
from everloop.evaluation.standing_gate import on_standing
from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.reasons import Reason, checked
from everloop.recalibration.declared import Scores

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class Expected:
    """What the pipeline knows of the run, and the report therefore must be about.

    Attributes
    ----------
    test_rows : int
        Rows of the snapshot's test split.
    champion_version : int or None
        The version that was champion when the run began; None when there was none.
    scores : {"raw", "served"}
        Whether candidate and champion are compared by what they say, or by what their callers would have got.
    standing_sha256 : str or None
        Over the files of the standing set; None where none has been chosen yet.
    held_groups : HeldGroups or None
        Those of the declaration.
    """

    model: str
    run_id: str
    snapshot_hash: str
    test_rows: int
    champion_version: int | None
    scores: Scores = "raw"
    standing_sha256: str | None = None
    held_groups: HeldGroups | None = None


@dataclass(frozen=True)
class Verdict:
    """Passed when every reason did. The failed reasons come first."""

    passed: bool
    reasons: tuple[Reason, ...]

    def as_dict(self) -> VerdictDocument:
        """The verdict as JSON values: ``verdict`` is ``pass`` or ``fail``, ``reasons`` as :meth:`Reason.as_dict`."""
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
        What the report must be about.

    Returns
    -------
    Verdict
        With one reason for each check made.
    """
    reasons = [
        *_identity(report, expected),
        *_parity(report),
        probed(report),
        *enough_to_judge(report, policy, expected.champion_version),
        *on_held_groups(report, policy, expected.held_groups, expected.champion_version),
        *against_baseline(report, policy),
        *absolute_limits(report, policy),
        *against_champion(report, policy, expected.champion_version, expected.scores),
        *in_money(report, policy, expected.champion_version, expected.scores),
        *on_ranking(report, policy, expected.champion_version),
        *on_slices(report, policy, expected.champion_version),
        *on_standing(report, policy, expected.standing_sha256, expected.champion_version),
        *on_fairness(report, policy),
        *on_robustness(report, policy),
        *costs(report.latency_ms, report.artifact_bytes, policy),
        *on_serving_cost(report, policy),
    ]
    ordered = sorted(reasons, key=lambda reason: bool(reason.passed))
    return Verdict(all(reason.passed for reason in reasons), tuple(ordered))


def _identity(report: Report, expected: Expected) -> Iterator[Reason]:
    found = {
        "model": (report.model, expected.model),
        "run": (report.run_id, expected.run_id),
        "data snapshot": (report.snapshot_hash, expected.snapshot_hash),
        "number of test rows": (report.test_rows, expected.test_rows),
        "champion": (report.champion_version, expected.champion_version),
    }
    for what, (is_of, should) in found.items():
        if is_of != should:
            yield checked(
                "report_mismatch", False, f"The report belongs to another run: its {what} is {is_of}, not {should}."
            )


def _parity(report: Report) -> Iterator[Reason]:
    if report.parity is None:
        yield checked(
            "parity",
            False,
            "The report does not say whether the exported model gives the same scores as the trained one.",
        )
        return
    yield from parity_reasons(report.parity, report.test_rows, "The exported model")


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
        f"Its decision differs in {parity.label_flips:,} of them; its score differs by at most"
        f" {parity.max_abs_difference:.2g}.",
        parity.label_flips,
        0,
    )


def probed(report: Report) -> Reason:
    """Whether all that the contract admits was answered."""
    probes = report.probes
    if probes is None:
        return checked(
            "probes", False, "The report does not say whether the model answers every row that the declaration allows."
        )
    complete = probes.possibilities == probes.admitted and probes.rows == probes.possibilities * probes.base_rows > 0
    return checked(
        "probes",
        complete,
        f"It answered {probes.possibilities:,} of the {probes.admitted:,} kinds of row that the contract allows"
        f" (missing, unseen, at the limits), each in {probes.base_rows:,} training rows.",
        probes.possibilities,
        probes.admitted,
    )


def against_baseline(report: Report, policy: Gate) -> Iterator[Reason]:
    """Whether it beats the declared rule."""
    yield from better(Terms.of(policy), "baseline", report.paired_baseline, policy.baseline_margin, ON_THE_SAME_ROWS)


def against_champion(report: Report, policy: Gate, champion_version: int | None, scores: Scores) -> Iterator[Reason]:
    """The comparison with what serves, by the scores that are served."""
    if champion_version is None:
        yield checked("champion", True, "There is no champion to compare with: this would be the first.")
        return
    rows = _champion_rows(report, policy)
    yield rows
    if not rows.passed:
        return
    yield _champion_scores(report, scores)
    served = None if report.as_served is None else report.as_served.paired
    paired = report.paired_champion if scores == "raw" else served
    judged = better if policy.policy == "better" else not_worse
    yield from judged(Terms.of(policy), "champion", paired, policy.margin, where_compared(scores))


def _champion_scores(report: Report, scores: Scores) -> Reason:
    """Which scores the two are compared by, and what the other ones say."""
    code, served = "champion_scores", report.as_served
    if scores == "raw":
        return checked(
            code, True, "The two are compared by raw scores, because raw scores are served: recalibration is off."
        )
    if served is None:
        return checked(code, False, "The report does not compare candidate and champion by the scores that are served.")
    how, raw = served.recalibrated, report.paired_champion
    until = how.learned_until
    before = "nothing learned" if until is None else f"what was learned until {instant_text(until)}"
    beside = "" if raw is None else f" By raw scores the difference in {raw.metric} is {raw.difference:+.4g}."
    return checked(
        code,
        True,
        "The two are compared by the scores that callers would have got: each recalibrated over"
        f" {number_of(how.windows, 'window')}, starting with {before}, with labels"
        f" {number_of(how.windows_late, 'window')} late.{beside}",
    )


def _champion_rows(report: Report, policy: Gate) -> Reason:
    """Rows that the champion learned from would count in its favour, so the two are compared on the others."""
    code, rows, until = "champion_rows", report.champion_rows, report.champion_learned_until
    if rows is None or until is None:
        return checked(code, False, "The report does not say until which row the champion has learned.")
    # Of fewer test rows than that, the check of the test rows tells already.
    required = max(1, min(policy.minimum_test_rows, report.rows))
    enough = rows >= required
    wait = "" if enough else ": train again when more labels have arrived"
    return checked(
        code,
        enough,
        f"The champion has learned from rows until {instant_text(until)}, so the two are compared on the {rows:,}"
        f" of {report.rows:,} test rows after that; at least {required:,} are required{wait}.",
        rows,
        required,
    )


def absolute_limits(report: Report, policy: Gate) -> Iterator[Reason]:
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
            sentence = (
                f"The candidate's {threshold.metric} is {_told(metric, value, bound, word, policy)}; required is "
                f"{word} {limit:.4g}."
            )
            if value is not None and bound is not None and not within:
                side = 0 if name == "min" else 1
                at = partial(_bound_at, threshold.metric, metric, side)
                sentence += f" {threshold_advice(value, limit, report.days, policy.confidence, at)}"
            yield checked("absolute_threshold", within, sentence, value if bound is None else bound, limit)
            yield from _heavy_tail_of(threshold.metric, metric, limit, within=within, at_most=name == "max")


def _heavy_tail_of(
    name: str, metric: MetricValue | None, limit: float, *, within: bool, at_most: bool
) -> Iterator[Reason]:
    """Whether it is a single row for which a metric is not known to keep a limit that it keeps on these rows."""
    if within or metric is None or metric.value is None or metric.parts is None or metric.parts.by_row is not None:
        return
    parts = metric.parts if at_most else metric.parts.mirrored()
    if (metric.value <= limit if at_most else metric.value >= limit) and is_heavy(parts):
        yield too_heavy_tails(f"the losses that {name} is the mean of", parts)


def _told(metric: MetricValue | None, value: float | None, bound: float | None, word: str, policy: Gate) -> str:
    if metric is None or value is None:
        return f"not known{_because(metric)}"
    if bound is None:
        return f"{value:.4g}, but its uncertainty is not known{_because(metric)}"
    return f"{value:.4g}, and {word} {bound:.4g} with {100 * policy.confidence:.6g}% confidence"


def _because(metric: MetricValue | None) -> str:
    return f" ({metric.reason})" if metric is not None and metric.reason else ""


def _bound_at(name: str, metric: MetricValue | None, side: int, confidence: float) -> float | None:
    return _bounds(name, metric, confidence)[side]


def _bounds(name: str, metric: MetricValue | None, confidence: float) -> tuple[float | None, float | None]:
    """What the metric lies at or above, and at or below, with the declared confidence each; None where unknown."""
    if metric is None or metric.value is None or metric.reason:
        return None, None
    value, error, freedom, parts = metric.value, metric.standard_error, metric.degrees_of_freedom, metric.parts
    if error is None or freedom < 1 or not error >= 0:
        return None, None
    if name in AREAS:
        return area_bounds(value, error, freedom, confidence)
    if not enough(parts):
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


def on_serving_cost(report: Report, policy: Gate) -> Iterator[Reason]:
    """Whether a million answers cost no more than is declared."""
    if policy.max_usd_per_million is None:
        return
    found = report.serving_cost
    cost = None if found is None else found.usd_per_million
    yield _at_most("serving_cost", "A million answers cost", "USD", cost, policy.max_usd_per_million)


def _at_most(code: str, what: str, unit: str, value: float | None, limit: float) -> Reason:
    if value is None:
        return checked(
            code, False, f"{what} an unknown number of {unit}; at most {limit:.4g} are allowed.", None, limit
        )
    return checked(code, value <= limit, f"{what} {value:.4g} {unit}; at most {limit:.4g} are allowed.", value, limit)
