"""Retraining as an investment, deployed: probes measure, the monitor weighs, and a run starts or doesn't.

A backtest, without a cloud, lives through the same: the same probes, spans, figures, decisions and scores.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from everloop.cli.operations.backtest_jobs import JobsHere
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.jobs_here import jobs_begin_soon
from everloop.cli.operations.trial import unpack_code
from everloop.cli.replay import evidence
from everloop.cli.replay.driver import SETTLE
from everloop.cli.replay.stream import ReplayData, load
from everloop.dataset.lake import to_lake_frame
from everloop.retraining.backtest.deployed.lived import Lived
from everloop.retraining.backtest.deployed.loop import live
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.loop.models import BAKERY, BAKERY_DOCUMENT, BAKERY_SCRIPT
from tests.loop.replaying import Replayed, replayed

pytestmark = pytest.mark.xdist_group("loop of an investment")

HISTORY_DAYS, STREAM_DAYS = 14, 9
EVERY = 2
HISTORY_ENDS = "2024-05-15"


def declared(folder: Path) -> Path:
    """The bakery, whose retraining is an investment: a tenth of what two days lose."""
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT)
    document["data"]["split"] = {"test_days": 5}
    document["data"]["minimum_rows"] = 300
    document["data"]["training_spans"] = [7, 11]
    document["training"] = {"seed": 3, "parameters": {"alpha": 1.0}}
    document["retraining"] = {
        "investment": {"every_days": EVERY, "cost_share": 0.1, "recent_days": 6},
        "cooldown_days": 5,
        "quota": {"runs": 6, "days": 60},
    }
    (folder / BAKERY).mkdir(parents=True)
    (folder / BAKERY / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / BAKERY / "train.py").write_text(BAKERY_SCRIPT, encoding="utf-8")
    return folder


def sales(file: Path, *, drift: float, before: float = 0.0) -> Path:
    """Sales of three shops by the hour. ``drift`` is by how much a loaf's price means less each day of the stream, and
    ``before`` by how much it meant less in the first four days.
    """
    rng, days = np.random.default_rng(5), HISTORY_DAYS + STREAM_DAYS
    times = np.repeat(pd.date_range("2024-05-01", periods=days * 24, freq="h", tz="UTC"), 3)
    rows = pd.DataFrame({"sale_id": [f"s{i}" for i in range(len(times))], "sold_at": times})
    rows["hour"] = rows["sold_at"].dt.hour.astype(float)
    rows["price"] = rng.uniform(2, 6, len(rows)).round(2)
    rows["rain"] = rng.gamma(1, 2, len(rows)).round(1)
    rows["shop"] = np.tile(["market", "station", "harbour"], days * 24)
    day = np.repeat(np.arange(days), 72)
    weight = drift * np.maximum(day - HISTORY_DAYS, 0) + np.where(day < 4, before, 0.0) - 4
    busy = rows["shop"].map({"market": 40.0, "station": 25.0, "harbour": 10.0})
    noise = rng.normal(0, 3, len(rows))
    rows["loaves"] = busy + 2 * rows["hour"] + weight * (rows["price"] - 4) - rows["rain"] + noise
    rows.to_csv(file, index=False)
    return file


def lived_through(folder: Path, *, drift: float, before: float = 0.0) -> Replayed:
    """The replay of such sales with the declaration in ``folder``, and its evidence there."""
    file = sales(folder / "sales.csv", drift=drift, before=before)
    return replayed(file, HISTORY_ENDS, declared(folder / "models"), folder / "out")


@dataclass(frozen=True)
class Both:
    """The evidence of a replay, and what was lived through without a cloud."""

    told: dict[str, Any]
    windows: pd.DataFrame
    predictions: pd.DataFrame
    lived: Lived
    rows: LoopRows


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Of a world that was another one until the fourth day, and moves again."""
    folder = tmp_path_factory.mktemp("both")
    replay = lived_through(folder, drift=0.5, before=-12.0)
    lived, rows = lived_without_a_cloud(folder)
    windows = pd.read_parquet(replay.out / evidence.WINDOWS_FILE)
    asked = replay.predictions.set_index("key").loc[rows.frame["key"].iloc[rows.first_asked :]]
    return Both(replay.summary, windows, asked, lived, rows)


def lived_without_a_cloud(folder: Path) -> tuple[Lived, LoopRows]:
    """What the declaration and the sales in a folder come to, with real jobs."""
    declaration = find_declaration(BAKERY, folder / "models")
    data = load(folder / "sales.csv", declaration, datetime.fromisoformat(HISTORY_ENDS).replace(tzinfo=UTC))
    rows = LoopRows.of(to_lake_frame(whole(data, declaration.data.time), declaration), declaration, data.starts_at)
    with jobs_begin_soon():
        code = unpack_code(folder / "models" / BAKERY, folder / "code")
        jobs = JobsHere(code, folder / "made", rows.frame, print)
        (folder / "made").mkdir()
        end = data.stream["time"].iloc[-1].to_pydatetime() + SETTLE
        return live(declaration, rows, jobs, end=end, progress=print), rows


def whole(data: ReplayData, time: str) -> pd.DataFrame:
    every = pd.concat([data.history, data.stream.rename(columns={"time": time})], ignore_index=True)
    every[time] = every[time].dt.tz_localize(None).astype("datetime64[ms]")
    return every


def test_where_nothing_changes_the_first_champion_is_kept(tmp_path: Path) -> None:
    """Without a cloud: that a cloud's monitor weighs the same and decides alike is what the tests below show."""
    declared(tmp_path / "models")
    sales(tmp_path / "sales.csv", drift=0.0)
    lived, _ = lived_without_a_cloud(tmp_path)
    assert list(lived.retrainings) == []
    assert [promotion.version for promotion in lived.promotions] == [1]
    weighed = [window for window in lived.windows if window.investment is not None]
    assert len(weighed) > 3
    assert {window.decision for window in weighed} == {"none"}


def test_where_what_was_learned_ages_a_probe_asks_for_the_training(both: Both) -> None:
    assert both.told["open_links"] == []
    (training,) = both.told["retrainings"]
    assert (training["trigger"], training["status"]) == ("investment", "succeeded")
    assert training["reason"].startswith("A retraining pays from now on: a model of age ")
    assert "more than fresh probes" in training["reason"]
    assert [p["version"] for p in both.told["promotions"]] == [1, 2]


def test_a_backtest_trains_on_the_same_days_for_the_same_figures(both: Both) -> None:
    found = [(run.run_id, run.trigger["reason"], run.status, run.verdict) for run in both.lived.retrainings]
    wanted = [(run["run_id"], run["reason"], run["status"], run["verdict"]) for run in both.told["retrainings"]]
    assert found == wanted
    assert len(found) == 1
    for ours, theirs in zip(both.lived.promotions, both.told["promotions"], strict=True):
        assert ours.version == theirs["version"]
        assert pd.Timestamp(ours.at).floor("s") == pd.Timestamp(theirs["at"]).floor("s")


def test_both_choose_the_same_span_by_the_same_evidence(both: Both) -> None:
    (run,) = both.lived.retrainings
    (recorded,) = both.told["retrainings"]
    assert run.training_span is not None
    assert run.training_span["days"] == 7, "older rows are of another world"
    assert recorded["training_span"]["days"] == 7
    assert recorded["training_span"]["reason"] == run.training_span["reason"]
    learned_from = [probe.document["fresh_days"] for probe in both.lived.probes]
    assert (learned_from[0], learned_from[-1]) == (None, 7)
    assert both.lived.probes[-1].document["champion"]["versions"], "the first version was scored beside the second"


def test_both_weigh_the_same_figures_at_every_window(both: Both) -> None:
    assert len(both.windows) == len(both.lived.windows)
    weighed = 0
    for ours, theirs in zip(both.lived.windows, both.windows.sort_values("end").itertuples(), strict=True):
        assert pd.Timestamp(ours.end) == pd.Timestamp(theirs.end)
        held = None if pd.isna(theirs.held_back_by) else theirs.held_back_by
        assert (ours.version, ours.decision, ours.held_back_by) == (theirs.version, theirs.decision, held)
        recorded = None if pd.isna(theirs.investment) else json.loads(theirs.investment)
        assert (ours.investment is None) == (recorded is None)
        if ours.investment is None or recorded is None:
            continue
        weighed += 1
        assert [reason["sentence"] for reason in recorded["reasons"]] == [
            reason["sentence"] for reason in ours.investment["reasons"]
        ]
        for name in ("age", "cost", "next_regret", "rate", "best_age", "ageing"):
            assert recorded[name] == pytest.approx(ours.investment[name], rel=1e-6), (ours.end, name)  # type: ignore[literal-required]  # names of the document
        for name in ("regret", "forecast"):
            assert recorded[name] == pytest.approx(dict(ours.investment[name]), rel=1e-6), (ours.end, name)  # type: ignore[literal-required]  # names of the document
        assert [r["reason"] for r in recorded["remedies"]] == [r["reason"] for r in ours.investment["remedies"]]
    assert weighed > 3


def test_both_serve_the_same_scores(both: Both) -> None:
    answers, first = both.lived.answers, both.rows.first_asked
    assert (answers.version[first:] == both.predictions["version"].to_numpy()).all()
    assert answers.raw[first:] == pytest.approx(both.predictions["raw_score"].to_numpy(), abs=1e-9)
    assert answers.served[first:] == pytest.approx(both.predictions["prediction"].to_numpy(), abs=1e-6)
