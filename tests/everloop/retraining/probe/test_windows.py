from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.worst_case import PROBE_TRIES
from everloop.retraining.exceptions import RequestUnreadableError
from everloop.retraining.probe.requests import execution_name, probe_request, read_request, window_of
from everloop.retraining.probe.windows import due_window, lag_days, newest_window
from everloop.typed_json import as_json
from tests.helpers.declarations import binary_document, declare

LONG_AGO = datetime(2012, 1, 1, tzinfo=UTC)


def declaration(**investment: Any) -> ModelDeclaration:
    retraining = {"investment": {"every_days": 7, **investment}, "cooldown_days": 14, "quota": {"runs": 4, "days": 60}}
    return declare(binary_document(retraining=retraining))


@given(st.integers(1, 366), st.integers(0, 20_000))
def test_windows_follow_one_another_whoever_asks(every: int, day: int) -> None:
    labelled_end = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=day)
    window = newest_window(every, labelled_end)
    assert window.end - window.start == timedelta(days=every)
    assert timedelta(0) <= labelled_end - window.end < timedelta(days=every)
    assert newest_window(every, window.end) == window
    assert newest_window(every, window.end - timedelta(days=1)).end == window.start


def test_a_probe_is_asked_for_until_there_is_one_but_not_for_ever() -> None:
    end = newest_window(7, datetime(2013, 3, 14, tzinfo=UTC)).end
    asked = [
        due_window(declaration(), end + timedelta(days=day), served_since=LONG_AGO, probed=end - timedelta(days=7))
        for day in range(6)
    ]
    assert [window is not None for window in asked] == [day < PROBE_TRIES for day in range(6)]
    assert {window.end for window in asked if window} == {end}
    assert due_window(declaration(), end, served_since=LONG_AGO, probed=end) is None


@pytest.mark.parametrize(("days_before", "due"), [(8, True), (7, True), (6, True), (5, False), (0, False)])
def test_a_window_in_which_nobody_answered_has_none(days_before: int, due: bool) -> None:
    """The first champion may be promoted in the course of the window's first day."""
    end = newest_window(7, datetime(2013, 3, 14, tzinfo=UTC)).end
    found = due_window(declaration(), end, served_since=end - timedelta(days=days_before), probed=None)
    assert (found is not None) is due
    assert due_window(declaration(), end, served_since=None, probed=None) is None


def test_without_an_investment_no_probe_is_due() -> None:
    end = newest_window(7, datetime(2013, 3, 14, tzinfo=UTC)).end
    assert due_window(declare(binary_document()), end, served_since=LONG_AGO, probed=None) is None


def test_labels_of_half_a_day_are_a_day_late() -> None:
    assert lag_days(declaration()) == 1


def test_a_request_reads_back_and_names_one_execution() -> None:
    window = newest_window(7, datetime(2013, 3, 14, tzinfo=UTC))
    request = probe_request("late_train", window, datetime(2013, 3, 14, 6, tzinfo=UTC))
    assert read_request(as_json({**request, "more": 1})) == request
    assert window_of(request) == window
    names = {execution_name(request), execution_name(read_request(as_json(request)))}
    assert len(names) == 1
    # The next try is another execution.
    assert execution_name({**request, "as_of": datetime(2013, 3, 15, 6, tzinfo=UTC)}) not in names


def test_an_event_that_is_no_request_is_refused() -> None:
    with pytest.raises(RequestUnreadableError, match="window_end"):
        read_request({"model": "late_train", "window_start": "2013-03-01T00:00:00Z", "as_of": "2013-03-01T00:00:00Z"})
