"""``everloop local env``: a shell that evaluates it is the operator of the cloud that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import everloop.cli.commands.local as command
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.local_cloud import point_at
from localcloud import daemon
from support.running_cloud import RunningCloud, free_port

WHO = """
import boto3
print(boto3.client("sts").get_caller_identity()["Account"], len(boto3.client("iam").list_roles()["Roles"]))
"""


pytestmark = pytest.mark.xdist_group("pointed at")  # one cloud for all of that group


def test_a_shell_that_evaluates_it_is_the_operator(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "STATE", cloud.daemon.state_directory)
    shown = CliRunner().invoke(command.local, ["env"])
    assert shown.exit_code == 0
    # GIVEN a shell that was pointed elsewhere before
    before = {"AWS_SESSION_TOKEN": "of another account", "AWS_PROFILE": "other", "PATH": "/usr/bin:/bin"}

    script = f"{shown.stdout}\nexec {sys.executable} -c '{WHO}'"
    answer = subprocess.run(["/bin/sh", "-c", script], env=before, capture_output=True, text=True, check=False)

    roles = len(cloud.client("iam").list_roles()["Roles"])
    assert (answer.returncode, answer.stdout.strip()) == (0, f"123456789012 {roles}"), answer.stderr


def test_it_may_start_empty_for_the_cdk_to_deploy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # GIVEN a project, which nothing synthesizes
    (tmp_path / "app.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "synthesize_project", lambda say: pytest.fail("it was synthesized"))
    port = str(free_port())

    shown = CliRunner().invoke(command.local, ["up", "--empty", "--port", port, "--cold-starts"])

    try:
        assert shown.exit_code == 0, shown.output
        assert f"http://127.0.0.1:{port}" in shown.output
        running = daemon.find(tmp_path / ".everloop" / "local")
        assert running is not None
        words = ["ps", "-o", "command=", "-ww", "-p", str(running.pid)]
        assert "--cold-starts" in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        # WHEN it is typed again THEN it is the one that runs
        again = CliRunner().invoke(command.local, ["up", "--empty", "--json"])
        assert json.loads(again.stdout)["pid"] == running.pid
    finally:
        CliRunner().invoke(command.local, ["down"])


def test_up_does_not_tell_the_credentials(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a cloud that runs, and nothing to deploy into it
    monkeypatch.setattr(command, "STATE", cloud.daemon.state_directory)
    monkeypatch.setattr(command, "synthesize_project", lambda say: Path())
    monkeypatch.setattr(command, "deploy", lambda *_: None)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")

    shown = CliRunner().invoke(command.local, ["up", "--json"])

    assert shown.exit_code == 0
    assert cloud.daemon.endpoint in shown.output
    assert cloud.daemon.operator.secret_access_key not in shown.output


def test_a_process_that_is_pointed_at_it_forgets_other_credentials(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_SESSION_TOKEN": "of another account", "AWS_PROFILE": "other"})

    assert point_at(cloud.daemon) == dict(os.environ)
    assert set(os.environ).isdisjoint({"AWS_SESSION_TOKEN", "AWS_PROFILE"})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give either SPAN or --until"),
        (["2h", "--until", "2026-01-01"], "give either SPAN or --until"),
        (["soon"], "'soon' is not a span of time"),
        (["--until", "soon"], "--until 'soon' is not a time"),
        (["--until", "2001-01-01T00:00Z"], "is in the past: it is "),
    ],
)
def test_what_can_not_go_by_is_refused_with_an_example(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.setattr(command, "STATE", cloud.daemon.state_directory)
    refused = CliRunner().invoke(command.local, ["pass", *words]).exception
    assert isinstance(refused, CommandError)
    assert told in refused.message
    assert refused.remedy
