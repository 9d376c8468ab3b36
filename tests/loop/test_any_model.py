"""A model of another kind, in another folder, written here and known to nobody else: a regression.

Its values follow its outcomes: all hours sell more than its history knows, and those of one shop more than the others.
The lake has a sample of what was asked, without the weather.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from everloop.cli.operations.calibrations import act_on_calibrations, calibrations_of, named_calibration
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.replay import evidence
from everloop.cli.replay.stream import load
from everloop.prediction_ids import is_captured
from everloop.registry.champion_contract import champion_contract
from everloop.registry.trace import verify_audit
from tests.helpers.present import present
from tests.helpers.synthesis import with_one_model
from tests.loop.models import BAKERY, CAPTURED_SHARE, write_sales
from tests.loop.standing_cloud import Loop, standing_cloud
from tests.loop.test_failing_runs import altered

pytestmark = pytest.mark.xdist_group("loop of another model")

DAYS, HISTORY_DAYS = 34, 30
HISTORY_ENDS = datetime(2024, 6, 1, tzinfo=UTC)
MORE = 12.0
"""Loaves that every hour sells more from the first day on: a festival of which the model knows nothing."""

AT_THE_HARBOUR = 18.0
"""As many more again at one shop, where the festival is."""

SHOPS = ("market", "station", "harbour")
"""In the order in which rows are written, hour by hour."""


@pytest.fixture(scope="module")
def bakery(models_directory: Path, assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """After a replay of four days."""
    folder = tmp_path_factory.mktemp("bakery")
    sales = pd.read_csv(write_sales(folder / "sales.csv", begin="2024-05-02", days=DAYS))
    risen = pd.to_datetime(sales["sold_at"]) >= pd.Timestamp(HISTORY_ENDS)
    sales.loc[risen, "loaves"] += MORE
    sales.loc[risen & (sales["shop"] == "harbour"), "loaves"] += AT_THE_HARBOUR
    sales.to_csv(folder / "sales.csv", index=False)
    declaration = find_declaration(BAKERY, models_directory)
    data = load(folder / "sales.csv", declaration, HISTORY_ENDS)
    alone = with_one_model(assembly, BAKERY, folder / "assembly")
    with standing_cloud(folder, declaration, data, alone) as loop:
        yield loop


@pytest.fixture(scope="module")
def told(bakery: Loop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bakery.evidence / evidence.SUMMARY_FILE).read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def answers(bakery: Loop) -> pd.DataFrame:
    return pd.read_parquet(bakery.evidence / evidence.PREDICTIONS_FILE)


@pytest.fixture(scope="module")
def kept(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers whose rows are in the sample."""
    return answers[answers["prediction_id"].map(is_captured)]


def test_a_regression_lives_through_the_same_loop(told: dict[str, Any], kept: pd.DataFrame) -> None:
    rows = (DAYS - HISTORY_DAYS) * 24 * 3
    assert told["open_links"] == []
    assert told["rows_served"] == told["labels_sent"] == rows
    assert told["predictions_captured"] == told["labels_joined"] == len(kept)
    assert told["rows_left_out"] == told["labels_left_out"] == rows - len(kept) > 0
    assert told["problem_type"] == "regression"
    assert told["promotions"][0]["version"] == 1
    assert told["drift_windows"]["recorded"] >= DAYS - HISTORY_DAYS - 1
    assert told["audit"]["intact"]


def test_a_refit_beyond_its_bound_leaves_the_evaluated_model_to_serve(told: dict[str, Any]) -> None:
    """GIVEN a bound that no refit keeps, THEN the loop goes on with the evaluated bytes, and says why."""
    (serving,) = told["serving"]
    assert (serving["version"], serving["serves"], told["frozen_model"]["kind"]) == (1, "evaluated", "evaluated")
    (against,) = serving["against"]
    assert "at most 1e-06 of it is allowed (training.refit_max_difference)" in against


def test_the_lake_has_the_sample_without_what_is_masked(bakery: Loop, kept: pd.DataFrame) -> None:
    table = f'"{bakery.account.platform.glue_database}"."{BAKERY}_predictions"'
    columns = "count(DISTINCT prediction_id) AS ids, count(*) AS n, count(hour) AS hours, count(rain) AS rain"
    asked = evidence.query_lake(
        bakery.account, f"SELECT {columns}, min(capture_share) AS low, max(capture_share) AS high FROM {table}"
    )
    (found,) = asked.to_dict("records")
    assert found["ids"] == len(kept)
    assert found["n"] == found["hours"]
    assert (found["rain"], found["low"], found["high"]) == (0, CAPTURED_SHARE, CAPTURED_SHARE)
    # AND labels of rows that were left out are no labels of unknown predictions
    windows = [window.record for window in bakery.store.windows.latest(10)]
    assert {window.labels_unmatched for window in windows} == {0}
    assert {name for window in windows for name in window.not_watched} == {"rain"}
    # AND how many were answered is estimated from those that were kept
    estimated = {window.rows: window.answered_rows for window in windows if window.rows}
    assert estimated == {rows: pytest.approx(rows / CAPTURED_SHARE, abs=1) for rows in estimated}
    assert estimated


def test_its_errors_are_told_as_a_mean_of_absolute_ones(told: dict[str, Any], answers: pd.DataFrame) -> None:
    mean = (answers["prediction"] - answers["label"]).abs().mean()
    assert told["loop"]["mae"]["value"] == pytest.approx(mean)
    assert mean < MORE + AT_THE_HARBOUR / 3, "its values follow"
    assert "probability" not in answers or answers["probability"].isna().all()


def test_it_is_recalibrated_within_its_limit(told: dict[str, Any], answers: pd.DataFrame) -> None:
    assert answers["calibration"].nunique() >= 2
    # From the second labelled day on the values have risen, and errors with them have fallen.
    last = answers[answers["time"] >= answers["time"].max() - pd.Timedelta("12h")]
    assert (last["prediction"] - last["raw_score"]).mean() > MORE / 4
    assert told["loop"]["mae"]["value"] < told["raw"]["mae"]["value"]
    assert told["money"]["cost"]["loop"] < told["money"]["cost"]["frozen"]


def test_a_group_of_rows_is_served_by_a_calibration_of_its_own(answers: pd.DataFrame) -> None:
    last = answers[answers["time"] >= answers["time"].max() - pd.Timedelta("12h")]
    shop = last["key"].str.removeprefix("s").astype(int) % len(SHOPS)
    moved = (last["prediction"] - last["raw_score"]).groupby(shop.map(dict(enumerate(SHOPS)))).mean()
    # THEN the festival's shop has risen by more than rows in no group, and the market by less
    assert moved["harbour"] > moved["station"] + AT_THE_HARBOUR / 6
    assert moved["market"] < moved["station"]


def test_each_value_is_answered_between_two_others(bakery: Loop, answers: pd.DataFrame, kept: pd.DataFrame) -> None:
    contract = champion_contract(bakery.store, bakery.account.client("s3"), bakery.account.platform.artifact_bucket)
    assert contract is not None
    born = contract[1].interval
    assert born is not None
    assert born.coverage == 0.8
    below, above = answers["prediction"] - answers["low"], answers["high"] - answers["prediction"]
    assert (below > 0).all()
    assert (above > 0).all()
    # GIVEN no calibration yet, THEN it is the interval that the evaluation learned from its test rows
    first = answers["calibration"].isna()
    assert below[first].to_numpy() == pytest.approx(born.below)
    assert above[first].to_numpy() == pytest.approx(born.above)
    # AND the lake has what was answered
    table = f'"{bakery.account.platform.glue_database}"."{BAKERY}_predictions"'
    asked = evidence.query_lake(bakery.account, f"SELECT sum(prediction_high - prediction_low) AS total FROM {table}")
    assert float(asked["total"].iloc[0]) == pytest.approx((kept["high"] - kept["low"]).sum())


def test_windows_count_what_intervals_held_and_recalibrate_their_spread(
    bakery: Loop, answers: pd.DataFrame, kept: pd.DataFrame
) -> None:
    window = bakery.store.windows.latest(1)[0].record
    spread = present(window.recalibration)["spread"]
    labelled = kept[kept["time"] < window.labelled_end]
    inside = (labelled["low"] <= labelled["label"]) & (labelled["label"] <= labelled["high"])
    served, raw = present(spread["served"]), present(spread["raw"])
    assert served["rows"] == len(labelled)
    assert served["coverage"] == pytest.approx(inside.mean())
    assert served["mean_width"] == pytest.approx((labelled["high"] - labelled["low"]).mean())
    # AND values that follow, between bounds that do, hold more than those of the birth
    assert raw["coverage"] < served["coverage"]
    assert served["score"] < raw["score"]
    in_force = present(bakery.store.calibrations.in_force(bakery.store.versions.champion()))
    last = answers[answers["calibration"] == in_force.name]
    below, above = in_force.read().spread
    assert (below, above) != (1.0, 1.0)
    assert (last["prediction"] - last["low"]).to_numpy() == pytest.approx(below * spread["interval"]["below"])
    assert (last["high"] - last["prediction"]).to_numpy() == pytest.approx(above * spread["interval"]["above"])
    assert present(in_force.interval)["factors"] == [below, above]


def test_a_person_takes_the_spread_back_with_the_calibration(bakery: Loop) -> None:
    def asked(name: str) -> dict[str, Any]:
        (row,) = bakery.instances(1)
        status, answer = bakery.post({"instances": [{**row, bakery.declaration.data.key: name}]})
        assert (status, answer["coverage"]) == (200, 0.8)
        found = answer["predictions"][0]
        return {**found, "width": found["high"] - found["low"], "calibration": answer["calibration"]}

    before = calibrations_of(bakery.store)
    shown = present(before.intervals())
    calibrated = asked("spread-1")
    assert calibrated["width"] == pytest.approx(sum(shown.in_force))
    act_on_calibrations(bakery.account, bakery.name, "revert_calibration", reason="a test", to=None)
    plain = asked("spread-2")
    assert (plain["calibration"], plain["prediction"]) == (None, plain["raw_score"])
    assert plain["width"] == pytest.approx(sum(shown.born))
    to = named_calibration(before, calibrated["calibration"])
    act_on_calibrations(bakery.account, bakery.name, "revert_calibration", reason="a test", to=to)
    again = asked("spread-3")
    assert (again["low"], again["high"]) == (calibrated["low"], calibrated["high"])
    assert verify_audit(bakery.store).problems == []


def test_its_baseline_answers_where_its_model_is_not_the_one_that_was_judged(bakery: Loop) -> None:
    # GIVEN a champion whose model has another byte
    prefix = bakery.store.versions.get(present(bakery.store.versions.champion()).version).artifact_prefix
    rows = [{**row, bakery.declaration.data.key: f"fallen-{i}"} for i, row in enumerate(bakery.instances(3))]
    with altered(bakery, f"{prefix}model.onnx"):
        bakery.end_workers()
        # WHEN it is asked
        status, answer = bakery.post({"instances": rows})
    # THEN what its baseline learned of each shop is the answer, and says so
    s3, bucket = bakery.account.client("s3"), bakery.account.platform.artifact_bucket
    learned = json.loads(s3.get_object(Bucket=bucket, Key=f"{prefix}training.json")["Body"].read())["baseline"]
    assert (status, answer["fallback"]) == (200, "baseline")
    assert [one["prediction"] for one in answer["predictions"]] == [learned["groups"][row["shop"]] for row in rows]
    # AND the lake has it as no version's
    bakery.advance(minutes=16)
    found = bakery.lake_predictions()
    found = found[found["fallback"] == "baseline"]
    assert found["version"].isna().all()
    names = [one["prediction_id"] for one in answer["predictions"]]
    assert set(found["prediction_id"]) == set(filter(is_captured, names))
    # WHEN the model is right again
    bakery.end_workers()
    status, answer = bakery.post({"instances": rows})
    # THEN it answers
    assert (status, answer.get("fallback")) == (200, None)
