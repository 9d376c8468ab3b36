from __future__ import annotations

import subprocess
import sys

import pytest

from everloop.serving.cold_start import INITIALIZATION_TYPE, MOST_IDLE_SECONDS, ColdStart, process_age


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def test_a_request_that_comes_at_once_waited_and_one_that_comes_later_did_not() -> None:
    clock = Clock()
    begun = ColdStart(lambda: 1.25, clock)
    clock.seconds += MOST_IDLE_SECONDS
    assert begun.is_waited_for()
    assert begun.milliseconds() == 1250.0
    clock.seconds += 0.001
    assert not begun.is_waited_for()


def test_no_caller_waits_for_a_process_that_was_provisioned() -> None:
    assert ColdStart.of({}) is not None
    assert ColdStart.of({INITIALIZATION_TYPE: "on-demand"}) is not None
    assert ColdStart.of({INITIALIZATION_TYPE: "provisioned-concurrency"}) is None
    assert ColdStart.of({INITIALIZATION_TYPE: "snap-start"}) is None


def test_where_the_age_is_unknown_there_is_nothing_to_count() -> None:
    assert ColdStart(lambda: None).milliseconds() is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a process began")
def test_the_age_is_that_of_the_process_and_not_of_its_code() -> None:
    """GIVEN a process whose code is imported late, THEN its age has what came before."""
    asked = "import time; time.sleep(0.3); from everloop.serving.cold_start import process_age; print(process_age())"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert 0.3 <= float(found.stdout) < 30
    own, later = process_age(), process_age()
    assert own is not None
    assert later is not None
    assert 0 < own <= later
