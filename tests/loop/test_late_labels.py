"""Labels that fit nothing, come twice, or are corrected: all are kept, and the monitor counts them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


def send(loop: Loop, *labels: tuple[str, float]) -> None:
    entries: list[dict[str, Any]] = [{"prediction_id": name, "label": label} for name, label in labels]
    assert loop.post({"labels": entries}, url=loop.model.labels_url) == (202, {"accepted": len(entries)})


def test_labels_are_kept_and_counted_for_what_they_are(loop: Loop) -> None:
    # GIVEN two answers of today, to keys that were never asked: one key has one outcome
    loop.next_monitoring()
    loop.advance(hours=3)
    rows = [{**row, loop.declaration.data.key: f"late-{i}"} for i, row in enumerate(loop.instances(2))]
    status, answer = loop.post({"instances": rows})
    assert status == 200
    same, corrected = (row["prediction_id"] for row in answer["predictions"])
    # WHEN one label comes twice, one is corrected, and one is for a prediction nobody made
    send(loop, (same, 1.0), (corrected, 0.0), ("nobody-asked-0", 1.0))
    loop.advance(hours=1)
    send(loop, (same, 1.0), (corrected, 1.0))
    window = loop.next_monitoring()
    # THEN all of them are in the lake, and the window tells which were which
    kept = loop.lake_labels()
    for name, values in ((same, [1.0, 1.0]), (corrected, [0.0, 1.0]), ("nobody-asked-0", [1.0])):
        assert kept[kept["prediction_id"] == name].sort_values("time")["label"].tolist() == values
    assert kept[kept["prediction_id"] == same]["label_id"].nunique() == 1
    assert window["labels_unmatched"] == 1
    assert window["labels_corrected"] == 1
    assert window["labels_arrived"] in (4, 5), "a label that came twice counts once or twice, not more"


def test_a_request_with_one_wrong_label_leaves_none(loop: Loop) -> None:
    before = len(loop.lake_labels())
    labels = [{"prediction_id": "a-0", "label": 1.0}, {"prediction_id": "a-1", "label": 0.5}]
    status, answer = loop.post({"labels": labels}, url=loop.model.labels_url)
    assert (status, answer["error"]["index"], answer["error"]["field"]) == (400, 1, "label")
    loop.advance(minutes=30)
    assert len(loop.lake_labels()) == before
