"""``everloop local destroy``: one stack goes, what its template keeps stays, and a wrong name is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

import everloop.cli.commands.local as command
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.local_cloud import point_at
from localcloud.cloudformation.engine import StackEngine
from localcloud.cloudformation.state import StateDirectory
from localcloud.cloudformation.template import Template
from localcloud.services.registry import handlers
from support.running_cloud import RunningCloud

pytestmark = pytest.mark.xdist_group("pointed at")  # one cloud for all of that group

TEMPLATE = {
    "Resources": {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alerts"}},
        "Rows": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": "rows-that-stay"}},
    }
}


@pytest.fixture
def state(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cloud with one stack, which this process points at; the last test takes it down."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")
    point_at(cloud.daemon)
    folder = cloud.daemon.state_directory
    monkeypatch.setattr(command, "STATE", folder)
    file = tmp_path / "template.json"
    file.write_text(json.dumps(TEMPLATE), encoding="utf-8")
    states = StateDirectory(folder / "stacks")
    session: Any = boto3.Session()
    engine = StackEngine(session.client, states, lambda event: None, handlers())
    engine.deploy(Template.read(file, "EverloopModel-late-train"), {})
    return folder


def destroyed(stack: str) -> Result:
    return CliRunner().invoke(command.local, ["destroy", stack])


def test_a_wrong_name_is_told_with_the_right_ones(state: Path) -> None:
    for name in ("late_train", "../x", ""):
        found = destroyed(name)
        assert isinstance(found.exception, CommandError), name
    assert "deployed: EverloopModel-late-train" in str(destroyed("late_train").exception)


def test_a_stack_goes_and_what_it_keeps_stays(state: Path) -> None:
    found = destroyed("EverloopModel-late-train")
    assert found.exit_code == 0, found.output
    assert "deleted EverloopModel-late-train; resources kept by its template: 1" in found.output
    session = boto3.Session()  # the default one may be another test's
    assert session.client("sns").list_topics()["Topics"] == []
    assert [bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]] == ["rows-that-stay"]
    # WHEN it is typed again, THEN it is told that nothing of that name is there
    again = destroyed("EverloopModel-late-train")
    assert isinstance(again.exception, CommandError)
    assert "no stack 'EverloopModel-late-train' is deployed here; deployed: none" in again.exception.message
