"""What a person takes back, or moves, on the running cloud: answers change at once, and the registry knows."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.calibrations import act_on_calibrations, calibrations_of, named_calibration
from everloop.cli.operations.rollouts import reconcile
from everloop.names import ALIAS
from everloop.registry.trace import verify_audit
from tests.helpers.present import present
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
    assert calibrated["calibration"] == present(before.in_force).name
    assert calibrated["probability"] != calibrated["raw_score"]
    # WHEN a person takes it back
    answer = act_on_calibrations(loop.account, loop.name, "revert_calibration", reason="a test", to=None)
    assert answer["calibration"] is None
    # THEN the next answer is what the model says, and that is what it was
    plain = asked(loop, "taken-back-2")
    assert (plain["calibration"], plain["probability"]) == (None, plain["raw_score"])
    assert plain["raw_score"] == calibrated["raw_score"]
    # AND it comes again when the person says so
    to = named_calibration(before, present(before.in_force).name)
    again = act_on_calibrations(loop.account, loop.name, "revert_calibration", reason="a test", to=to)
    assert again["calibration"] == present(before.in_force).name
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
    ada, person = _who_may(loop, "lambda:UpdateAlias", "lambda:CreateFunction", "iam:PassRole", session="ada")
    person.update_alias(**moved, FunctionVersion=other, RoutingConfig={"AdditionalVersionWeights": {}})
    # AND who serves the first version's files from a function of her own
    role = client.get_function_configuration(FunctionName=function)["Role"]
    person.create_function(
        FunctionName="adas-own",
        Runtime="python3.13",
        Handler="own.handle",
        Role=role,
        Code={"ZipFile": _packed("own.py", "def handle(event, context): return {}")},
        Environment={"Variables": {"FILES": loop.store.versions.get(1).artifact_prefix}},
    )
    try:
        # WHEN somebody looks
        found = CliRunner().invoke(everloop, ["reconcile", loop.name, "--json"])
        # THEN it is said with both places and with who did it, and left, as nothing else is declared
        assert found.exit_code == 3, found.output
        answer = json.loads(found.output)
        difference, beside = answer["differences"]
        assert difference["code"] == "traffic_moved"
        assert difference["sentence"].startswith(f"requests go to {other}")
        assert (difference["by"]["known"], difference["by"]["who"]) == ("yes", ada)
        assert difference["by"]["event"] == "UpdateAlias20150331"
        assert (beside["code"], beside["by"]["who"]) == ("unknown_function", ada)
        assert not answer["put_right"]
        assert client.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"] == other
        status = CliRunner().invoke(everloop, ["status", loop.name], env={"COLUMNS": "400"})
        assert f"requests go to {other}" in status.output
        assert f"by {ada} from 127.0.0.1" in status.output
    finally:
        client.delete_function(FunctionName="adas-own")
        # Other tests hold the cloud's roles against the templates.
        loop.account.client("iam").delete_role_policy(RoleName="ada-by-hand", PolicyName="one")
        loop.account.client("iam").delete_role(RoleName="ada-by-hand")
        routing = {"AdditionalVersionWeights": weights}
        client.update_alias(**moved, FunctionVersion=before["FunctionVersion"], RoutingConfig=routing)
    # AND that it agrees again, with the person who looked
    assert reconcile(loop.account, loop.name)["differences"] == []
    assert "differs" not in CliRunner().invoke(everloop, ["status", loop.name]).output
    noted = [r for r in loop.store.ledger.audit_records() if r.action.startswith("deployment_")]
    assert [r.action for r in noted[-2:]] == ["deployment_differs", "deployment_agrees"]
    assert noted[-1].actor.startswith("arn:aws:")
    assert ada in str(noted[-2].reason)
    assert verify_audit(loop.store).problems == []


def _packed(name: str, text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, text)
    return content.getvalue()


def _who_may(loop: Loop, *actions: str, session: str) -> tuple[str, Any]:
    """A person with a role that may do this: their identity, and their client of Lambda."""
    iam, sts, name = loop.account.client("iam"), loop.account.client("sts"), f"{session}-by-hand"
    anybody = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    one = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    trust, policy = (json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (anybody, one))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="one", PolicyDocument=policy)
    given = sts.assume_role(RoleArn=role, RoleSessionName=session)
    keys = given["Credentials"]
    session_of_boto: Any = loop.account.session
    client = session_of_boto.client(
        "lambda",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    return str(given["AssumedRoleUser"]["Arn"]), client


def _serve_the_newest(loop: Loop) -> Any:
    """The stream may have ended in a rollout, and nothing was published since."""
    for _ in range(3):
        loop.next_monitoring()
        found = calibrations_of(loop.store)
        if found.in_force is not None:
            return found
    raise AssertionError(f"nothing was published: {found.latest}")
