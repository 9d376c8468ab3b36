"""Two weeks of flights through the whole loop, over HTTP, with one retraining while requests are served."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from cli.replay import evidence, summary
from everloop.registry.states import State
from everloop.registry.trace import verify_audit
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

KIND = "binary_classification"


@pytest.fixture(scope="module")
def predictions(loop: Loop) -> pd.DataFrame:
    return pd.read_parquet(loop.evidence / evidence.PREDICTIONS_FILE)


@pytest.fixture(scope="module")
def windows(loop: Loop) -> pd.DataFrame:
    return pd.read_parquet(loop.evidence / evidence.WINDOWS_FILE)


@pytest.fixture(scope="module")
def told(loop: Loop) -> dict:
    return json.loads((loop.evidence / evidence.SUMMARY_FILE).read_text(encoding="utf-8"))


def test_nothing_keeps_the_loop_open(told: dict) -> None:
    assert told["open_links"] == []


def test_every_row_was_answered_once(loop: Loop, predictions: pd.DataFrame) -> None:
    assert sorted(predictions["key"]) == sorted(loop.data.stream[loop.declaration.data.key])
    assert predictions["prediction_id"].is_unique
    assert predictions["probability"].between(0, 1).all()


def test_every_answer_was_captured_exactly_as_it_was_given(loop: Loop, predictions: pd.DataFrame) -> None:
    lake = loop.lake_predictions().drop_duplicates("prediction_id").set_index("prediction_id")
    captured = lake.loc[predictions["prediction_id"]]
    for column in ("key", "version", "prediction", "probability"):
        assert captured[column].tolist() == predictions[column].tolist()
    asked = loop.data.stream.set_index(loop.declaration.data.key).loc[captured["key"]]
    for feature in loop.declaration.data.features:
        given, kept = asked[feature.name], captured[feature.name]
        assert ((given.to_numpy() == kept.to_numpy()) | (given.isna().to_numpy() & kept.isna().to_numpy())).all()


def test_every_outcome_joined_its_prediction(loop: Loop, predictions: pd.DataFrame, told: dict) -> None:
    known = predictions[predictions["label"].notna()]
    truth = loop.data.stream.set_index(loop.declaration.data.key)[loop.declaration.data.target].dropna()
    assert known.set_index("key")["label"].to_dict() == truth.to_dict()
    labels = loop.lake_labels()
    arrived = labels[labels["prediction_id"].isin(known["prediction_id"])].sort_values("time")
    first = arrived.drop_duplicates("prediction_id").set_index("prediction_id")["label"]
    assert first.loc[known["prediction_id"]].tolist() == known["label"].tolist()
    assert told["labels_sent"] == told["labels_joined"] == len(known)


def test_every_day_has_its_window(loop: Loop, windows: pd.DataFrame, predictions: pd.DataFrame) -> None:
    days = predictions.groupby(predictions["time"].dt.strftime("%Y-%m-%d")).size()
    rows = windows.set_index(windows["start"].str[:10])["rows"]
    assert windows["end"].is_unique
    assert rows.loc[days.index].tolist() == days.tolist()
    assert windows["drift_evaluated"].any()


def test_the_retraining_that_was_due_was_carried_out(loop: Loop, told: dict) -> None:
    (retraining,) = told["retrainings"]
    assert retraining["trigger"] == "schedule"
    assert retraining["status"] == "succeeded", retraining["reasons"]
    assert [p["version"] for p in told["promotions"]] == [1, 2]
    assert told["champions_at_once"] == 1
    assert told["rollbacks"] == []
    assert loop.store.version(1).state == State.RETIRED


def test_the_canary_served_beside_the_champion(predictions: pd.DataFrame, told: dict) -> None:
    promoted = pd.Timestamp(told["promotions"][1]["at"])
    by_version = predictions.sort_values("time").groupby("version")["time"]
    first, last = by_version.min(), by_version.max()
    assert first[2] < promoted
    assert first[2] < last[1], "both versions answered while the traffic shifted"
    assert last[1] <= promoted + timedelta(hours=1)
    assert predictions["version"].isin([1, 2]).all()


def test_the_audit_chain_is_intact(loop: Loop, told: dict) -> None:
    assert told["audit"]["intact"]
    verdict = verify_audit(loop.store)
    assert verdict.sound, verdict.problems
    assert verdict.chain.records >= told["audit"]["records"]


def test_the_summary_follows_from_the_evidence_alone(
    told: dict, predictions: pd.DataFrame, windows: pd.DataFrame
) -> None:
    whole = summary.quality(predictions, KIND)
    again = {
        "rows_served": len(predictions),
        "frozen": whole["frozen"],
        "loop": whole["loop"],
        "months": summary.by_month(predictions, KIND),
        "drift_windows": summary.drift_windows(windows),
    }
    for name, value in again.items():
        assert json.loads(json.dumps(value)) == told[name], name
    assert told["predictions_captured"] == len(predictions)
    assert told["drift_windows"]["recorded"] == len(windows)


def test_the_quality_told_is_that_of_other_peoples_metrics(told: dict, predictions: pd.DataFrame) -> None:
    known = predictions[predictions["label"].notna()]
    for model, column in (("loop", "probability"), ("frozen", "frozen_probability")):
        scores = known[column]
        assert told[model]["roc_auc"]["value"] == pytest.approx(roc_auc_score(known["label"], scores), abs=1e-9)
        assert told[model]["log_loss"]["value"] == pytest.approx(log_loss(known["label"], scores), abs=1e-9)


def test_the_frozen_model_is_the_first_champion(predictions: pd.DataFrame) -> None:
    apart = (predictions["probability"] - predictions["frozen_probability"]).abs()
    assert apart[predictions["version"] == 1].max() < 1e-9, "sums differ in their last bits with the batch"
    assert apart[predictions["version"] == 2].max() > 1e-3


def test_the_picture_is_there(loop: Loop) -> None:
    assert (loop.evidence / evidence.PICTURE_FILE).read_bytes().startswith(b"\x89PNG")
