"""Policies of retraining: this product's, and those that people use."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.retraining.backtest.adaptive_window import change_found
from everloop.retraining.backtest.history import View
from everloop.retraining.backtest.walk import KEEP, RETRAIN, Action, Policy
from everloop.retraining.exceptions import BacktestError
from everloop.retraining.investment import HALF_LIFE, Ageing, Facts, Regret, invest, leads

SCHEDULES = tuple(range(2, 13))
"""Windows between two trainings of the fixed schedules."""


@dataclass(frozen=True)
class Never:
    """The first model, for ever."""

    name: str = "never"

    def decide(self, view: View) -> Action:
        """Keep."""
        return KEEP


@dataclass(frozen=True)
class Every:
    """A training every so many windows."""

    windows: int

    @property
    def name(self) -> str:
        """With its interval."""
        return "always" if self.windows == 1 else f"every {self.windows} windows"

    def decide(self, view: View) -> Action:
        """Retrain at the age."""
        return RETRAIN if view.age >= self.windows else KEEP


@dataclass(frozen=True)
class Stability:
    """The population stability index of any feature, against the rows that the model learned from."""

    threshold: float = 0.25
    name: str = "drift, PSI over 0.25"

    def decide(self, view: View) -> Action:
        """Retrain when the newest window's index is above the threshold."""
        shift = view.history.shift_stability
        if shift is None:
            raise BacktestError("this history has no features for drift detection")
        window = view.now - 1
        return RETRAIN if window >= view.serving and shift[view.serving, window] > self.threshold else KEEP


@dataclass(frozen=True)
class KolmogorovSmirnov:
    """Kolmogorov and Smirnov's test of every feature, against the rows that the model learned from."""

    p_value: float = 0.01
    name: str = "drift, KS test at 1 %"

    def decide(self, view: View) -> Action:
        """Retrain when the newest window's least p-value, corrected for the number of features, is below."""
        shift = view.history.shift_distance
        if shift is None:
            raise BacktestError("this history has no features for drift detection")
        window = view.now - 1
        return RETRAIN if window >= view.serving and shift[view.serving, window] < self.p_value else KEEP


@dataclass(frozen=True)
class LossRise:
    """The model's own loss a row, against its first window."""

    share: float = 0.05
    name: str = "loss up by 5 %"

    def decide(self, view: View) -> Action:
        """Retrain when the newest labelled window's loss is higher by the share."""
        losses = view.losses(view.history.raw, view.serving, view.serving)
        if len(losses) < 2:
            return KEEP
        rows = view.rows_by_window()[view.serving :]
        return RETRAIN if losses[-1] / rows[-1] > (1 + self.share) * losses[0] / rows[0] else KEEP


@dataclass(frozen=True)
class AdaptiveWindow:
    """ADWIN on the model's errors (Bifet and Gavaldà 2007)."""

    delta: float = 0.002
    name: str = "ADWIN on errors"

    def decide(self, view: View) -> Action:
        """Retrain when the errors since its training split into two stretches that differ."""
        line = view.history.errors.timeline
        days = slice(line.first_day(view.serving), max(view.known_days, line.first_day(view.serving)))
        errors, rows = view.history.errors.daily[view.serving, days], line.rows_by_day[days]
        return RETRAIN if change_found(errors, rows, self.delta) else KEEP


@dataclass(frozen=True)
class RegretReachesCost:
    """Renting or buying alone: retrain when the regret against fresh probes has added up to the cost."""

    share: float = 1.0
    name: str = "regret reaches the cost"

    def decide(self, view: View) -> Action:
        """Retrain when it has."""
        return RETRAIN if Regret.of(view.newest_less_probe()).total >= self.share * view.cost else KEEP


@dataclass(frozen=True)
class Invest:
    """This product's: retrain where it pays, restore an older version where that has clearly lost less.

    ``half_life`` is in windows.
    """

    half_life: float = HALF_LIFE
    restores: bool = True
    unit: str = "loss"

    @property
    def name(self) -> str:
        """Says which remedies it has."""
        return "investment" if self.restores else "investment, without older versions"

    def decide(self, view: View) -> Action:
        """Retrain, restore or keep, with the reason."""
        facts = Facts(
            age=view.now - view.newest,
            ageing=Ageing.seen(view.staleness(), self.half_life),
            regret=Regret.of(view.newest_less_probe()),
            cost=view.cost,
            unit=self.unit,
        )
        found = invest(facts)
        older = self._older(view) if self.restores else None
        if older is not None and not found.retrain:
            return older
        return Action("retrain", reason=found.reasons[0].sentence) if found.retrain else KEEP

    def _older(self, view: View) -> Action | None:
        """The older version that would have saved most in the newest window, if any did beyond chance."""
        window = view.seen - 1
        if window < view.since:
            return None
        served = view.history.served
        champion = view.day_losses(served, view.serving, window)
        others = [model for model in view.trained if model != view.serving and model <= window]
        saved = {model: leads(champion - view.day_losses(served, model, window)) for model in others}
        best = max(saved, key=lambda model: saved[model], default=None)
        if best is None or not saved[best]:
            return None
        return Action("restore", best, f"an older version would have lost {saved[best]:.3g} less in the newest window")


def usual_policies() -> list[Policy]:
    """What this product's is compared with."""
    return [
        Never(),
        Every(1),
        *(Every(windows) for windows in SCHEDULES),
        Stability(),
        KolmogorovSmirnov(),
        LossRise(),
        AdaptiveWindow(),
        RegretReachesCost(),
    ]
