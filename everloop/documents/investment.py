"""Whether a retraining pays, as a window's record keeps it: the figures, and every remedy with gain, cost and reason.

Amounts are in ``unit``: a currency, or losses of a window.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from everloop.reasons import ReasonDocument

InvestmentRule = Literal["pays_from_now_on", "paid_for", "none"]

RemedyName = Literal["recalibrate", "threshold", "older_version", "retrain", "retrain_on_window", "warm_start"]

REMEDIES: tuple[RemedyName, ...] = (
    "recalibrate",
    "threshold",
    "older_version",
    "retrain",
    "retrain_on_window",
    "warm_start",
)
"""Cheapest first."""


class RegretDocument(TypedDict):
    """A sum of regrets, its standard error, and over how many windows."""

    total: float
    error: float
    windows: int


class RemedyDocument(TypedDict):
    """A remedy: what it is expected to save in the next window, None where that is not known; what it costs once.

    An older version that may come back has its number as ``version``.
    """

    remedy: RemedyName
    gain: float | None
    cost: float | None
    proposed: bool
    reason: str
    version: NotRequired[int]


class WeighedProbe(TypedDict):
    """A probe that the figures rest on: its window, and the hash of its record."""

    window_end: datetime
    sha256: str


class InvestmentDocument(TypedDict):
    """The figures, at one run of the monitor.

    Attributes
    ----------
    newest_version : int
        The newest version that has served: ``age`` and ``regret`` are its own, also where an older one serves again.
    age : int
        In windows since its training.
    regret : RegretDocument
        What it lost more than fresh probes since then, as far as labels say.
    forecast : RegretDocument
        The same up to now: of the windows whose labels are out, as probes of those ages lost before.
    next_regret, rate : float
        Expected of the next window; what the best cycle of trainings costs a window.
    best_age : int
        The windows of that cycle.
    ageing : list of float
        The regret expected by age.
    """

    retrain: bool
    rule: InvestmentRule
    unit: str
    cost: float
    every_days: int
    age: int
    regret: RegretDocument
    forecast: RegretDocument
    next_regret: float
    rate: float
    best_age: int
    ageing: list[float]
    ageing_windows: int
    reasons: list[ReasonDocument]
    newest_version: NotRequired[int]
    remedies: list[RemedyDocument]
    probes: list[WeighedProbe]
