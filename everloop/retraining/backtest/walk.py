"""A policy's walk through a history, what it cost, and what hindsight would have done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from everloop.retraining.backtest.history import History, View


@dataclass(frozen=True)
class Action:
    """What a policy does before a window: keep the model, train a new one, or let an older one serve again."""

    kind: Literal["keep", "retrain", "restore"]
    model: int = -1
    reason: str = ""


KEEP = Action("keep")
RETRAIN = Action("retrain")


class Policy(Protocol):
    """When to train again."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def decide(self, view: View) -> Action:
        """What to do before a window, from what is known then."""
        ...


@dataclass(frozen=True)
class Walk:
    """What a policy did and what it cost.

    Attributes
    ----------
    policy : str
    serving : tuple of int
        The model of each window.
    retrained : tuple of int
        The windows before which it trained.
    loss : float array, shape (windows,)
        What callers lost in each window.
    excess : float
        Of that, what the reference would not have lost; below 0 where the policy did better.
    cost : float
        The excess and the price of all retrainings.
    actions : tuple of (int, Action)
        What it did and before which window, without the windows in which it kept the model.
    """

    policy: str
    serving: tuple[int, ...]
    retrained: tuple[int, ...]
    loss: np.ndarray
    excess: float
    cost: float
    actions: tuple[tuple[int, Action], ...] = ()

    @property
    def retrainings(self) -> int:
        """How often it trained."""
        return len(self.retrained)


def walk(history: History, policy: Policy, cost: float, *, cooldown: int = 1) -> Walk:
    """Let a policy decide before each window but the first, which the first model serves.

    Parameters
    ----------
    cost : float
        Of a retraining, in the unit of the losses.
    cooldown : int
        Windows that must lie between two trainings.
    """
    serving, since = 0, 0
    trained: tuple[int, ...] = (0,)
    models, actions = [0], []
    for now in range(1, history.windows):
        action = policy.decide(View(history, now, serving, since, trained, cost))
        if action.kind == "retrain" and now - trained[-1] >= cooldown:
            serving, since, trained = now, now, (*trained, now)
            actions.append((now, action))
        elif action.kind == "restore" and action.model in trained and action.model != serving:
            serving, since = action.model, now
            actions.append((now, action))
        models.append(serving)
    return _told(history, policy.name, models, trained[1:], cost, tuple(actions))


def optimum(history: History, cost: float) -> Walk:
    """The cheapest retrainings there could have been, found with all losses known (dynamic programming).

    It may retrain before any window and keeps what it trained last; it restores no older model.
    """
    table, windows = history.served.by_window, history.windows
    summed = np.concatenate([np.zeros((windows, 1)), np.cumsum(np.nan_to_num(table), axis=1)], axis=1)
    best = np.zeros(windows + 1)
    following = np.zeros(windows, dtype=int)
    for start in range(windows - 1, -1, -1):
        ends = np.arange(start + 1, windows + 1)
        totals = summed[start, ends] - summed[start, start] + best[ends] + cost * (ends < windows)
        choice = int(np.argmin(totals))
        best[start], following[start] = totals[choice], ends[choice]
    models, start = [], 0
    while start < windows:
        models += [start] * int(following[start] - start)
        start = int(following[start])
    return _told(history, "hindsight optimum", models, tuple(sorted(set(models)))[1:], cost, ())


def _told(
    history: History,
    name: str,
    models: list[int],
    retrained: tuple[int, ...],
    cost: float,
    actions: tuple[tuple[int, Action], ...],
) -> Walk:
    loss = history.served.by_window[models, np.arange(history.windows)]
    excess = float((loss - history.fresh).sum())
    return Walk(name, tuple(models), retrained, loss, excess, excess + cost * len(retrained), actions)
