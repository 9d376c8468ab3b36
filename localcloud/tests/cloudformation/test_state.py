"""What is kept of stacks: who holds one, and what is left of those that are gone."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from localcloud.cloudformation.events import unique_part
from localcloud.cloudformation.exceptions import DeployError, StackBusyError
from localcloud.cloudformation.state import DeployedResource, StackRequest, StackState, StateDirectory

STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/S/6c3aa0ac-f155-4f2e-ac7c-7fe3a668c7a9"
HOLD = """
import os, sys
from pathlib import Path
from localcloud.cloudformation.state import StateDirectory
hold = StateDirectory(Path(sys.argv[1])).hold("S")
print("held", flush=True)
sys.stdin.read()
os._exit(1)
"""


def test_one_at_a_time_holds_a_stack_and_others_may_wait(tmp_path: Path) -> None:
    states = StateDirectory(tmp_path)
    hold = states.hold("S")
    assert states.is_held("S")
    assert not states.is_held("T")
    with pytest.raises(StackBusyError):
        states.hold("S")

    threading.Timer(0.05, hold.let_go).start()

    states.hold("S", patience_seconds=60).let_go()
    assert not states.is_held("S")


def test_who_dies_lets_go(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    states = StateDirectory(tmp_path)
    assert states.is_held("S")

    other.communicate("")

    assert not states.is_held("S")


def test_what_changed_since_the_last_writing_is_read_and_what_did_not_too(tmp_path: Path) -> None:
    states, names = StateDirectory(tmp_path), ("Ä", "B", "C")
    state = StackState("S", STACK_ID, {name: _resource(name) for name in names}, request=StackRequest("{}"))
    states.save(state)
    assert states.load("S") == state
    # WHEN a resource is another, one is gone and one is new; THEN that is what is read
    state.resources["B"] = _resource("b2")
    del state.resources["C"]
    state.resources["D"] = _resource("D")
    state.status = "UPDATE_IN_PROGRESS"
    states.save(state)
    assert states.load("S") == state
    # AND another request, and another stack of the same name
    state.request = StackRequest('{"Resources": {}}', {"P": "é"}, {"t": "v"})
    states.save(state)
    assert states.load("S") == state
    states.save(StackState("S", STACK_ID))
    assert states.load("S") == StackState("S", STACK_ID)
    # AND another directory reads the same
    assert StateDirectory(tmp_path).load("S") == StackState("S", STACK_ID)


def _resource(name: str) -> DeployedResource:
    return DeployedResource("AWS::SQS::Queue", {"QueueName": name, "Many": [1, {"x": None}]}, name, {"Arn": name}, "")


def test_a_stack_that_is_gone_is_found_by_its_id_alone(tmp_path: Path) -> None:
    states = StateDirectory(tmp_path)
    state = StackState("S", STACK_ID, status="DELETE_COMPLETE")
    states.save(state)
    states.remove(state)

    assert states.load("S") is None
    assert states.load_all() == []
    assert states.load_gone(STACK_ID) == state
    assert states.load_all_gone() == [state]


@pytest.mark.parametrize("name", ["", "S", "../S", "arn:aws:cloudformation:us-east-1:123456789012:stack/S/../../x"])
def test_what_is_no_id_leads_to_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a stack id"):
        unique_part(name)
    with pytest.raises(ValueError, match="is not a stack id"):
        StateDirectory(tmp_path).load_gone(name)


def test_a_name_that_leads_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="can't be a file name"):
        StateDirectory(tmp_path).hold("../S")
