"""What a person takes back, or moves, on the running cloud: answers change at once, and the registry knows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.calibrations import act_on_calibrations, calibrations_of, named_calibration
from everloop.cli.operations.rollouts import reconcile
from everloop.names import ALIAS
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


def test_an_alias_moved_by_hand_is_named_and_left_where_nothing_is_declared(loop: Loop) -> None:
    # GIVEN a person who points the alias somewhere else, past the rollouts
    client, function = loop.account.client("lambda"), f"everloop-{loop.name}-predict"
    assert reconcile(loop.account, loop.name)["differences"] == []
    before = client.get_alias(FunctionName=function, Name=ALIAS)
    weights = (before.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    other, moved = "$LATEST", {"FunctionName": function, "Name": ALIAS}
    client.update_alias(**moved, FunctionVersion=other, RoutingConfig={"AdditionalVersionWeights": {}})
    try:
        # WHEN somebody looks
        found = CliRunner().invoke(everloop, ["reconcile", loop.name, "--json"])
        # THEN it is said with both places, and left, as nothing else is declared
        assert found.exit_code == 3, found.output
        answer = json.loads(found.output)
        (difference,) = answer["differences"]
        assert difference["code"] == "traffic_moved"
        assert difference["sentence"].startswith(f"requests go to {other}")
        assert not answer["put_right"]
        assert client.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"] == other
        status = CliRunner().invoke(everloop, ["status", loop.name], env={"COLUMNS": "400"})
        assert f"requests go to {other}" in status.output
    finally:
        routing = {"AdditionalVersionWeights": weights}
        client.update_alias(**moved, FunctionVersion=before["FunctionVersion"], RoutingConfig=routing)
    # AND that it agrees again, with the person who looked
    assert reconcile(loop.account, loop.name)["differences"] == []
    assert "differs" not in CliRunner().invoke(everloop, ["status", loop.name]).output
    noted = [r for r in loop.store.ledger.audit_records() if r.action.startswith("deployment_")]
    assert [r.action for r in noted[-2:]] == ["deployment_differs", "deployment_agrees"]
    assert noted[-1].actor.startswith("arn:aws:")
    assert verify_audit(loop.store).problems == []


def _serve_the_newest(loop: Loop) -> Any:
    """The stream may have ended in a rollout, and nothing was published since."""
    for _ in range(3):
        loop.next_monitoring()
        found = calibrations_of(loop.store)
        if found.in_force is not None:
            return found
    raise AssertionError(f"nothing was published: {found.latest}")
