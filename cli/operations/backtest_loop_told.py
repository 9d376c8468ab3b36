"""What a backtested loop did, as a report tells it."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.numbers_of import number_of
from everloop.retraining.backtest.deployed.lived import LONGEST_CAUSE
from everloop.shown import shortened

THIS_ONE = "this one"
"""What reports call the declaration as it stands."""


@dataclass(frozen=True)
class DeployedRun:
    """A run of the loop, as a report tells it: a training, or an older version that was to come back.

    Attributes
    ----------
    at : str
        When it would have started, ISO 8601.
    kind : str
        ``train``, or ``restore`` for an older version.
    trigger, reason : str
        What asked for it, in a word and in a sentence.
    learned_from : str
        Where evidence chose what a training learns from, that and why; else empty.
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
    kind: str
    trigger: str
    reason: str
    learned_from: str
    status: str
    verdict: str
    version: int | None
    against: tuple[str, ...]
    serves: str
    promoted_at: str | None


@dataclass(frozen=True)
class Weighing:
    """What the monitor weighed on the day after a probe, in ``unit``.

    Attributes
    ----------
    at : str
        When, ISO 8601.
    next_regret, rate : float
        Expected of the next window; what the best cycle of trainings costs a window. A training pays from where the
        first reaches the second.
    regret, error : float
        Since the training of the newest version, and its standard error. That it was worth a retraining is the other
        reason to train.
    cost : float
        Of a retraining.
    """

    at: str
    next_regret: float
    rate: float
    regret: float
    error: float
    cost: float
    unit: str


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
    probes : int
        Fresh probes that were measured, where retraining is an investment.
    probes_cost : float
        What their jobs can cost at most, counted in the row's cost; 0 where that is in no currency with a price.
    probes_failed : tuple of str
        Why jobs of probes failed.
    weighed : tuple of Weighing
        One for each probe that was measured before the last day.
    """

    policy: str
    runs: tuple[DeployedRun, ...]
    held_back: dict[str, int]
    windows: int
    calibrations: int
    metric: float
    raw_metric: float
    curve: tuple[float, ...]
    probes: int = 0
    probes_cost: float = 0.0
    probes_failed: tuple[str, ...] = ()
    weighed: tuple[Weighing, ...] = ()


def candidate_told(run: DeployedRun) -> str:
    """What became of a run's candidate, in a few words."""
    if run.promoted_at is not None:
        return f"version {run.version} serves from {run.promoted_at[:16].replace('T', ' ')}"
    if run.verdict == "fail":
        return f"version {run.version} refused"
    return run.status if run.version is None else f"version {run.version}, {run.status.replace('_', ' ')}"


def why_told(run: DeployedRun) -> str:
    """Why a candidate does not serve; else why it was asked for. And what it learned from, where evidence chose."""
    why = run.against[0] if run.against and run.promoted_at is None else run.reason
    return f"{why} It learned from: {run.learned_from}" if run.learned_from else why


def probes_told(loop: Deployed) -> str:
    """How many fresh probes were measured; empty where there were none."""
    failed = ""
    if loop.probes_failed:
        first = shortened(" ".join(loop.probes_failed[0].split()), LONGEST_CAUSE)
        failed = f", {len(loop.probes_failed)} failed ({first})"
    cost = f", for at most {loop.probes_cost:.2f} USD" if loop.probes_cost else ""
    return f"{number_of(loop.probes, 'fresh probe')} measured{cost}{failed}" if loop.probes or failed else ""
