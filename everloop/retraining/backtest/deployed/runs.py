"""One run of the pipeline, without a cloud: snapshot, training, evaluation, gate, refit; or an older version again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import ContractViolationError, SplitError
from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.snapshot import SnapshotParts
from everloop.dataset.snapshot_query import learning_from
from everloop.documents.window import WindowRecord
from everloop.evaluation import gate, refit, restoration
from everloop.recalibration.declared import judged_scores
from everloop.registry.records import Run
from everloop.retraining.backtest.deployed.put_aside import PutAside, asked_for, with_standing
from everloop.retraining.backtest.deployed.rows import LoopRows
from everloop.retraining.backtest.deployed.training import Evaluated, Jobs, Model, Serving, TrainingFailedError

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class Made:
    """A run up to its rollout.

    Attributes
    ----------
    run : Run
        With its verdict. Its status is ``open`` where a rollout follows.
    serves : Model or None
        What is rolled out; None where the gate refused, or the run failed.
    aside : PutAside or None
        The standing set from then on; None where there is none.
    """

    run: Run
    serves: Model | None = None
    aside: PutAside | None = None


def carry_out(
    declaration: ModelDeclaration,
    rows: LoopRows,
    jobs: Jobs,
    run: Run,
    champion: Serving | None,
    version: int,
    windows: Sequence[WindowRecord],
    aside: PutAside | None = None,
) -> Made:
    """Carry a run out that has been opened.

    Parameters
    ----------
    version : int
        The number that its candidate is registered by.
    windows : sequence of WindowRecord
        Those recorded so far, oldest first.
    aside : PutAside or None
        The standing set, where a run before chose one.
    """
    try:
        asked = asked_for(declaration, aside, trains=True)
        parts = rows.snapshot(learning_from(declaration, run.training_days), run.as_of, asked)
    except (ContractViolationError, SplitError) as error:
        return Made(_failed(run, f"{type(error).__name__}: {error}", trained=False), aside=aside)
    parts, aside = with_standing(parts, aside)
    try:
        candidate = jobs.evaluated(parts, run.run_id, champion, windows)
    except TrainingFailedError as error:
        return Made(_failed(run, str(error), trained=True), aside=aside)
    snapshot = parts.snapshot
    expected = gate.Expected(
        declaration.model,
        run.run_id,
        snapshot.snapshot_hash,
        snapshot.rows["test"],
        None if champion is None else champion.version,
        judged_scores(declaration),
        held_groups=HeldGroups.of(declaration),
        standing_sha256=None if aside is None else aside.sha256,
    )
    verdict = gate.decide(candidate.report, declaration.gate, expected)
    told = verdict.as_dict()
    run = replace(
        run,
        version=version,
        verdict=told["verdict"],
        gate_reasons=told["reasons"],
        snapshot_hash=snapshot.snapshot_hash,
    )
    if not verdict.passed:
        return Made(replace(run, status="rejected", ended_at=run.started_at), aside=aside)
    if declaration.training.refit != "after_gate":
        return Made(run, candidate.model, aside)
    model, decision = _refit(declaration, parts, jobs, run, candidate)
    chosen = decision.as_dict()
    return Made(replace(run, refit={"serves": chosen["serves"], "reasons": chosen["reasons"]}), model, aside)


def bring_back(
    declaration: ModelDeclaration,
    rows: LoopRows,
    jobs: Jobs,
    run: Run,
    champion: Serving,
    version: Serving,
    windows: Sequence[WindowRecord],
    aside: PutAside | None = None,
) -> Made:
    """Judge an older version again, in a run that has been opened; nothing is trained.

    Parameters
    ----------
    windows : sequence of WindowRecord
        Those recorded so far, oldest first.
    aside : PutAside or None
        The standing set, where a run before chose one.
    """
    try:
        parts = rows.snapshot(declaration, run.as_of, asked_for(declaration, aside, trains=False))
        parts, _ = with_standing(parts, aside)
        found = jobs.older(parts, run.run_id, version, champion, windows)
    except (ContractViolationError, SplitError, TrainingFailedError) as error:
        return Made(_failed(run, str(error), trained=False), aside=aside)
    snapshot = parts.snapshot
    expected = restoration.Expected(
        model=declaration.model,
        run_id=run.run_id,
        snapshot_hash=snapshot.snapshot_hash,
        version=version.version,
        manifest_sha256=version.model.sha256,
        test_rows=snapshot.rows["test"],
        champion_version=champion.version,
        asked_for=False,
        scores=judged_scores(declaration),
        held_groups=HeldGroups.of(declaration),
        standing_sha256=None if aside is None else aside.sha256,
    )
    told = restoration.decide(found.report, declaration.gate, expected).as_dict()
    run = replace(
        run,
        version=version.version,
        verdict=told["verdict"],
        gate_reasons=told["reasons"],
        snapshot_hash=snapshot.snapshot_hash,
    )
    if told["verdict"] != "pass":
        return Made(replace(run, status="rejected", ended_at=run.started_at), aside=aside)
    return Made(run, version.model, aside)


def _refit(
    declaration: ModelDeclaration, parts: SnapshotParts, jobs: Jobs, run: Run, candidate: Evaluated
) -> tuple[Model, refit.RefitDecision]:
    """Whether the refit or the evaluated model serves, and why."""
    try:
        found = jobs.refitted(parts, run.run_id, candidate)
    except TrainingFailedError as error:
        return candidate.model, refit.not_made(str(error))
    snapshot = parts.snapshot
    expected = refit.Expected(
        model=declaration.model,
        run_id=run.run_id,
        snapshot_hash=snapshot.snapshot_hash,
        report_sha256=candidate.report_sha256,
        code_sha256=candidate.report.code_sha256,
        evaluated_files=candidate.report.files,
        train_rows=snapshot.rows["train"],
        test_rows=snapshot.rows["test"],
        learned_until=snapshot.time_range[1],
        held_out_rows=0 if candidate.report.held_groups is None else candidate.report.rows,
    )
    decision = refit.decide(found.report, declaration.training, declaration.gate, expected)
    return (found.model if decision.serves == "refit" else candidate.model), decision


def _failed(run: Run, cause: str, *, trained: bool) -> Run:
    return replace(run, status="failed", cause=cause, trained=trained, ended_at=run.started_at)
