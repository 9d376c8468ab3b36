"""A backtest of the loop as it is deployed: the declaration on a history, day by day, beside the policies."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from everloop.cli.operations.backtest_jobs import JobsHere
from everloop.cli.operations.backtest_loop_told import Deployed, DeployedRun, Weighing
from everloop.cli.operations.backtest_shape import Knobs, Shape
from everloop.documents.window import WindowRecord
from everloop.instants import instant_text
from everloop.model_file.schedule import ScheduleError
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.records import Run
from everloop.retraining.backtest.deployed.lived import Lived, told
from everloop.retraining.backtest.deployed.loop import live
from everloop.retraining.backtest.deployed.rows import LoopRows
from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.backtest.walk import Walk

RowCosts = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""What rows cost in the unit of the backtest: outcomes and scores in, float arrays of shape (rows,)."""


@dataclass(frozen=True)
class LoopOnHistory:
    """A history that the loop can be lived through on, again and again.

    Attributes
    ----------
    frame : pandas.DataFrame
        Lake rows, those without a label too.
    """

    frame: pd.DataFrame
    shape: Shape
    code: Path
    folder: Path
    say: Callable[[str], None]
    request_rows: int | None = None

    def live(self, declaration: ModelDeclaration, policy: str) -> tuple[Lived, LoopRows]:
        """Live through it by a declaration.

        Raises
        ------
        NotLivedThroughError
            When the schedule can't be told, the gate refuses the first candidate, or nobody could declare this.
        """
        begin, end = (_midnight(self.shape.date(window)) for window in (0, self.shape.windows))
        rows = LoopRows.of(self.frame, declaration, begin, request_rows=self.request_rows)
        kept = self.folder / policy.replace(" ", "-").replace(",", "")
        kept.mkdir(parents=True, exist_ok=True)
        code = shutil.copytree(self.code, kept / "code", symlinks=True)
        # Jobs read what is lived through, not what the model's folder says.
        (code / "declaration.json").write_text(_as_declared(declaration), encoding="utf-8")
        jobs = JobsHere(code, kept, rows.frame, lambda line: None)
        try:
            lived = live(declaration, rows, jobs, end=end, progress=lambda what: self.say(f"  {policy}: {what}"))
        except ScheduleError as error:
            raise NotLivedThroughError(f"monitoring.schedule: {error}") from error
        if not lived.promotions:
            why = f"the first candidate of {self.shape.date(0)} does not serve: {told(lived.runs[0])}"
            raise NotLivedThroughError(f"{why.rstrip('.')}: train it on more days with --history-days")
        return lived, rows


def _as_declared(declaration: ModelDeclaration) -> str:
    """The declaration as a file, whose rules options may have broken."""
    text = declaration.model_dump_json()
    try:
        ModelDeclaration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        wanted = first["msg"].removeprefix("Value error, ")
        raise NotLivedThroughError(f"it could not be declared: {place} has to be {wanted}") from error
    return text


class NotLivedThroughError(Exception):
    """The loop can't be lived through on this history; the message says why."""


def with_knobs(declaration: ModelDeclaration, knobs: Knobs) -> ModelDeclaration:
    """The declaration with what a person set beside it."""
    changed = declaration
    if knobs.test_days:
        split = declaration.data.split.model_copy(update={"test_days": knobs.test_days})
        changed = changed.model_copy(update={"data": declaration.data.model_copy(update={"split": split})})
    if knobs.cooldown_days is not None:
        retraining = changed.retraining.model_copy(update={"cooldown_days": knobs.cooldown_days})
        changed = changed.model_copy(update={"retraining": retraining})
    if knobs.threshold is not None and declaration.problem.type == "binary_classification":
        serving = declaration.serving.model_copy(update={"threshold": knobs.threshold})
        changed = changed.model_copy(update={"serving": serving})
    if knobs.recalibration is False:
        changed = changed.model_copy(update={"recalibration": None})
    return changed


def deployed(
    lived: Lived,
    rows: LoopRows,
    shape: Shape,
    *,
    policy: str,
    metric: str,
    costs: RowCosts,
    cost: float,
    fresh: float,
    probe_cost: float = 0.0,
) -> tuple[Deployed, Walk]:
    """What it did, and what it cost window by window.

    Parameters
    ----------
    costs : callable
        What rows cost.
    cost : float
        Of a training, whether or not its candidate came to serve.
    fresh : float
        What a model costs that is always new, over all windows.
    probe_cost : float
        Of a fresh probe.
    """
    judged = np.flatnonzero((lived.answers.version > 0) & ~np.isnan(rows.label))
    label, window = rows.label[judged], _windows(rows.time[judged], shape)
    served, raw = lived.answers.served[judged], lived.answers.raw[judged]
    loss = np.bincount(window, costs(label, served), minlength=shape.windows).astype(np.float64)
    for probe in lived.probes:
        loss[_window(probe.created_at, shape)] += probe_cost
    trained = tuple(_window(run.started_at, shape) for run in lived.retrainings if run.trained)
    excess = float(loss.sum()) - fresh
    walk = Walk(policy, (), trained, loss, excess, excess + cost * len(trained))
    lost = row_losses(label, served, metric)
    by_window = [lost[window == w] for w in range(shape.windows)]
    found = Deployed(
        policy=policy,
        runs=tuple(_run(run, lived) for run in lived.runs),
        held_back=dict(Counter(str(w.held_back_by) for w in lived.windows if w.decision == "held_back")),
        windows=len(lived.windows),
        calibrations=lived.calibrations,
        metric=_mean(lost, metric),
        raw_metric=_mean(row_losses(label, raw, metric), metric),
        curve=tuple(_mean(each, metric) for each in by_window),
        probes=len(lived.probes),
        probes_cost=probe_cost * len(lived.probes),
        probes_failed=lived.probe_failures,
        weighed=tuple(_weighed(lived.windows)),
    )
    return found, walk


def _weighed(windows: Sequence[WindowRecord]) -> Iterator[Weighing]:
    probes = 0
    for window in windows:
        found = window.investment
        if found is None or len(found["probes"]) == probes:
            continue
        probes = len(found["probes"])
        regret = found["regret"]
        yield Weighing(
            instant_text(window.scheduled_at),
            found["next_regret"],
            found["rate"],
            regret["total"],
            regret["error"],
            found["cost"],
            found["unit"],
        )


def _run(run: Run, lived: Lived) -> DeployedRun:
    # A version that came back was promoted twice, and one whose return was refused keeps its first promotion.
    promoted = (p.at for p in lived.promotions if p.version == run.version and p.at >= run.started_at)
    at = next(promoted, None) if run.verdict == "pass" else None
    against = tuple(r["sentence"] for r in run.gate_reasons if not r.get("passed"))
    if not against and run.cause:
        against = (run.cause,)
    serves = "" if at is None else run.refit.get("serves", "evaluated")
    return DeployedRun(
        at=instant_text(run.started_at),
        kind=run.kind,
        trigger=str(run.trigger.get("kind")),
        reason=str(run.trigger.get("reason")),
        learned_from="" if run.training_span is None else run.training_span["reason"]["sentence"],
        status=run.status,
        verdict=run.verdict or "",
        version=run.version,
        against=against,
        serves=serves,
        promoted_at=None if at is None else instant_text(at),
    )


def _windows(times: np.ndarray, shape: Shape) -> np.ndarray:
    days = (times.astype("datetime64[D]") - np.datetime64(shape.date(0), "D")).astype(int)
    return np.asarray(days // shape.window_days)


def _window(at: datetime, shape: Shape) -> int:
    return int(_windows(np.array([np.datetime64(at.replace(tzinfo=None), "ms")]), shape)[0])


def _mean(losses: np.ndarray, metric: str) -> float:
    if not len(losses):
        return float("nan")
    return float(np.sqrt(losses.mean())) if metric == "rmse" else float(losses.mean())


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
