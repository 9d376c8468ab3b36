"""A window's rows are learned in a few steps, none of which is spent on the last digits."""

from __future__ import annotations

import numpy as np
import pytest

from everloop.recalibration import fit
from everloop.recalibration.fit import Posterior, learned
from everloop.recalibration.sums import LogOddsSums


def window(rng: np.random.Generator, rows: int = 60) -> LogOddsSums:
    scores = rng.uniform(0.02, 0.98, rows)
    return LogOddsSums.of_rows(scores, (rng.random(rows) < scores).astype(int))


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """A list that grows by one with each call of that function of the fit."""
    calls: list[str] = []
    function = getattr(fit, name)

    def counting(*given: object) -> object:
        calls.append(name)
        return function(*given)

    monkeypatch.setattr(fit, name, counting)
    return calls


def test_a_step_that_is_right_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, steps = counted(monkeypatch, "_penalised"), counted(monkeypatch, "_precision")
    rng, posterior = np.random.default_rng(3), Posterior.prior(7)
    for _ in range(50):
        posterior = learned(posterior.faded(np.linspace(0.5, 0.99, 7)), window(rng), 1.0, 1.0)
    # One loss at the beginning and one a step; one precision a step and one at the end.
    assert len(steps) > 100
    assert len(losses) <= 1.1 * len(steps)


def test_what_was_learned_can_not_be_bettered() -> None:
    rng, before = np.random.default_rng(5), Posterior.prior(1)
    for _ in range(20):
        sums = window(rng)
        after = learned(before, sums, 1.0, 1.0)
        z, outcome, rows = sums.cells()
        least = fit._penalised(before, after.mean, z, outcome, rows)
        for away in rng.normal(0, 1e-3, (20, 1, 2)):
            assert fit._penalised(before, after.mean + away, z, outcome, rows) > least
        before = after.faded(np.array([0.9]))
