"""A person takes a calibration back on the running cloud: answers change at once, the raw score does not."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.cli.operations.calibrations import act_on_calibrations, calibrations_of, named_calibration
from everloop.registry.trace import verify_audit
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


def asked(loop: Loop, name: str) -> dict[str, Any]:
    (row,) = loop.instances(1)
    status, answer = loop.post({"instances": [{**row, loop.declaration.data.key: name}]})
    assert status == 200
    return {"calibration": answer["calibration"], **answer["predictions"][0]}


def test_answers_go_back_to_what_the_model_says_and_come_again(loop: Loop) -> None:
    # GIVEN a calibration that was learned on the way and serves
    before = calibrations_of(loop.store)
    if before.in_force is None:
        before = _serve_the_newest(loop)
    calibrated = asked(loop, "taken-back-1")
    assert calibrated["calibration"] == before.in_force.name
    assert calibrated["probability"] != calibrated["raw_score"]
    # WHEN a person takes it back
    answer = act_on_calibrations(loop.account, loop.name, "revert_calibration", reason="a test", to=None)
    assert answer["calibration"] is None
    # THEN the next answer is what the model says, and that is what it was
    plain = asked(loop, "taken-back-2")
    assert (plain["calibration"], plain["probability"]) == (None, plain["raw_score"])
    assert plain["raw_score"] == calibrated["raw_score"]
    # AND it comes again when the person says so
    to = named_calibration(before, before.in_force.name)
    again = act_on_calibrations(loop.account, loop.name, "revert_calibration", reason="a test", to=to)
    assert again["calibration"] == before.in_force.name
    act_on_calibrations(loop.account, loop.name, "resume_calibrations", reason="a test")
    assert asked(loop, "taken-back-3")["probability"] == calibrated["probability"]
    assert verify_audit(loop.store).problems == []


def _serve_the_newest(loop: Loop) -> Any:
    """The stream may have ended in a rollout, and nothing was published since."""
    for _ in range(3):
        loop.next_monitoring()
        found = calibrations_of(loop.store)
        if found.in_force is not None:
            return found
    raise AssertionError(f"nothing was published: {found.latest}")
