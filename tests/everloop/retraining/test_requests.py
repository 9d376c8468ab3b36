from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.reasons import Reason
from everloop.retraining.exceptions import RequestNotAcceptedError, RequestUnreadableError
from everloop.retraining.requests import RetrainingRequest, send
from tests.fakes.event_bus import FakeEventBus
from tests.helpers.window_records import window_record

NOW = datetime(2013, 6, 1, 11, tzinfo=UTC)
WINDOW = window_record(
    end=datetime(2013, 6, 1, tzinfo=UTC),
    scheduled_at=NOW,
    decision="retrain",
    trigger="quality",
    reasons=(Reason("quality_level", "It fell."), Reason("drift", "It moved.")),
)


def test_request_of_a_window_survives_its_event() -> None:
    request, bus = RetrainingRequest.from_window(WINDOW), FakeEventBus()
    send(request, bus, "everloop", at=NOW)
    (entry,) = bus.entries
    assert (entry["Source"], entry["DetailType"]) == ("everloop.monitoring", "Retraining Requested")
    assert (entry["EventBusName"], entry["Time"]) == ("everloop", NOW)
    (detail,) = bus.details("Retraining Requested")
    assert detail["trigger"] == {
        "kind": "quality",
        "reason": "It fell.",
        "requested_at": "2013-06-01T11:00:00Z",
        "window_end": "2013-06-01T00:00:00Z",
    }
    assert RetrainingRequest.from_detail(detail) == request


def test_one_name_for_a_window_and_another_for_any_other() -> None:
    names = {
        RetrainingRequest.from_window(replace(WINDOW, **change)).execution_name
        for change in ({}, {"trigger": "drift"}, {"scheduled_at": NOW + timedelta(hours=1)})
    }
    assert len(names) == 1
    assert re.fullmatch(r"train-[0-9a-f]{16}", names.pop())
    others = {
        RetrainingRequest.from_window(replace(WINDOW, **change)).execution_name
        for change in ({}, {"model": "other"}, {"end": datetime(2013, 6, 2, tzinfo=UTC)})
    }
    assert len(others) == 3


def test_refused_event_is_an_error() -> None:
    bus = FakeEventBus()
    bus.refuses = True
    with pytest.raises(RequestNotAcceptedError, match="slow down"):
        send(RetrainingRequest.from_window(WINDOW), bus, "everloop", at=NOW)


@pytest.mark.parametrize(
    "detail",
    [{}, {"model": "m"}, {"model": "m", "trigger": "quality"}, {"model": "m", "trigger": {"kind": "quality"}}],
)
def test_what_is_no_request_is_refused(detail: dict[str, Any]) -> None:
    with pytest.raises(RequestUnreadableError):
        RetrainingRequest.from_detail(detail)


def test_a_window_that_asks_for_none_makes_none() -> None:
    with pytest.raises(RequestUnreadableError, match="asks for no training: it says held_back"):
        RetrainingRequest.from_window(replace(WINDOW, decision="held_back"))


def test_how_a_training_is_to_learn_travels_with_its_request() -> None:
    request = RetrainingRequest.from_window(replace(WINDOW, update="warm"))
    bus = FakeEventBus()
    send(request, bus, "everloop", at=NOW)
    (detail,) = bus.details("Retraining Requested")
    assert RetrainingRequest.from_detail(detail).execution_input["trigger"]["update"] == "warm"
    assert request.execution_name == RetrainingRequest.from_window(WINDOW).execution_name
