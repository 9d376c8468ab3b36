"""A replay whose first candidates the gate refuses goes on without a champion, where it is asked to."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.helpers.synthesis import synthesize_models
from tests.loop.models import BAKERY, BAKERY_DOCUMENT, BAKERY_SCRIPT, write_sales
from tests.loop.replaying import Replayed, replay

pytestmark = pytest.mark.xdist_group("going on")

DAYS, HISTORY_DAYS, FEW_DAYS = 16, 9, 7
"""Of the first days only one shop of three tells its sales: a test part of three such days and two more has 214."""

HISTORY_ENDS = "2024-06-01"
EVERY = 2
A_DAY = 72


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bakery without recalibration whose gate asks for 340 test rows, and its sales."""
    folder = tmp_path_factory.mktemp("going_on")
    model = folder / "models" / BAKERY
    model.mkdir(parents=True)
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT)
    document["data"]["minimum_rows"] = 150
    document["gate"]["minimum_test_rows"] = 340
    document["recalibration"] = "none"
    (model / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (model / "train.py").write_text(BAKERY_SCRIPT, encoding="utf-8")
    rows = pd.read_csv(write_sales(folder / "all.csv", begin="2024-05-23", days=DAYS))
    early = pd.to_datetime(rows["sold_at"]) < pd.Timestamp("2024-05-23", tz="UTC") + pd.Timedelta(days=FEW_DAYS)
    rows[~early | (rows["shop"] == "market")].to_csv(folder / "sales.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def assembly(folder: Path) -> Path:
    return synthesize_models(folder / "models", folder)


@pytest.fixture(scope="module")
def went_on(folder: Path, assembly: Path) -> Replayed:
    again = ("--train-again-every", str(EVERY))
    return replay(folder / "sales.csv", HISTORY_ENDS, folder / "models", assembly, folder / "out", *again)


@pytest.fixture(scope="module")
def never_passed(folder: Path, assembly: Path) -> Replayed:
    """The same where two shops never tell their sales, in a folder that has another replay's evidence."""
    rows = pd.read_csv(folder / "sales.csv")
    rows = rows[(rows["shop"] == "market") & (rows["sold_at"] < "2024-06-02")]
    rows.to_csv(folder / "few.csv", index=False)
    (folder / "never").mkdir()
    for name in ("summary.json", "quality.png", "predictions.parquet", "windows.parquet"):
        (folder / "never" / name).write_text("of another replay", encoding="utf-8")
    again = ("--train-again-every", "1", "--json")
    return replay(folder / "few.csv", HISTORY_ENDS, folder / "models", assembly, folder / "never", *again)


def test_it_goes_on_without_a_champion_until_a_candidate_passes(went_on: Replayed) -> None:
    assert went_on.status == 0, went_on.err
    told = went_on.summary
    assert told["open_links"] == []
    assert [c["verdict"] for c in told["first_candidates"]] == ["fail", "fail", "pass"]
    begin, *later = [pd.Timestamp(c["at"]) for c in told["first_candidates"]]
    # The outcomes of a day are known two hours after its end, and the next training waits for them.
    assert [(at - begin).round("1h") for at in later] == [pd.Timedelta(days=n, hours=2) for n in (EVERY, 2 * EVERY)]
    test_rows = [next(r for r in c["reasons"] if r["code"] == "minimum_test_rows") for c in told["first_candidates"]]
    # The last hour of history had no outcome yet, and never gets one; the first part begins an hour earlier for it.
    found = [3 * 24 + 2 * A_DAY - 3 + 1, 24 + 4 * A_DAY - 3, 5 * A_DAY - 3]
    assert [r["value"] for r in test_rows] == found, "all days until then"
    assert told["retrainings"] == []
    assert [p["version"] for p in told["promotions"]] == [3]


def test_rows_that_nobody_could_answer_are_counted_and_said(went_on: Replayed) -> None:
    told, stream = went_on.summary, (DAYS - HISTORY_DAYS) * A_DAY
    assert told["rows_without_champion"] == 4 * A_DAY + 2 * 3, "all rows of four days and two hours"
    assert told["days_without_champion"] == pytest.approx(4 + 2 / 24, abs=0.1)
    assert told["rows_served"] == stream - told["rows_without_champion"] == len(went_on.predictions)
    assert told["rows_served"] == told["predictions_captured"] == told["labels_sent"] == told["labels_joined"]
    assert told["rows_refused"] == 0
    assert f"{told['rows_without_champion']:,} rows of the first 4.1 days could not be answered" in went_on.said


def test_where_no_recalibration_is_declared_values_are_served_as_the_model_says_them(went_on: Replayed) -> None:
    told, answers = went_on.summary, went_on.predictions
    assert answers["calibration"].isna().all()
    assert (answers["prediction"] == answers["raw_score"]).all()
    assert told["loop"]["mae"] == told["raw"]["mae"]


def test_what_was_refused_before_the_first_champion_is_told_in_the_story(went_on: Replayed) -> None:
    story = " ".join(went_on.said[went_on.said.index("what happened and why") :].split())
    assert story.count(" refused version ") == 2
    assert "first: first champion, attempt 2. Against it: There are 309 test rows" in story


def test_where_no_candidate_ever_passes_the_summary_says_so(never_passed: Replayed) -> None:
    assert (never_passed.status, never_passed.said) == (1, ""), never_passed.err
    told = never_passed.summary
    assert [c["verdict"] for c in told["first_candidates"]] == ["fail", "fail"]
    assert told["rows_without_champion"] == 24
    assert (told["rows_served"], told["predictions_captured"], told["labels_sent"], told["labels_joined"]) == (0,) * 4
    assert told["days_without_champion"] == pytest.approx(1, abs=0.2)
    assert (told["promotions"], told["retrainings"], told["champions_at_once"]) == ([], [], 0)
    assert (told["frozen_model"], told["loop"]["mae"]["value"]) == ({}, None)
    assert told["audit"]["intact"]
    assert f"no candidate of {BAKERY} was promoted in 2 trainings" in told["ended_early"]
    assert told["open_links"] == [
        told["ended_early"],
        "no version was ever promoted",
        "no window was evaluated for drift",
        "0 champions at once",
    ]


def test_nothing_of_another_replay_stands_beside_it(never_passed: Replayed) -> None:
    assert f"what was tried is in {never_passed.out / 'summary.json'}" in never_passed.err
    assert never_passed.predictions.empty
    assert pd.read_parquet(never_passed.out / "windows.parquet").empty
    assert (never_passed.out / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_the_error_is_the_last_that_is_said(never_passed: Replayed) -> None:
    assert never_passed.err.index("what was tried is in") < never_passed.err.index("error: no candidate of")
