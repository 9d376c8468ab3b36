"""What a loop did that a history was lived through with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from everloop.documents.window import WindowRecord
from everloop.registry.records import Probe, Run
from everloop.retraining.backtest.deployed.counts import Answers
from everloop.shown import shortened

LONGEST_CAUSE = 400
"""Characters of what a failed run says, in a sentence."""

FIRST = "first"
"""The kind of trigger of the training for the first champion."""


@dataclass(frozen=True)
class Promotion:
    """A version that came to serve, and when."""

    at: datetime
    version: int


@dataclass(frozen=True)
class Lived:
    """What the loop did.

    Attributes
    ----------
    runs : tuple of Run
        All of them, oldest first, each with its trigger, verdict and the gate's reasons; those that were to bring an
        older version back as well.
    promotions : tuple of Promotion
    windows : tuple of WindowRecord
        Oldest first.
    calibrations : int
        How many were published.
    answers : Answers
        Of each row of the history that was asked about.
    probes : tuple of Probe
        Oldest first; none where retraining is not declared an investment.
    probe_failures : tuple of str
        Why jobs of probes failed.
    """

    runs: tuple[Run, ...]
    promotions: tuple[Promotion, ...]
    windows: tuple[WindowRecord, ...]
    calibrations: int
    answers: Answers
    probes: tuple[Probe, ...] = ()
    probe_failures: tuple[str, ...] = ()

    @property
    def retrainings(self) -> tuple[Run, ...]:
        """The training runs after the first."""
        return tuple(run for run in self.runs if run.kind == "train" and run.trigger.get("kind") != FIRST)


def told(run: Run) -> str:
    """How a run ended up to its rollout, in a sentence."""
    if run.verdict is None:
        return failed(run.cause or "without a cause")
    if run.verdict == "pass":
        return f"version {run.version} passed the gate"
    why = next((r["sentence"] for r in run.gate_reasons if not r.get("passed")), "")
    return f"version {run.version} was refused: {why}"


def failed(cause: str) -> str:
    """That a job failed and why, in one line."""
    return f"failed: {shortened(' '.join(cause.split()), LONGEST_CAUSE)}"
