"""One command brings an assembly up; each that can't says what to do instead."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import daemon
from localcloud.core.clients import make_client
from support.running_cloud import free_port

TEMPLATE = {
    "Resources": {
        "Letters": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "letters"}},
        "Desk": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "desk", "ProtocolType": "HTTP"}},
        "Shop": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "shop"}},
    },
    "Outputs": {
        "Address": {"Value": {"Ref": "Letters"}},
        "Url": {"Value": {"Fn::Sub": "https://${Desk}.execute-api.${AWS::Region}.${AWS::URLSuffix}/"}},
    },
}


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    folder = tmp_path / "cdk.out"
    folder.mkdir()
    (folder / "Post.template.json").write_text(json.dumps(TEMPLATE))
    manifest = {
        "version": "48.0.0",
        "artifacts": {
            "Post": {
                "type": "aws:cloudformation:stack",
                "environment": "aws://unknown-account/unknown-region",
                "properties": {"templateFile": "Post.template.json"},
            }
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "state"
    yield directory
    running = daemon.find(directory)
    if running is not None:
        running.stop()


def localcloud(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud", *map(str, words)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=clean)


def test_an_assembly_comes_up_with_one_command_is_there_and_begins_anew(assembly: Path, state: Path) -> None:
    # GIVEN a directory that was no cloud's, with something in it
    (state / "letters").mkdir(parents=True)

    # WHEN it is brought up, twice
    up = localcloud("up", assembly, "--state", state, "--port", free_port())
    again = localcloud("up", assembly, "--state", state)

    # THEN it says what is there, and nothing is made twice
    assert up.returncode == 0, up.stderr
    assert "Post: create Letters (AWS::SQS::Queue)" in up.stderr
    assert "Post.Address = http://" in up.stdout
    assert again.returncode == 0, again.stderr
    assert "create" not in again.stderr
    assert (state / "letters").is_dir()

    # AND where an API answers that AWS has at another address
    here = re.search(r"Post\.Url = (http://127\.0\.0\.1:\d+)/", up.stdout)
    assert here is not None
    there = r"https://\w+\.execute-api\.us-east-1\.amazonaws\.com"
    assert re.search(rf"^desk: {there} is {re.escape(here[1])} here$", up.stdout, re.MULTILINE)
    assert re.search(rf"^shop: {there} is http://127\.0\.0\.1:\d+ here$", up.stdout, re.MULTILINE)

    # AND a shell that is pointed at it finds the queue
    printed = localcloud("env", "--state", state).stdout
    variables = dict(shlex.split(line)[1].split("=", 1) for line in printed.splitlines() if line.startswith("export "))
    client = make_client(
        "sqs",
        region_name=variables["AWS_REGION"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    assert client.list_queues()["QueueUrls"][0].endswith("/letters")

    # AND it ends when told to
    assert localcloud("down", "--state", state).returncode == 0
    assert daemon.find(state) is None
    assert localcloud("env", "--state", state).returncode == 1

    # AND the next begins anew: nothing of the one before is there, and the cache is
    (state / "cache" / "layers").mkdir(parents=True, exist_ok=True)
    (state / "objects" / "left").mkdir(parents=True, exist_ok=True)
    up = localcloud("up", assembly, "--state", state, "--port", free_port())
    assert up.returncode == 0, up.stderr
    assert "Post: create Letters (AWS::SQS::Queue)" in up.stderr
    assert not (state / "objects" / "left").exists()
    assert (state / "cache" / "layers").is_dir()


def add_importer(assembly: Path, name: str, other: str) -> None:
    """Add a stack that imports what another exports."""
    value = {"Type": "String", "Value": {"Fn::ImportValue": f"{other}:Address"}}
    resources = {"Resources": {"Where": {"Type": "AWS::SSM::Parameter", "Properties": value}}}
    (assembly / f"{name}.template.json").write_text(json.dumps(resources))
    manifest = json.loads((assembly / "manifest.json").read_text())
    manifest["artifacts"][name] = {
        **manifest["artifacts"][other],
        "properties": {"templateFile": f"{name}.template.json"},
        "dependencies": [other],
    }
    (assembly / "manifest.json").write_text(json.dumps(manifest))


def test_without_an_assembly_it_starts_empty_where_it_is_asked_for_and_who_deploys_is_the_cdk(
    assembly: Path, state: Path
) -> None:
    where = ("--account-id", "210987654321", "--region", "eu-central-1")
    up = localcloud("up", "--state", state, "--port", free_port(), *where)

    assert up.returncode == 0, up.stderr
    running = daemon.find(state)
    assert running is not None
    variables = running.environment()
    assert variables["AWS_REGION"] == "eu-central-1"
    told = {
        "region_name": variables["AWS_REGION"],
        "endpoint_url": variables["AWS_ENDPOINT_URL"],
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
    }
    client = make_client("cloudformation", **told)
    assert client.describe_stacks()["Stacks"] == []
    # What the command deploys is in the API, and the other way round: in the account and region that were asked for.
    template = json.loads(json.dumps(TEMPLATE))
    template["Outputs"]["Arn"] = {"Value": {"Fn::GetAtt": ["Letters", "Arn"]}}
    template["Outputs"]["Name"] = {"Value": {"Fn::Sub": "${AWS::AccountId} ${AWS::Region}"}}
    (assembly / "Post.template.json").write_text(json.dumps(template))
    up = localcloud("up", assembly, "--state", state)
    assert up.returncode == 0, up.stderr
    assert "Post.Arn = arn:aws:sqs:eu-central-1:210987654321:letters" in up.stdout
    assert "Post.Name = 210987654321 eu-central-1" in up.stdout
    buckets = make_client("s3", **told).list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == ["cdk-hnb659fds-assets-210987654321-eu-central-1"]
    found = {stack["StackName"]: stack["StackStatus"] for stack in client.describe_stacks()["Stacks"]}
    assert found == {"CDKToolkit": "CREATE_COMPLETE", "Post": "CREATE_COMPLETE"}

    # GIVEN a stack that imports from one earlier in the alphabet THEN it is taken down first all the same
    template["Outputs"]["Address"]["Export"] = {"Name": "Post:Address"}
    (assembly / "Post.template.json").write_text(json.dumps(template))
    add_importer(assembly, "Reader", "Post")
    assert localcloud("up", assembly, "--state", state).returncode == 0

    held = localcloud("destroy", "Post", "--state", state)
    assert held.returncode == 1
    assert "Export Post:Address cannot be deleted as it is in use by Reader" in held.stderr
    gone = localcloud("destroy", "--state", state)
    assert (gone.returncode, gone.stdout) == (0, "deleted: Reader, Post\n"), gone.stderr
    assert localcloud("destroy", "--state", state).stdout == "no stack was deployed\n"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--account-id", "42", "twelve digits"),
        ("--region", "atlantis-1", "is not a region; the regions are af-south-1"),
    ],
)
def test_an_account_or_region_that_can_not_be_is_refused(state: Path, option: str, value: str, message: str) -> None:
    up = localcloud("up", "--state", state, "--port", free_port(), option, value)

    assert up.returncode == 1
    assert message in up.stderr


def test_a_template_that_can_not_be_deployed_leaves_no_cloud_behind(assembly: Path, state: Path) -> None:
    template = {"Resources": {"Host": {"Type": "AWS::EC2::Instance", "Properties": {}}}}
    (assembly / "Post.template.json").write_text(json.dumps(template))

    up = localcloud("up", assembly, "--state", state, "--port", free_port())

    assert up.returncode == 1
    assert "AWS::EC2::Instance" in up.stderr
    assert daemon.find(state) is None


def test_settings_that_nobody_reads_keep_it_from_starting(assembly: Path, state: Path, tmp_path: Path) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text("[lambada]\n")

    up = localcloud("up", assembly, "--state", state, "--settings", settings, "--port", free_port())

    assert up.returncode == 1
    assert "no service reads [lambada]" in up.stderr


def test_what_is_no_assembly_is_refused_with_a_remedy(tmp_path: Path, state: Path) -> None:
    up = localcloud("up", tmp_path, "--state", state)

    assert up.returncode == 1
    assert "manifest.json" in up.stderr
    assert "cdk synth" in up.stderr
