"""A backtest of the loop as it is deployed: the declaration on a history, day by day, beside the policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from everloop.cli.operations.backtest_jobs import JobsHere
from everloop.cli.operations.backtest_shape import Knobs, Shape
from everloop.instants import instant_text
from everloop.model_file import ModelDeclaration
from everloop.model_file.schedule import ScheduleError
from everloop.registry.records import Run
from everloop.retraining.backtest.deployed.loop import Lived, live, told
from everloop.retraining.backtest.deployed.rows import LoopRows
from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.backtest.walk import Walk
from everloop.retraining.exceptions import BacktestError

THIS_ONE = "this one"
"""What reports call the declaration as it stands."""

AS_RECOMMENDED = "this one, as recommended"

RowCosts = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""What rows cost in the unit of the backtest: outcomes and scores in, float arrays of shape (rows,)."""


@dataclass(frozen=True)
class DeployedRun:
    """A training run of the loop, as a report tells it.

    Attributes
    ----------
    at : str
        When it would have started, ISO 8601.
    trigger, reason : str
        What asked for it, in a word and in a sentence.
    status, verdict : str
        As the registry has them; ``verdict`` is empty where no candidate came of it.
    version : int or None
        The candidate's.
    against : tuple of str
        What the gate held against it, or why the run failed or was rolled back.
    serves : str
        ``refit`` or ``evaluated``; empty where nothing of it serves.
    promoted_at : str or None
    """

    at: str
    trigger: str
    reason: str
    status: str
    verdict: str
    version: int | None
    against: tuple[str, ...]
    serves: str
    promoted_at: str | None


@dataclass(frozen=True)
class Deployed:
    """What the loop did, as a report tells it.

    Attributes
    ----------
    policy : str
        Its row among the policies.
    runs : tuple of DeployedRun
        Oldest first; the first champion's is the first.
    held_back : dict of str to int
        On how many days a cause was held back, by what.
    windows, calibrations : int
        Windows that were watched, and calibrations that were published.
    metric, raw_metric : float
        The mean loss of a row, as served and as the models said.
    curve : list of float
        The mean loss of a row by window, as served.
    """

    policy: str
    runs: tuple[DeployedRun, ...]
    held_back: dict[str, int]
    windows: int
    calibrations: int
    metric: float
    raw_metric: float
    curve: tuple[float, ...]


@dataclass(frozen=True)
class LoopOnHistory:
    """A history that the loop can be lived through on, again and again; what was trained once is not trained again.

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
            When the schedule can't be told, the gate refuses the first candidate, or retraining is an investment.
        """
        begin, end = (_midnight(self.shape.date(window)) for window in (0, self.shape.windows))
        rows = LoopRows.of(self.frame, declaration, begin, request_rows=self.request_rows)
        kept = self.folder / policy.replace(" ", "-").replace(",", "")
        kept.mkdir(parents=True, exist_ok=True)
        jobs = JobsHere(self.code, kept, rows.frame, lambda line: None)
        try:
            lived = live(declaration, rows, jobs, end=end, progress=lambda what: self.say(f"  {policy}: {what}"))
        except ScheduleError as error:
            raise NotLivedThroughError(f"monitoring.schedule: {error}") from error
        except BacktestError as error:
            raise NotLivedThroughError(str(error)) from error
        if not lived.promotions:
            why = f"the first candidate of {self.shape.date(0)} does not serve: {told(lived.runs[0])}"
            raise NotLivedThroughError(f"{why.rstrip('.')}: let it learn from more days, --history-days")
        return lived, rows


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
    if knobs.recalibration is False:
        changed = changed.model_copy(update={"recalibration": None})
    return changed


def deployed(
    lived: Lived, rows: LoopRows, shape: Shape, *, policy: str, metric: str, costs: RowCosts, cost: float, fresh: float
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
    """
    judged = np.flatnonzero((lived.answers.version > 0) & ~np.isnan(rows.label))
    label, window = rows.label[judged], _windows(rows.time[judged], shape)
    served, raw = lived.answers.served[judged], lived.answers.raw[judged]
    loss = np.bincount(window, costs(label, served), minlength=shape.windows)
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
    )
    return found, walk


def candidate_told(run: DeployedRun) -> str:
    """What became of a run's candidate, in a few words."""
    if run.promoted_at is not None:
        return f"version {run.version} serves from {run.promoted_at[:16].replace('T', ' ')}"
    if run.verdict == "fail":
        return f"version {run.version} refused"
    return run.status if run.version is None else f"version {run.version}, {run.status.replace('_', ' ')}"


def why_told(run: DeployedRun) -> str:
    """Why a candidate does not serve; else why it was asked for."""
    return run.against[0] if run.against and run.promoted_at is None else run.reason


def _run(run: Run, lived: Lived) -> DeployedRun:
    promoted: Mapping[int, datetime] = {promotion.version: promotion.at for promotion in lived.promotions}
    against = tuple(r["sentence"] for r in run.gate_reasons if not r.get("passed"))
    if not against and run.cause:
        against = (run.cause,)
    at = None if run.version is None else promoted.get(run.version)
    serves = "" if at is None else run.refit.get("serves", "evaluated")
    return DeployedRun(
        at=instant_text(run.started_at),
        trigger=str(run.trigger.get("kind")),
        reason=str(run.trigger.get("reason")),
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
