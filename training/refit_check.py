"""The check of a refit: its scores beside its evaluated model's, on the test rows that it has learned from.

Written to ``--output``: ``refit.json``, and for registration the refit's ``model.onnx``, ``contract.json``,
``parity.json``, ``training.json`` and ``profile.json``. The profile counts the features of all rows learned from; its
scores and outcomes are the evaluated model's, which had not seen these rows. The refit's own would be too good, and
production would look like a decline beside them. So is the interval in the contract: how wide a refit's has to be can't
be told from rows that it learned from.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from everloop.evaluation.exceptions import EvaluationError, ReportError
from everloop.evaluation.metrics import estimate
from everloop.evaluation.refit_report import RefitReport, ScoreDifference
from everloop.evaluation.report import ParityFacts, Report
from everloop.manifest import CONTRACT, ESTIMATOR, MODEL, PROFILE, REFIT, sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError, ScorerError
from everloop.serving.scorer import Scorer
from everloop.training.candidate import FILES, Candidate
from everloop.training.channels import Split
from everloop.training.contract import with_interval
from everloop.training.exceptions import CandidateError
from everloop.training.reference import full_reference
from everloop.training.scoring import arrays, measure_latency, score

logger = logging.getLogger("everloop.evaluation")

SIBLINGS_SCORES = "a refit serves, and only the evaluated model has scores on rows it has not learned from"
"""Why drift of the scores is not judged: two sound models that answer equally well may spread their scores otherwise,
and every window would alarm. The monitor takes a reference from the refit's own first windows."""


@dataclass(frozen=True)
class Run:
    """What a report is about."""

    run_id: str
    snapshot_hash: str


@dataclass(frozen=True)
class Sibling:
    """The evaluated model.

    Attributes
    ----------
    report : Report
        Its evaluation, whose text has the hash ``report_sha256``.
    files : dict of str to str
        SHA-256 of its files.
    """

    report: Report
    report_sha256: str
    contract: ServingContract
    scorer: Scorer
    files: dict[str, str]


def read_sibling(folder: Path) -> Sibling:
    """Read what the evaluation wrote, and check the files against its report.

    Raises
    ------
    CandidateError
        When a file is absent, unreadable, or not the evaluated one.
    """
    try:
        text = (folder / "report.json").read_bytes()
        report = Report.from_json(text)
        kept = [ESTIMATOR] if ESTIMATOR in report.files else []
        files = {name: (folder / name).read_bytes() for name in (*FILES, *kept)}
        contract = ServingContract.from_json(files[CONTRACT])
        scorer = Scorer.from_bytes(files[MODEL], contract)
    except (OSError, ReportError, ContractFormatError, ScorerError) as error:
        raise CandidateError(f"the evaluated model cannot be read: {error}") from error
    hashes = {name: sha256_hex(data) for name, data in files.items()}
    for name, found in hashes.items():
        if report.files.get(name) != found:
            raise CandidateError(f"{name} was evaluated with sha256 {report.files.get(name)}, but is {found}")
    return Sibling(report, sha256_hex(text), contract, scorer, hashes)


def check_refit(
    declaration: ModelDeclaration, refit: Candidate, sibling: Sibling, test: Split, run: Run, output: Path
) -> RefitReport:
    """Score both, and write the job's files.

    Raises
    ------
    CandidateError
        When what was trained is not a refit.
    """
    if not refit.training["refit"] or test.target is None:
        raise CandidateError("the model to check is not a refit: its training record does not say so")
    num, cat = arrays(refit.contract, test)
    after = score(refit.scorer, num, cat)
    before = score(sibling.scorer, *arrays(sibling.contract, test))
    metric = declaration.gate.metric
    profile = full_reference(refit.files[PROFILE], test, before, declaration, score_unjudged=SIBLINGS_SCORES)
    contract = with_interval(refit.contract, refit.files[CONTRACT], sibling.contract.interval)
    files = {**refit.files, CONTRACT: contract, PROFILE: profile}
    report = RefitReport(
        model=declaration.model,
        run_id=run.run_id,
        snapshot_hash=run.snapshot_hash,
        report_sha256=sibling.report_sha256,
        rows=len(test),
        learned_rows=refit.training["rows"]["train"],
        learned_until=refit.training["time_range"][1],
        difference=score_difference(before, after, test.target),
        metric=metric,
        evaluated_loss=_loss(metric, test.target, before),
        refit_loss=_loss(metric, test.target, after),
        parity=ParityFacts(refit.parity["rows"], refit.parity["max_abs_difference"], refit.parity["label_flips"]),
        latency_ms=measure_latency(refit.scorer, num, cat),
        artifact_bytes=len(files[MODEL]),
        code_sha256=refit.training["code_sha256"],
        files={name: sha256_hex(data) for name, data in files.items()},
        evaluated_files=sibling.files,
    )
    output.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (output / name).write_bytes(data)
    (output / REFIT).write_text(report.to_json(), encoding="utf-8")
    logger.info("the refit's scores differ by %.4g on average on %d rows", report.difference.mean, len(test))
    return report


def score_difference(evaluated: np.ndarray, refit: np.ndarray, outcomes: np.ndarray) -> ScoreDifference:
    """How far two models' scores of the same rows are apart, float64 [rows] or [rows, classes], beside the outcomes."""
    deviation = float(np.std(outcomes))
    apart = np.abs(refit - evaluated)
    if apart.ndim == 2:
        # The same of two classes: half of what all probabilities are apart, and the root of half of Gini's impurity.
        apart = apart.sum(axis=1) / 2
        shares = np.bincount(outcomes.astype(np.int64), minlength=evaluated.shape[1]) / len(outcomes)
        deviation = float(np.sqrt((shares * (1 - shares)).sum() / 2))
    return ScoreDifference(
        mean=float(apart.mean()),
        median=float(np.median(apart)),
        p95=float(np.quantile(apart, 0.95)),
        largest=float(apart.max()),
        outcome_deviation=deviation,
    )


def _loss(metric: str, target: np.ndarray, scores: np.ndarray) -> float:
    value = estimate(metric, target, scores).value
    if not np.isfinite(value):
        raise EvaluationError(f"the {metric} of {len(target)} test rows is {value}, which can't be compared")
    return value
