"""A backtest's loop, without a cloud, does what the templates' loop did: same days, same causes, same verdicts.

Chance sends a canary its requests in the cloud. The backtest is given the same luck; then nothing is left to differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.cli.operations.backtest_jobs import JobsHere
from everloop.cli.operations.jobs_here import jobs_begin_soon
from everloop.cli.operations.trial import unpack_code
from everloop.cli.replay import evidence
from everloop.cli.replay.driver import SETTLE
from everloop.dataset.lake import to_lake_frame
from everloop.documents.window import WindowRecord
from everloop.registry.records import Run
from everloop.retraining.backtest.deployed.lived import Lived
from everloop.retraining.backtest.deployed.loop import live
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.helpers.rows import each_row
from tests.loop.models import FLIGHTS
from tests.loop.replaying import same_luck
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


@dataclass(frozen=True)
class Both:
    """What was lived through without a cloud, beside the evidence of the replay."""

    lived: Lived
    jobs: JobsHere
    rows: LoopRows
    predictions: pd.DataFrame
    windows: pd.DataFrame
    told: dict[str, Any]


@pytest.fixture(scope="module")
def both(loop: Loop, models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder, declaration = tmp_path_factory.mktemp("backtest"), loop.declaration
    time = declaration.data.time
    whole = pd.concat([loop.data.history, loop.data.stream.rename(columns={"time": time})], ignore_index=True)
    whole[time] = whole[time].dt.tz_localize(None).astype("datetime64[ms]")
    rows = LoopRows.of(to_lake_frame(whole, declaration), declaration, loop.data.starts_at)
    predictions = pd.read_parquet(loop.evidence / evidence.PREDICTIONS_FILE)
    code = unpack_code(models_directory / FLIGHTS, folder / "code")
    jobs = JobsHere(code, folder / "made", rows.frame, print)
    end = loop.data.stream["time"].iloc[-1].to_pydatetime() + SETTLE
    with jobs_begin_soon():
        lived = live(declaration, rows, jobs, end=end, router=same_luck(predictions, rows))
    return Both(
        lived,
        jobs,
        rows,
        predictions.set_index("key").loc[rows.frame["key"].iloc[rows.first_asked :]],
        pd.read_parquet(loop.evidence / evidence.WINDOWS_FILE),
        json.loads((loop.evidence / evidence.SUMMARY_FILE).read_text(encoding="utf-8")),
    )


def recorded(loop: Loop, both: Both) -> list[Run]:
    """The runs of the replay; other tests may have started more."""
    ids = {one["run_id"] for one in (*both.told["retrainings"], *both.told["first_candidates"])}
    runs = [run for run in loop.store.runs.all() if run.run_id in ids]
    return sorted(runs, key=lambda run: run.started_at)


def moment(at: datetime | str) -> pd.Timestamp:
    """To the second: in the cloud a moment passes between what is due and what it starts."""
    return pd.Timestamp(at).floor("s")


def test_both_train_on_the_same_days_for_the_same_causes_and_come_to_the_same_verdicts(loop: Loop, both: Both) -> None:
    def told(run: Run) -> tuple[object, ...]:
        checks = sorted((r["code"], bool(r.get("passed"))) for r in run.gate_reasons)
        against = [r["sentence"] for r in run.gate_reasons if not r.get("passed")]
        return (
            moment(run.started_at), run.trigger["kind"], run.trigger["reason"], run.status, run.verdict, run.version,
            run.champion_version, run.refit.get("serves"), checks, against,
        )  # fmt: skip

    found, wanted = [told(run) for run in both.lived.runs], [told(run) for run in recorded(loop, both)]
    assert found == wanted
    assert len(found) == 2, "a first champion, and the retraining that was due"


def test_both_learn_from_the_same_rows(loop: Loop, both: Both) -> None:
    wanted = [run.snapshot_hash for run in recorded(loop, both)]
    assert [run.snapshot_hash for run in both.lived.runs] == wanted
    assert [run.run_id for run in both.lived.retrainings] == [one["run_id"] for one in both.told["retrainings"]]


def test_both_promote_the_same_versions_at_the_same_moments(both: Both) -> None:
    found = [(promotion.version, moment(promotion.at)) for promotion in both.lived.promotions]
    assert found == [(one["version"], moment(one["at"])) for one in both.told["promotions"]]


def test_both_judge_every_window_alike(both: Both) -> None:
    recorded_by_end = {pd.Timestamp(w.end): w for w in each_row(both.windows)}
    assert len(both.lived.windows) == len(recorded_by_end)
    for window in both.lived.windows:
        wanted = recorded_by_end[pd.Timestamp(window.end)]
        held = None if pd.isna(wanted.held_back_by) else wanted.held_back_by
        trigger = None if pd.isna(wanted.trigger) else wanted.trigger
        assert (window.decision, window.trigger, window.held_back_by) == (wanted.decision, trigger, held), window.end
        assert (window.version, window.rows, window.labelled_rows) == (
            wanted.version, wanted.rows, wanted.labelled_rows,
        ), window.end  # fmt: skip
        assert profile_of(window)["features"] == json.loads(wanted.profile)["features"], window.end
        assert window.drift_alarm == wanted.drift_alarm
        for name, drift in json.loads(wanted.drift).items():
            assert window.drift[name]["effect"] == pytest.approx(drift["effect"], abs=1e-9), (window.end, name)
        assert_same_learning(window, wanted)


def profile_of(window: WindowRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(window.profile))
    return found


def assert_same_learning(window: WindowRecord, wanted: Any) -> None:
    learned, told = window.recalibration, json.loads(wanted.recalibration)
    assert learned is not None
    assert learned["decision"] == told["decision"], window.end
    for name in ("rows", "raw", "calibrated"):
        assert learned["losses"][name] == pytest.approx(told["losses"][name], rel=1e-6), window.end


def test_both_serve_the_same_scores(both: Both) -> None:
    answers, first = both.lived.answers, both.rows.first_asked
    assert (answers.version[first:] == both.predictions["version"].to_numpy()).all()
    assert answers.raw[first:] == pytest.approx(both.predictions["raw_score"].to_numpy(), abs=1e-9)
    assert answers.served[first:] == pytest.approx(both.predictions["probability"].to_numpy(), abs=1e-7)
    apart = np.abs(answers.served[first:] - answers.raw[first:])
    assert apart.max() > 1e-3, "recalibration was at work"


def test_both_save_the_same_loss(both: Both) -> None:
    known = both.predictions["label"].notna().to_numpy()
    label = both.predictions["label"].to_numpy()[known]

    def loss(scores: np.ndarray) -> float:
        return float(-(label * np.log(scores) + (1 - label) * np.log1p(-scores)).mean())

    first = both.rows.first_asked
    served, raw = both.lived.answers.served[first:][known], both.lived.answers.raw[first:][known]
    assert loss(served) == pytest.approx(both.told["loop"]["log_loss"]["value"], abs=1e-7)
    assert loss(raw) == pytest.approx(both.told["raw"]["log_loss"]["value"], abs=1e-9)


def test_without_that_luck_the_days_and_the_verdicts_are_the_same(loop: Loop, both: Both) -> None:
    end = loop.data.stream["time"].iloc[-1].to_pydatetime() + SETTLE
    # What is trained on the same rows beside the same windows is taken from before.
    lived = live(loop.declaration, both.rows, both.jobs, end=end)
    days = [(run.started_at.date(), run.trigger["kind"], run.verdict) for run in lived.runs]
    assert days == [(run.started_at.date(), run.trigger["kind"], run.verdict) for run in recorded(loop, both)]
    for found, wanted in zip(lived.promotions, both.lived.promotions, strict=True):
        assert found.version == wanted.version
        assert abs(found.at - wanted.at) <= timedelta(days=2)
