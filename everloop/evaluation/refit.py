"""Decides which model serves: the evaluated one, or its refit, which has also learned from the test rows.

Both come from the same code, seed and parameters. The gate has judged the evaluated model. The refit knows the newest
days, and no labelled row is left to judge it on. So the refit must show that it is still the same model. Its export
must give the scores of the trained model. Its scores must stay within a declared distance of the evaluated model's.
And it must fit the test rows, which it learned from, no worse than the evaluated model predicted them without having
seen them. A sound training run fits them better: it makes the loss over all rows small, and the evaluated model only
the loss over the other rows.

These checks find faults of a training, such as labels that belong to other rows. They compare two numbers and are no
statistical test: no rate is declared at which a sound refit is refused, or a faulty one serves. ``benchmarks/refit.md``
has what was measured of both.

If anything is not shown, the evaluated model serves, with the reason. It has passed the gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from everloop.documents.pipeline import RefitDecisionDocument
from everloop.evaluation.gate import costs, parity_reasons
from everloop.evaluation.refit_report import RefitReport, ScoreDifference
from everloop.instants import instant_text
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate, Training

Serves = Literal["refit", "evaluated"]


@dataclass(frozen=True)
class Expected:
    """What the pipeline knows of the run, and the refit's report therefore must be about.

    Attributes
    ----------
    report_sha256 : str
        Of the report that the gate judged; ``code_sha256`` and ``evaluated_files`` are what it says.
    train_rows, test_rows : int
        Of the snapshot. A refit learns from both.
    learned_until : datetime
        The newest labelled row of the snapshot.
    held_out_rows : int
        Test rows of held-out groups, which a refit leaves out: then its newest row may be an older one.
    """

    model: str
    run_id: str
    snapshot_hash: str
    report_sha256: str
    code_sha256: str
    evaluated_files: dict[str, str]
    train_rows: int
    test_rows: int
    learned_until: datetime
    held_out_rows: int = 0


@dataclass(frozen=True)
class RefitDecision:
    """Which model serves, and why. The failed reasons come first."""

    serves: Serves
    reasons: tuple[Reason, ...]

    def as_dict(self) -> RefitDecisionDocument:
        """The decision as JSON values: ``serves``, and ``reasons`` as :meth:`Reason.as_dict`."""
        return {"serves": self.serves, "reasons": [reason.as_dict() for reason in self.reasons]}


def decide(report: RefitReport, training: Training, gate: Gate, expected: Expected) -> RefitDecision:
    """Decide which of the two models is registered.

    Parameters
    ----------
    report : RefitReport
        What the check found.
    training, gate : Training, Gate
        The declaration's sections.
    expected : Expected
        What the report must be about.
    """
    reasons = [
        *_identity(report, expected),
        *parity_reasons(report.parity, report.rows, "The exported refit"),
        *difference_and_fit(report.difference, report.metric, report.evaluated_loss, report.refit_loss, training, gate),
        *costs(report.latency_ms, report.artifact_bytes, gate),
    ]
    ordered = sorted(reasons, key=lambda reason: bool(reason.passed))
    return RefitDecision("refit" if all(r.passed for r in reasons) else "evaluated", tuple(ordered))


def not_made(cause: str) -> RefitDecision:
    """The decision where there is no refit to judge: its training or its check failed for ``cause``."""
    sentence = f"There is no refit to serve, because one of its jobs failed: {cause}"
    return RefitDecision("evaluated", (checked("refit_failed", False, sentence),))


def _identity(report: RefitReport, expected: Expected) -> Iterator[Reason]:
    learned, newest = expected.train_rows + expected.test_rows - expected.held_out_rows, expected.learned_until
    if expected.held_out_rows and report.learned_until <= newest:
        newest = report.learned_until
    found: dict[str, tuple[object, object]] = {
        "model": (report.model, expected.model),
        "run": (report.run_id, expected.run_id),
        "data snapshot": (report.snapshot_hash, expected.snapshot_hash),
        "evaluation": (report.report_sha256, expected.report_sha256),
        "training code": (report.code_sha256, expected.code_sha256),
        "number of test rows": (report.rows, expected.test_rows),
        "number of rows learned from": (report.learned_rows, learned),
        "newest row learned from": (report.learned_until, newest),
    }
    for name in sorted({*report.evaluated_files, *expected.evaluated_files}):
        found[f"evaluated {name}"] = (report.evaluated_files.get(name), expected.evaluated_files.get(name))
    for what, (is_of, should) in found.items():
        if is_of != should:
            is_of, should = (instant_text(fact) if isinstance(fact, datetime) else fact for fact in (is_of, should))
            sentence = f"The refit's report belongs to another run: its {what} is {is_of}, not {should}."
            yield checked("report_mismatch", False, sentence)


def difference_and_fit(
    difference: ScoreDifference, metric: str, evaluated_loss: float, refit_loss: float, training: Training, gate: Gate
) -> Iterator[Reason]:
    """The two checks of what the refit answers on the test rows.

    Parameters
    ----------
    evaluated_loss, refit_loss : float
        The evaluated model's and the refit's ``metric`` there.
    """
    yield _within(difference, training.refit_max_difference)
    worse = refit_loss - evaluated_loss
    yield checked(
        "refit_fit",
        metric == gate.metric and worse <= gate.margin,
        f"The refit's {metric} on the test rows (it has learned from them) minus the evaluated model's (it has"
        f" not) is {worse:+.4g}; at most {gate.margin:.4g} is allowed (gate.margin).",
        worse,
        gate.margin,
    )


def _within(found: ScoreDifference, bound: float) -> Reason:
    code, relative = "refit_difference", found.relative
    if relative is None or not math.isfinite(relative):
        sentence = (
            "The distance between the refit and the evaluated model can't be judged: all test rows have the same"
            " outcome."
        )
        return checked(code, False, sentence, None, bound)
    return checked(
        code,
        relative <= bound,
        f"On the test rows the refit's scores differ from the evaluated model's by {found.mean:.4g} on average,"
        f" {relative:.4g} of the outcomes' standard deviation ({found.outcome_deviation:.4g}); at most {bound:.4g}"
        " of it is allowed (training.refit_max_difference).",
        relative,
        bound,
    )
