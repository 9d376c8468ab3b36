"""The summary's figures follow from the evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.cli.replay import summary
from everloop.cli.replay.answers import Answers
from everloop.cli.replay.evidence import with_losses
from everloop.cli.replay.picture import Mark, draw_quality
from everloop.documents.records import GateVerdict, RefitChoice
from everloop.problem_types import ProblemType
from everloop.reasons import ReasonDocument
from everloop.registry.records import AuditRecord, Version
from everloop.registry.states import State
from tests.helpers.declarations import binary_document, declare


def predictions(rows: int = 4000, seed: int = 5) -> pd.DataFrame:
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


def record(
    sequence: int,
    version: int | None,
    frm: str,
    to: str,
    *,
    at: datetime = datetime(2024, 1, 1, tzinfo=UTC),
    operation: str | None = None,
) -> AuditRecord:
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


def test_quality_is_that_of_the_labelled_answers_alone() -> None:
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


def test_months_partition_the_whole() -> None:
    frame = predictions()
    months = summary.by_month(frame, "binary_classification")
    assert [m["month"] for m in months] == ["2024-01", "2024-02", "2024-03"]
    whole = summary.quality(frame, "binary_classification")["loop"]
    total = sum(m["loop"]["log_loss"]["value"] * m["loop"]["rows"] for m in months)
    assert total / whole["rows"] == pytest.approx(whole["log_loss"]["value"])


def test_regression_is_told_in_absolute_errors() -> None:
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


def test_what_was_saved_adds_up_to_the_difference_of_the_losses() -> None:
    frame = predictions()
    found, whole = summary.saved(frame, "binary_classification"), summary.quality(frame, "binary_classification")
    rows = whole["loop"]["rows"]
    assert list(found["date"]) == sorted(set(frame[frame["label"].notna()]["time"].dt.tz_localize(None).dt.floor("D")))
    for model in ("raw", "loop"):
        less = whole["frozen"]["log_loss"]["value"] - whole[model]["log_loss"]["value"]
        assert found[model].iloc[-1] == pytest.approx(rows * less)


@pytest.mark.parametrize("kind", ["binary_classification", "regression"])
def test_answers_without_any_label_have_no_quality(kind: ProblemType) -> None:
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


def test_windows_without_any_label_have_no_loss() -> None:
    windows = pd.DataFrame([{"labelled_start": "2024-01-01T00:00:00Z", "labelled_end": "2024-01-02T00:00:00Z"}])
    frame = Answers().to_frame()
    frame["frozen_prediction"] = frame["frozen_probability"] = frame["prediction"]
    found = with_losses(windows, frame, declare(binary_document()))
    assert found[["loop_loss", "frozen_loss"]].isna().all(axis=None)


def test_without_a_promotion_all_days_were_without_a_champion() -> None:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    assert summary.days_without_champion(begin, [], begin + timedelta(days=3)) == 3.0


def test_an_orderly_succession_has_one_champion_at_once() -> None:
    records = [
        record(1, 1, "staging", "production"),
        record(2, 2, "staging", "production", operation="promote:2"),
        record(3, 1, "production", "deprecated", operation="promote:2"),
    ]
    assert summary.champions_at_once(records) == 1


def test_two_champions_are_seen() -> None:
    records = [record(1, 1, "staging", "production"), record(2, 2, "staging", "production")]
    assert summary.champions_at_once(records) == 2


def test_no_champion_is_seen() -> None:
    assert summary.champions_at_once([record(1, 1, "experimenting", "evaluated")]) == 0


def test_days_without_a_value_are_left_out_and_there_may_be_none_at_all(tmp_path: Path) -> None:
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


def test_every_version_that_passed_says_which_of_two_siblings_serves() -> None:
    # GIVEN a refit, one turned down, one never made, and a candidate that the gate refused
    reasons: list[ReasonDocument] = [
        {"code": "refit_difference", "passed": False, "sentence": "It differs."},
        {"code": "refit_fit", "passed": True, "sentence": "It fits."},
    ]
    refits: list[RefitChoice] = [
        {"serves": "refit", "reasons": reasons[1:]},
        {"serves": "evaluated", "reasons": reasons},
        {},
        {},
    ]
    passed: GateVerdict = {"verdict": "pass"}
    failed: GateVerdict = {"verdict": "fail"}
    verdicts = [passed, passed, passed, failed]
    at = datetime(2024, 1, 1, tzinfo=UTC)
    versions = [
        Version("m", number, State.EVALUATED, "r", "s", "p", "m", "c", at, at, gate=verdict, refit=refit)
        for number, (verdict, refit) in enumerate(zip(verdicts, refits, strict=True), 1)
    ]
    # THEN those that passed are told, with what spoke against a refit
    assert summary.serving(versions) == [
        {"version": 1, "serves": "refit", "against": []},
        {"version": 2, "serves": "evaluated", "against": ["It differs."]},
        {"version": 3, "serves": "evaluated", "against": []},
    ]


def test_rows_left_out_of_the_sample_leave_no_link_open() -> None:
    names = ["r-0", "r-1-unsampled", "r-2", "r-3-unsampled"]
    answered = pd.DataFrame({"prediction_id": names, "label": [1.0, np.nan, 0.0, 1.0]})
    assert summary.left_out(answered) == (2, 1)
    assert summary.left_out(answered[:0]) == (0, 0)
    nothing: dict[str, Any] = dict.fromkeys(summary.Summary.__dataclass_fields__)
    facts: dict[str, Any] = {
        "rows_served": 4,
        "predictions_captured": 2,
        "labels_sent": 3,
        "labels_joined": 2,
        "rows_refused": 0,
    }
    facts |= {"days": 1, "days_without_champion": 0.0, "window_days": 1.0, "champions_at_once": 1, "promotions": ["a"]}
    found = {"drift_windows": {"recorded": 1, "evaluated": 1}, "audit": {"intact": True}}
    lists: dict[str, Any] = dict.fromkeys(("refusals", "retrainings", "restorations"), ())
    told = {**nothing, **facts, **found, **lists}
    assert summary.open_links(summary.Summary(**told | {"rows_left_out": 2, "labels_left_out": 1})) == []
    assert summary.open_links(summary.Summary(**told | {"rows_left_out": 1, "labels_left_out": 0})) == [
        "4 rows were answered and 2 captured, 1 left out of the sample",
        "3 labels were sent and 2 joined a prediction",
    ]
