"""The summary's figures follow from the evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from everloop.cli.replay import summary
from everloop.cli.replay.answers import Answers
from everloop.cli.replay.evidence import with_losses
from everloop.cli.replay.picture import Mark, draw_quality
from everloop.registry.records import AuditRecord, Version
from everloop.registry.states import State
from tests.helpers.declarations import binary_document, declare


def predictions(rows=4000, seed=5):
    rng = np.random.default_rng(seed)
    good = rng.uniform(0.05, 0.95, rows)
    label = (rng.uniform(size=rows) < good).astype(float)
    label[::10] = np.nan
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=rows, freq="30min", tz="UTC"),
            "probability": good,
            "prediction": (good >= 0.5).astype(float),
            "raw_score": np.clip(good + rng.normal(0, 0.1, rows), 0.01, 0.99),
            "frozen_probability": np.clip(good + rng.normal(0, 0.3, rows), 0.01, 0.99),
            "label": label,
        }
    )


def record(sequence, version, frm, to, *, at=datetime(2024, 1, 1, tzinfo=UTC), operation=None):
    return AuditRecord(
        model="m",
        sequence=sequence,
        at=at,
        action="transition",
        actor="a",
        operation=operation or f"op{sequence}",
        previous_hash="",
        hash="",
        version=version,
        details={"from": frm, "to": to},
    )


def test_quality_is_that_of_the_labelled_answers_alone():
    frame = predictions()
    found = summary.quality(frame, "binary_classification")
    labelled = frame[frame["label"].notna()]
    p, y = labelled["probability"], labelled["label"]
    assert found["loop"]["rows"] == len(labelled)
    assert found["loop"]["log_loss"]["value"] == pytest.approx(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
    assert found["loop"]["roc_auc"]["value"] > found["frozen"]["roc_auc"]["value"]
    for model in ("loop", "frozen"):
        auc = found[model]["roc_auc"]
        assert auc["low"] < auc["value"] < auc["high"]


def test_months_partition_the_whole():
    frame = predictions()
    months = summary.by_month(frame, "binary_classification")
    assert [m["month"] for m in months] == ["2024-01", "2024-02", "2024-03"]
    whole = summary.quality(frame, "binary_classification")["loop"]
    total = sum(m["loop"]["log_loss"]["value"] * m["loop"]["rows"] for m in months)
    assert total / whole["rows"] == pytest.approx(whole["log_loss"]["value"])


def test_regression_is_told_in_absolute_errors():
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC"),
            "prediction": 3.0,
            "raw_score": 3.5,
            "frozen_prediction": 5.0,
            "label": 2.0,
        }
    )
    found = summary.quality(frame, "regression")
    assert found["loop"]["mae"]["value"] == pytest.approx(1.0)
    assert found["raw"]["mae"]["value"] == pytest.approx(1.5)
    assert found["frozen"]["mae"]["value"] == pytest.approx(3.0)


def test_what_was_saved_adds_up_to_the_difference_of_the_losses():
    frame = predictions()
    found, whole = summary.saved(frame, "binary_classification"), summary.quality(frame, "binary_classification")
    rows = whole["loop"]["rows"]
    assert list(found["date"]) == sorted(set(frame[frame["label"].notna()]["time"].dt.tz_localize(None).dt.floor("D")))
    for model in ("raw", "loop"):
        less = whole["frozen"]["log_loss"]["value"] - whole[model]["log_loss"]["value"]
        assert found[model].iloc[-1] == pytest.approx(rows * less)


@pytest.mark.parametrize("kind", ["binary_classification", "regression"])
def test_answers_without_any_label_have_no_quality(kind):
    frame = Answers().to_frame()
    frame["frozen_prediction"] = frame["frozen_probability"] = frame["prediction"]
    found = summary.quality(frame, kind)
    for model in summary.MODELS:
        assert found[model].pop("rows") == 0
        assert [(m["value"], m["reason"]) for m in found[model].values()] == [(None, "no answer has a label")] * len(
            summary.METRICS[kind]
        )
    assert summary.by_month(frame, kind) == []
    assert summary.by_day(frame, kind).empty
    assert summary.saved(frame, kind).empty


def test_windows_without_any_label_have_no_loss():
    windows = pd.DataFrame([{"labelled_start": "2024-01-01T00:00:00Z", "labelled_end": "2024-01-02T00:00:00Z"}])
    frame = Answers().to_frame()
    frame["frozen_prediction"] = frame["frozen_probability"] = frame["prediction"]
    found = with_losses(windows, frame, declare(binary_document()))
    assert found[["loop_loss", "frozen_loss"]].isna().all(axis=None)


def test_without_a_promotion_all_days_were_without_a_champion():
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    assert summary.days_without_champion(begin, [], begin + timedelta(days=3)) == 3.0


def test_an_orderly_succession_has_one_champion_at_once():
    records = [
        record(1, 1, "staging", "production"),
        record(2, 2, "staging", "production", operation="promote:2"),
        record(3, 1, "production", "deprecated", operation="promote:2"),
    ]
    assert summary.champions_at_once(records) == 1


def test_two_champions_are_seen():
    records = [record(1, 1, "staging", "production"), record(2, 2, "staging", "production")]
    assert summary.champions_at_once(records) == 2


def test_no_champion_is_seen():
    assert summary.champions_at_once([record(1, 1, "experimenting", "evaluated")]) == 0


def test_days_without_a_value_are_left_out_and_there_may_be_none_at_all(tmp_path):
    # GIVEN outcomes of one class alone, on which ROC AUC is not defined
    frame = predictions(rows=200)
    frame["label"] = 0.0
    daily = summary.by_day(frame, "binary_classification")
    assert daily.empty
    # WHEN and THEN the picture is drawn all the same, with its marks
    file = tmp_path / "picture.png"
    mark = Mark(datetime(2024, 1, 2), "promoted", "version 2 promoted (quality)")
    saved = summary.saved(frame, "binary_classification")
    words = {"metric": "roc_auc", "better": "higher", "loss": "log_loss", "title": "t", "subtitle": "s"}
    draw_quality(daily, saved, [mark], money=None, file=file, **words)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_every_version_that_passed_says_which_of_two_siblings_serves():
    # GIVEN a refit, one turned down, one never made, and a candidate that the gate refused
    reasons = [
        {"code": "refit_difference", "passed": False, "sentence": "It differs."},
        {"code": "refit_fit", "passed": True, "sentence": "It fits."},
    ]
    refits = [{"serves": "refit", "reasons": reasons[1:]}, {"serves": "evaluated", "reasons": reasons}, {}, {}]
    verdicts = ["pass", "pass", "pass", "fail"]
    versions = [
        Version("m", number, State.EVALUATED, "r", "s", "p", "m", "c", "", "", gate={"verdict": verdict}, refit=refit)
        for number, (verdict, refit) in enumerate(zip(verdicts, refits, strict=True), 1)
    ]
    # THEN those that passed are told, with what spoke against a refit
    assert summary.serving(versions) == [
        {"version": 1, "serves": "refit", "against": []},
        {"version": 2, "serves": "evaluated", "against": ["It differs."]},
        {"version": 3, "serves": "evaluated", "against": []},
    ]
