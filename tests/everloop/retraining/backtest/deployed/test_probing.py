"""Fresh probes in a loop without a cloud: when they are measured, on what, and what follows from them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from everloop.model_file.schema import ModelDeclaration
from everloop.retraining.backtest.deployed.lived import Lived
from everloop.retraining.backtest.deployed.loop import live
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.everloop.retraining.backtest.deployed.scenes import (
    BEGIN,
    DAYS,
    ROWS_A_DAY,
    SaidJobs,
    declaration,
    history,
)

END = BEGIN + timedelta(days=DAYS)
EVERY = 5


def invested(data: dict[str, Any] | None = None, **changes: Any) -> ModelDeclaration:
    """Weighed with a fresh probe of every five days; trained by no schedule."""
    investment = {"every_days": EVERY, "cost_share": 0.05, **changes}
    retraining = {"investment": investment, "schedule_days": None, "cooldown_days": 7}
    # Shown as the model says it: what is weighed here are models, not what recalibration makes of them.
    return declaration(retraining=retraining, recalibration=None, data=data or {})


def lived(declared: ModelDeclaration, **jobs: Any) -> tuple[Lived, LoopRows, SaidJobs]:
    rows = LoopRows.of(history(), declared, BEGIN)
    made = SaidJobs(declared, rows.frame, **jobs)
    return live(declared, rows, made, end=END), rows, made


@pytest.mark.slow
def test_a_probe_is_measured_after_each_of_its_windows() -> None:
    found, rows, jobs = lived(invested())
    ends = [probe.window_end for probe in found.probes]
    assert len(ends) >= 6
    assert {later - earlier for earlier, later in pairwise(ends)} == {timedelta(days=EVERY)}
    for probe, (plan, trained, scored) in zip(found.probes, jobs.plans, strict=True):
        # The monitor runs once the labels of the window's last day have come.
        assert probe.created_at == probe.window_end + timedelta(hours=10)
        assert probe.document["window_rows"] == EVERY * ROWS_A_DAY
        # THEN it learned from the rows that were labelled when its window began, and from no others
        told = rows.told(invested(), plan["window_start"])
        assert trained == plan["labelled_rows"] == int(told["label"].notna().sum())
        assert told["time"].max() <= pd.Timestamp(plan["window_start"] - timedelta(hours=8)).tz_localize(None)
        assert scored == (EVERY + 2) * ROWS_A_DAY or probe is found.probes[0]
    # AND each scores those before it
    assert [len(plan["kept"]) for plan, _, _ in jobs.plans] == list(range(len(jobs.plans)))


@pytest.mark.slow
def test_a_window_that_began_before_the_first_champion_has_the_labels_of_history() -> None:
    """The first champion is seldom promoted as a window begins: a day's rows may be missing."""
    declared, later = invested(), BEGIN + timedelta(days=1)
    rows = LoopRows.of(history(), declared, later)
    jobs = SaidJobs(declared, rows.frame)
    found = live(declared, rows, jobs, end=END)
    # A window of five days begins on that day, counted from 1970.
    assert jobs.plans[0][0]["window_start"] == BEGIN
    assert found.probe_failures == ()
    assert jobs.plans[0][0]["labelled_rows"] > 29 * ROWS_A_DAY


@pytest.mark.slow
def test_a_champion_that_loses_more_than_fresh_probes_is_trained_again() -> None:
    # GIVEN that newer rows teach more from the third window on
    found, _, _ = lived(invested(), strengths=[0.2, 1.0], probe_strengths=[0.2, 0.2, 1.0])
    assert {run.trigger["kind"] for run in found.retrainings} == {"investment"}
    assert str(found.retrainings[0].trigger["reason"]).startswith("A retraining pays from now on")
    assert [promotion.version for promotion in found.promotions][:2] == [1, 2]
    weighed = [window.investment for window in found.windows if window.investment is not None]
    # AND the regret is the champion's, as it answered, less that of the fresh probes
    before = next(w for w in found.windows if w.decision == "retrain").investment
    assert before is not None
    assert before["regret"]["total"] > 0.03
    assert (before["newest_version"], weighed[-1]["newest_version"]) == (1, found.promotions[-1].version)
    assert weighed[-1]["regret"]["total"] < 0.01


@pytest.mark.slow
def test_where_nothing_is_lost_nothing_is_trained() -> None:
    found, _, _ = lived(invested(), strengths=[1.0], probe_strengths=[1.0])
    assert found.retrainings == ()
    assert len(found.probes) >= 6


@pytest.mark.slow
def test_evidence_of_probes_chooses_what_a_training_learns_from() -> None:
    data = {"label_lag_hours": 8, "split": {"test_days": 7}, "training_spans": [15], "minimum_rows": 100}
    declared = invested(data)
    schedule = declared.retraining.model_copy(update={"schedule_days": 20})
    declared = declared.model_copy(update={"retraining": schedule})
    found, _, jobs = lived(declared, strengths=[0.2, 1.0], probe_strengths=[0.2], span_strength=1.0)
    first, again = found.runs[:2]
    assert (first.training_days, again.training_days) == (None, 15)
    # THEN the training has only those rows, and so has the probe that champions are held against from then on
    assert jobs.asked[1][1] + jobs.asked[1][2] == pytest.approx(15 * ROWS_A_DAY, abs=ROWS_A_DAY)
    learned_from = [probe.document["fresh_days"] for probe in found.probes]
    assert (learned_from[0], learned_from[-1]) == (None, 15)


@pytest.mark.slow
def test_a_probe_that_fails_is_measured_at_the_next_run_of_the_monitor() -> None:
    found, _, jobs = lived(invested(), probe_fails_at=(0,))
    assert len(found.probe_failures) == 1
    assert "no luck" in found.probe_failures[0]
    assert jobs.plans[0][0]["window_end"] == jobs.plans[1][0]["window_end"] == found.probes[0].window_end
    assert found.probes[0].created_at == found.probes[0].window_end + timedelta(days=1, hours=10)


@pytest.mark.slow
def test_an_older_version_that_answers_better_comes_back_without_a_training() -> None:
    declared = invested(cost_share=5.0)
    schedule = declared.retraining.model_copy(update={"schedule_days": 12, "cooldown_days": 10})
    declared = declared.model_copy(
        update={"retraining": schedule, "gate": declared.gate.model_copy(update={"margin": 9.0})}
    )
    # GIVEN a second version that is worse, which the gate lets pass
    found, rows, jobs = lived(declared, strengths=[1.0, 0.2], probe_strengths=[1.0])
    restored = [run for run in found.runs if run.kind == "restore"]
    assert jobs.judged_again[0] == 1
    assert (restored[0].trigger["version"], restored[0].verdict) == (1, "pass")
    assert [promotion.version for promotion in found.promotions][:3] == [1, 2, 1]
    # THEN it cost no training, and it answers
    assert restored[0] not in found.retrainings
    back = found.promotions[2].at
    during = rows.between(back, min([p.at for p in found.promotions[3:]], default=END))
    assert 1 in set(found.answers.version[during])
