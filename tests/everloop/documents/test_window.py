"""A window's record is the document that registries hold, to the letter, and reads back as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from everloop.documents.window import WindowRecord
from everloop.json_text import canonical_json
from everloop.reasons import Reason
from everloop.typed_json import DocumentRefusedError
from tests.helpers.window_records import window_record

RECORD = window_record(
    end=datetime(2013, 3, 2, tzinfo=UTC),
    rows=5,
    labelled_rows=4,
    loss=0.25,
    drift={
        "wind": {"days": 7, "effect": 0.5, "p_value": 0.01, "adjusted_p_value": 0.02, "alarm": True, "moved": "a -> b"}
    },
    drift_alarm=True,
    drift_evaluated=True,
    drift_reason="",
    decision="retrain",
    urgency="high",
    trigger="drift",
    reasons=(Reason("drift", "It moved.", 0.5, 0.1), Reason("check", "It holds.", passed=True)),
    not_watched={"line": "the champion has it alone"},
)
TEXT = (
    '{"answered_rows":null,"decision":"retrain","drift":{"wind":{"adjusted_p_value":0.02,"alarm":true,"days":7,"effect":0.5,'
    '"moved":"a -> b","p_value":0.01}},"drift_alarm":true,"drift_evaluated":true,"drift_reason":"",'
    '"end":"2013-03-02T00:00:00Z","held_back_by":null,"investment":null,"labelled_end":"2013-03-02T00:00:00Z","labelled_rows":4,'
    '"labelled_start":"2013-03-01T00:00:00Z","labels_arrived":0,"labels_corrected":0,"labels_unmatched":0,'
    '"left_out_reason":"","left_out_rows":0,"loss":0.25,"model":"late_train","money":null,'
    '"not_watched":{"line":"the champion has it alone"},'
    '"profile":{"bins":"","features":{},"outcomes":{"deviance":0.0,"label":0.0,"loss":0.0,"loss_squares":0.0,'
    '"ones":[],"residual_z":0.0,"rows":0,"score":0.0,"v":0.0,"v_z":0.0,"v_zz":0.0,"zeros":[]},"rows":0,"score":[0]},'
    '"quality":{"auc":{"high":null,"low":null,"reason":"no labels","value":null},"auc_error":null,"days":0,'
    '"deviations":{},"evaluated":false,"loss":{"high":null,"low":null,"reason":"no labels","value":null},'
    '"reason":"no labels","reference_loss":null,"rows":0},'
    '"reasons":[{"code":"drift","limit":0.1,"sentence":"It moved.","value":0.5},'
    '{"code":"check","passed":true,"sentence":"It holds."}],"recalibration":null,"restore":null,'
    '"rows":5,"scheduled_at":"2013-03-02T11:00:00Z",'
    '"score_reference":null,"share_changed":false,"start":"2013-03-01T00:00:00Z","trigger":"drift","update":"full","urgency":"high",'
    '"version":1}'
)
"""What the registry of an earlier release holds of it."""


def test_the_document_is_what_registries_hold() -> None:
    assert canonical_json(RECORD.to_document()) == TEXT


def test_it_reads_back_as_it_was() -> None:
    assert WindowRecord.from_document(RECORD.to_document()) == RECORD


def test_one_that_an_earlier_release_wrote_lacks_what_came_later() -> None:
    later = {"not_watched", "score_reference", "left_out_rows", "left_out_reason", "money", "update"}
    later |= {"answered_rows", "share_changed"}
    old = {name: value for name, value in RECORD.to_document().items() if name not in later}
    assert WindowRecord.from_document(old) == replace(RECORD, not_watched={})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end": "soon"}, "end: 'soon' is not an ISO 8601 instant"),
        ({"version": "1"}, "version is '1', not a whole number"),
        ({"decision": "maybe"}, "decision is 'maybe', not 'retrain' or 'restore' or 'held_back' or 'none'"),
        ({"quality": {}}, "quality.evaluated is missing"),
        ({"reasons": [{"code": "drift"}]}, "reasons[0].sentence is missing"),
        ({"drift": {"wind": {"days": 7}}}, "drift.wind.effect is missing"),
    ],
)
def test_what_is_no_record_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentRefusedError, match="this is not a valid record of a window") as refused:
        WindowRecord.from_document({**RECORD.to_document(), **change})
    assert said in str(refused.value)
    assert "everloop audit verify" in str(refused.value)
