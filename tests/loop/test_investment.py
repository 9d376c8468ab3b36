"""Retraining as an investment, deployed: probes measure, the monitor weighs, and a run starts or doesn't.

An old regime comes back, and with it the version that knows it: by itself, by the gate and the canary. A backtest,
without a cloud, lives through the same: the same probes, spans, figures, decisions and scores.
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
from tests.helpers.present import present
from tests.helpers.rows import each_row
from tests.loop.models import BAKERY, BAKERY_DOCUMENT, BAKERY_SCRIPT
from tests.loop.replaying import replayed, same_luck

pytestmark = pytest.mark.xdist_group("loop of an investment")

EVERY = 3
BEGIN, HISTORY_ENDS, TURNS_BACK, ENDS = "2024-05-01", "2024-05-15", "2024-05-23", "2024-05-31"
"""From the history's end on customers want dear loaves, then cheap ones again, as before."""

OF_ANOTHER_WORLD = 4
"""The first days, of which nobody learns what holds later."""


def declared(folder: Path) -> Path:
    """The bakery, whose retraining is an investment, with a canary. Its cooldown leaves one training and one return."""
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT)
    document["data"]["split"] = {"test_days": 5}
    document["data"]["minimum_rows"] = 300
    document["data"]["training_spans"] = [7, 11]
    document["training"] = {"seed": 3, "parameters": {"alpha": 1.0}}
    # What was right before is wrong in between, so this much is allowed: the set is compared, and refuses nobody.
    document["gate"]["standing"] = {"days": 3, "max_increase": 100}
    document["rollout"]["steps"] = [{"percent": 50, "minutes": 240}]
    document["rollout"]["guardrail"]["minimum_requests"] = 1
    document["retraining"] = {
        "investment": {"every_days": EVERY, "cost_share": 0.1},
        "cooldown_days": 9,
        "quota": {"runs": 6, "days": 60},
    }
    (folder / BAKERY).mkdir(parents=True)
    (folder / BAKERY / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / BAKERY / "train.py").write_text(BAKERY_SCRIPT, encoding="utf-8")
    return folder


def sales(file: Path, *, turns: bool) -> Path:
    """Two sales of each of three shops every other hour; ``turns`` says whether what a loaf's price means ever changes.

    That is as many rows as one an hour, in half of the requests.
    """
    rng = np.random.default_rng(5)
    hours = pd.date_range(BEGIN, ENDS, freq="2h", tz="UTC", inclusive="left")
    rows = pd.DataFrame({"sold_at": np.repeat(hours, 6)})
    rows.insert(0, "sale_id", [f"s{i}" for i in range(len(rows))])
    rows["hour"] = rows["sold_at"].dt.hour.astype(float)
    rows["price"] = rng.uniform(2, 6, len(rows)).round(2)
    rows["rain"] = rng.gamma(1, 2, len(rows)).round(1)
    rows["shop"] = np.tile(["market", "station", "harbour"], 2 * len(hours))
    at = rows["sold_at"]
    weight = np.full(len(rows), -4.0)
    if turns:
        weight[(at >= HISTORY_ENDS) & (at < TURNS_BACK)] = 4
        weight[at < pd.Timestamp(BEGIN, tz="UTC") + pd.Timedelta(days=OF_ANOTHER_WORLD)] = -16
    busy = rows["shop"].map({"market": 40.0, "station": 25.0, "harbour": 10.0})
    noise = rng.normal(0, 3, len(rows))
    rows["loaves"] = busy + 2 * rows["hour"] + weight * (rows["price"] - 4) - rows["rain"] + noise
    rows.to_csv(file, index=False)
    return file


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
    folder = tmp_path_factory.mktemp("both")
    file = sales(folder / "sales.csv", turns=True)
    replay = replayed(file, HISTORY_ENDS, declared(folder / "models"), folder / "out")
    windows = pd.read_parquet(replay.out / evidence.WINDOWS_FILE)
    lived, rows = lived_without_a_cloud(folder, replay.predictions)
    asked = replay.predictions.set_index("key").loc[rows.frame["key"].iloc[rows.first_asked :]]
    return Both(replay.summary, windows, asked, lived, rows)


def lived_without_a_cloud(folder: Path, answered: pd.DataFrame | None = None) -> tuple[Lived, LoopRows]:
    """What the declaration and the sales in a folder come to, with real jobs.

    Canaries get the requests that they got in the cloud whose answers are given, or else what chance sends them.
    """
    declaration = find_declaration(BAKERY, folder / "models")
    data = load(folder / "sales.csv", declaration, datetime.fromisoformat(HISTORY_ENDS).replace(tzinfo=UTC))
    rows = LoopRows.of(to_lake_frame(whole(data, declaration.data.time), declaration), declaration, data.starts_at)
    router = None if answered is None else same_luck(answered, rows)
    with jobs_begin_soon():
        code = unpack_code(folder / "models" / BAKERY, folder / "code")
        jobs = JobsHere(code, folder / "made", rows.frame, print)
        (folder / "made").mkdir()
        end = data.stream["time"].iloc[-1].to_pydatetime() + SETTLE
        return live(declaration, rows, jobs, end=end, router=router, progress=print), rows


def whole(data: ReplayData, time: str) -> pd.DataFrame:
    every = pd.concat([data.history, data.stream.rename(columns={"time": time})], ignore_index=True)
    every[time] = every[time].dt.tz_localize(None).astype("datetime64[ms]")
    return every


def test_where_nothing_changes_the_first_champion_is_kept(tmp_path: Path) -> None:
    """Without a cloud: that a cloud's monitor weighs the same and decides alike is what the tests below show."""
    declared(tmp_path / "models")
    sales(tmp_path / "sales.csv", turns=False)
    lived, _ = lived_without_a_cloud(tmp_path)
    assert list(lived.retrainings) == []
    assert [promotion.version for promotion in lived.promotions] == [1]
    weighed = [window for window in lived.windows if window.investment is not None]
    assert len(weighed) > 3
    assert {window.decision for window in weighed} == {"none"}


def test_where_what_was_learned_ages_a_probe_asks_for_the_training(both: Both) -> None:
    """The first version does not know what customers want now: one training, and then its cooldown."""
    assert both.told["open_links"] == []
    (training,) = both.told["retrainings"]
    assert (training["trigger"], training["version"], training["status"]) == ("investment", 2, "succeeded")
    assert training["reason"].startswith("A retraining pays from now on: a model of age ")
    assert "more than fresh probes" in training["reason"]


def test_a_version_comes_back_with_what_it_knows(both: Both) -> None:
    """They want what they wanted: the first version comes back, by a run of its own."""
    (restored,) = both.told["restorations"]
    assert (restored["trigger"], restored["version"], restored["status"]) == ("older_version", 1, "succeeded")
    assert restored["reason"].startswith("Version 1 would have lost ")
    assert {"registered_files", "better_than_champion"} <= {reason["code"] for reason in restored["reasons"]}
    assert [p["version"] for p in both.told["promotions"]] == [1, 2, 1]
    # Both were compared on the rows that were put aside before the first one learned: the second has forgotten them.
    (training,) = both.told["retrainings"]
    (forgot,) = (r for r in training["reasons"] if r["code"] == "standing_worse_than_champion")
    (knows,) = (r for r in restored["reasons"] if r["code"] == "standing_worse_than_champion")
    assert (forgot["passed"], knows["passed"]) == (True, True)
    assert "the candidate's mae minus the champion's is +" in forgot["sentence"]
    assert "the candidate's mae minus the champion's is -" in knows["sentence"]


def test_a_backtest_trains_and_brings_back_on_the_same_days_for_the_same_figures(both: Both) -> None:
    found = [
        (run.run_id, run.trigger["kind"], run.trigger["reason"], run.status, run.verdict, run.version)
        for run in both.lived.runs[1:]
    ]
    recorded = [*both.told["retrainings"], *both.told["restorations"]]
    assert found == [
        (run["run_id"], run["trigger"], run["reason"], run["status"], run["verdict"], run["version"])
        for run in recorded
    ]
    assert len(found) == 2
    for ours, theirs in zip(both.lived.promotions, both.told["promotions"], strict=True):
        assert ours.version == theirs["version"]
        assert pd.Timestamp(ours.at).floor("s") == pd.Timestamp(theirs["at"]).floor("s")


def test_both_choose_the_same_span_by_the_same_evidence(both: Both) -> None:
    run = both.lived.runs[1]
    (recorded,) = both.told["retrainings"]
    assert run.training_span is not None
    assert run.training_span["days"] == 7, "older rows are of another world"
    assert recorded["training_span"]["days"] == 7
    assert recorded["training_span"]["reason"] == run.training_span["reason"]
    learned_from = [probe.document["fresh_days"] for probe in both.lived.probes]
    assert learned_from[0] is None
    assert 7 in learned_from, "as long as the second version serves"
    of_the_second = both.lived.probes[learned_from.index(7)].document["champion"]
    assert present(of_the_second)["versions"], "the first version was scored beside the second"


def test_both_weigh_the_same_figures_at_every_window(both: Both) -> None:
    assert len(both.windows) == len(both.lived.windows)
    weighed = 0
    for ours, theirs in zip(both.lived.windows, each_row(both.windows.sort_values("end")), strict=True):
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
            assert recorded[name] == pytest.approx(ours.investment[name], rel=1e-6), (ours.end, name)
        for name in ("regret", "forecast"):
            assert recorded[name] == pytest.approx(dict(ours.investment[name]), rel=1e-6), (ours.end, name)  # type: ignore[literal-required]  # names of the document
        assert [r["reason"] for r in recorded["remedies"]] == [r["reason"] for r in ours.investment["remedies"]]
    assert weighed > 3


def test_both_serve_the_same_scores(both: Both) -> None:
    answers, first = both.lived.answers, both.rows.first_asked
    assert (answers.version[first:] == both.predictions["version"].to_numpy()).all()
    assert answers.raw[first:] == pytest.approx(both.predictions["raw_score"].to_numpy(), abs=1e-9)
    assert answers.served[first:] == pytest.approx(both.predictions["prediction"].to_numpy(), abs=1e-6)
