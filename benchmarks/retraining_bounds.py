"""How near to hindsight a rule of retraining can come, and what a shorter memory of training would bring.

    python benchmarks/retraining_bounds.py [--streams sea …] [--data FOLDER] [--processes 2]

Three questions about the streams and the cost of ``benchmarks/retraining.py``, whose cache it shares:

- *Without luck.* Hindsight picks the windows in which chance made a model good. Here it plans with the losses of half
  of each window's days, and pays those of the other half. It still knows all changes beforehand, as no rule does.
- *With the right settings.* The product's rule with other memories and prices: the best for each stream, known only
  afterwards, and the best single one.
- *With newer rows only.* A model that is always new, trained on everything or on the newest days.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# First, as it keeps learners from taking threads of their own.
from benchmarks.retraining import COSTS, Measured, best, in_losses, learner, makers, measure, walked  # noqa: E402

import numpy as np  # noqa: E402  isort: skip

from benchmarks import fitted  # noqa: E402
from benchmarks.refit import markdown  # noqa: E402
from benchmarks.streams import HISTORY_DAYS  # noqa: E402
from everloop.retraining.backtest.history import View  # noqa: E402
from everloop.retraining.backtest.losses import LossTable, row_losses  # noqa: E402
from everloop.retraining.backtest.policies import Invest  # noqa: E402
from everloop.retraining.backtest.timeline import Timeline  # noqa: E402
from everloop.retraining.backtest.walk import Action, Policy, optimum  # noqa: E402

DRAWS = 20
HALF_LIVES = (1.0, 2.0, 4.0, 8.0)
PRICES = (0.4, 0.7, 1.0, 1.5, 2.2)
"""Of a retraining, as the rule sees it: a share of what it costs."""

NEWEST_DAYS = 56


@dataclass(frozen=True)
class Priced:
    """A policy that is told another price of a retraining."""

    policy: Policy
    share: float

    @property
    def name(self) -> str:
        """With the share."""
        return f"{self.policy.name}, told {self.share:g} of the price"

    def decide(self, view: View) -> Action:
        """As the policy does at that price."""
        return self.policy.decide(replace(view, cost=self.share * view.cost))


@dataclass(frozen=True)
class Bounds:
    """Total costs of one stream in losses of a window, by cost of a retraining.

    Attributes
    ----------
    hindsight, without_luck : float array, shape (costs,)
    restoring, retraining : float array, shape (costs, settings)
        The product's rule, with and without older versions.
    newest : float
        What a model that is always new loses in all windows, trained on the newest days.
    everything : float
        The same, trained on everything.
    """

    name: str
    steady: bool
    hindsight: np.ndarray
    without_luck: np.ndarray
    restoring: np.ndarray
    retraining: np.ndarray
    newest: float
    everything: float


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", nargs="*", default=[""], help="parts of names; all streams when not given")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache" / "streams", help="where public files are kept")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    names = [n for n in makers(options.data) if any(part.lower() in n.lower() for part in options.streams)]
    found = []
    with ProcessPoolExecutor(options.processes) as pool:
        for done, bounds in enumerate(pool.map(partial(bounds_of, data=options.data), names), start=1):
            sys.stderr.write(f"{done} of {len(names)}: {bounds.name}\n")
            found.append(bounds)
    print(ratios_table([b for b in found if not b.steady]))
    print()
    print(newest_table(found))
    return 0


def bounds_of(name: str, data: Path) -> Bounds:
    """All of one stream."""
    stream = measure(name, data, "fit")
    scale = stream.recalibrated.window_loss
    settings = [Priced(Invest(half_life), share) for half_life in HALF_LIVES for share in PRICES]
    plain = [Priced(Invest(half_life, restores=False), share) for half_life in HALF_LIVES for share in PRICES]
    return Bounds(
        name,
        stream.steady,
        np.array([in_losses(stream, best(stream, cost)) for cost in COSTS]),
        np.array([without_luck(stream, cost * scale) / scale for cost in COSTS]),
        np.array([[in_losses(stream, walked(stream, policy, cost)) for policy in settings] for cost in COSTS]),
        np.array([[in_losses(stream, walked(stream, policy, cost)) for policy in plain] for cost in COSTS]),
        always_on_newest(name, data) / scale,
        float(stream.recalibrated.windows),
    )


def without_luck(stream: Measured, cost: float) -> float:
    """Hindsight's total when it plans with one half of each window's days and pays the other half's losses twice."""
    history, rng = stream.recalibrated, np.random.default_rng(7)
    line = history.served.timeline
    days = history.served.daily[:, line.history_days :].reshape(-1, line.windows, line.window_days)
    half, totals = line.window_days // 2, []
    for _ in range(DRAWS):
        chosen = rng.permuted(np.tile(np.arange(line.window_days) < half, (line.windows, 1)), axis=1)
        planned = _of_days(history.served, days, chosen)
        models = list(optimum(replace(history, served=planned, fresh=np.diag(planned.by_window)), cost).serving)
        paid = _of_days(history.served, days, ~chosen).by_window
        excess = float((paid[models, np.arange(line.windows)] - np.diag(paid)).sum())
        totals.append(excess + cost * (len(set(models)) - 1))
    return float(np.mean(totals))


def _of_days(table: LossTable, days: np.ndarray, chosen: np.ndarray) -> LossTable:
    """The table as if each window were like its chosen days."""
    line = table.timeline
    mean = np.where(chosen, days, 0.0).sum(2) / chosen.sum(1)
    daily = table.daily.copy()
    daily[:, line.history_days :] = np.repeat(mean, line.window_days, axis=1)
    return LossTable(line, daily)


def always_on_newest(name: str, data: Path) -> float:
    """What models lose in their own windows, each trained on the newest days only, and recalibrated."""
    stream = makers(data)[name]()
    line = Timeline(stream.target, stream.day, HISTORY_DAYS, stream.window_days)
    fit = learner(stream, 40)
    scores = np.full((line.windows, line.day_starts[-1]), np.nan, dtype=np.float32)
    for window in range(line.windows):
        own = slice(line.day_starts[line.first_day(window)], line.day_starts[line.first_day(window + 1)])
        answer = fit(line.rows_before(window, days=max(NEWEST_DAYS, 4 * stream.window_days)))
        scores[window, own] = answer(np.arange(own.start, own.stop))
    served = fitted.fitted(line, scores)
    lost = LossTable.of(line, row_losses(stream.target[: line.day_starts[-1]], served, "log_loss"))
    unit = line.rows_by_day[HISTORY_DAYS:].sum() / line.windows
    return float(np.diag(lost.by_window).sum() / unit)


def ratios_table(moving: Sequence[Bounds]) -> str:
    """Totals over hindsight's, of all streams that change."""
    if not moving:
        return "none of these streams changes"
    hindsight = np.array([b.hindsight for b in moving]).sum(0)
    unlucky = np.array([b.without_luck for b in moving]).sum(0)
    rows = [["hindsight without luck", *_ratios(unlucky, hindsight)]]
    for label, totals in (
        ("the rule", np.array([b.restoring for b in moving])),
        ("the rule without older versions", np.array([b.retraining for b in moving])),
    ):
        rows.append([f"{label}, the best setting of each stream", *_ratios(totals.min(2).sum(0), hindsight)])
        rows.append([f"{label}, the best setting of all", *_ratios(totals.sum(0).min(1), hindsight)])
    return markdown(["over hindsight", *(f"c = {cost:g}" for cost in COSTS)], rows)


def newest_table(found: Sequence[Bounds]) -> str:
    """What training on the newest days only would change, in losses of a window over the whole stream."""
    rows = [[b.name, f"{b.everything:.0f}", f"{b.newest - b.everything:+.2f}"] for b in found]
    return markdown(["stream", "windows", "always new, on the newest days instead of everything"], rows)


def _ratios(totals: np.ndarray, hindsight: np.ndarray) -> list[str]:
    return [f"{ratio:.2f}" for ratio in totals / hindsight]


if __name__ == "__main__":
    sys.exit(main())
