"""A small cloud assembly, as the CDK writes them, from its files to a deployed function."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloudformation.assembly import archive, read_assembly
from localcloud.cloudformation.exceptions import AssemblyError, DeployError
from localcloud.cloudformation.state import StateDirectory
from localcloud.deploy import deploy_assembly, destroy, destroy_stack
from support.workbench import ClientFactory

BOOTSTRAP = {
    "Parameters": {
        "BootstrapVersion": {
            "Type": "AWS::SSM::Parameter::Value<String>",
            "Default": "/cdk-bootstrap/hnb659fds/version",
        }
    }
}
BUCKET = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
CODE = {"S3Bucket": {"Fn::Sub": BUCKET}, "S3Key": "abc.zip"}


def stack_artifact(name: str, dependencies: list[str]) -> dict[str, Any]:
    return {
        "type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/unknown-region",
        "properties": {"templateFile": f"{name}.template.json"},
        "dependencies": [*dependencies, f"{name}.assets"],
    }


def asset_artifact(name: str) -> dict[str, Any]:
    return {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}


def asset(path: str, packaging: str, key: str) -> dict[str, Any]:
    destination = {"bucketName": BUCKET, "objectKey": key}
    return {"source": {"path": path, "packaging": packaging}, "destinations": {"current": destination}}


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """Two stacks, the second one importing from the first, with a zipped asset."""
    directory = tmp_path / "cdk.out"
    code = directory / "asset.abc"
    code.mkdir(parents=True)
    (code / "handler.py").write_text("def handle(event, context):\n    return event\n")
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "run.sh").chmod(0o755)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    platform = BOOTSTRAP | {
        "Resources": {
            "Lake": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"},
            "Meta": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2:x"}},
        },
        "Outputs": {"Lake": {"Value": {"Ref": "Lake"}, "Export": {"Name": "Platform:Lake"}}},
    }
    model = BOOTSTRAP | {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Code": CODE,
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Handler": "handler.handle",
                    "Runtime": "python3.13",
                    "Environment": {"Variables": {"LAKE": {"Fn::ImportValue": "Platform:Lake"}}},
                },
                "Metadata": {"aws:asset:path": "asset.abc"},
            },
        },
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
    }
    files: dict[str, Any] = {
        "manifest.json": {
            "version": "55.0.0",
            "artifacts": {
                "Model.assets": asset_artifact("Model"),
                "Model": stack_artifact("Model", ["Platform"]),
                "Platform.assets": asset_artifact("Platform"),
                "Platform": stack_artifact("Platform", []),
                "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
            },
        },
        "Platform.template.json": platform,
        "Model.template.json": model,
        "Platform.assets.json": {"files": {"p": asset("Platform.template.json", "file", "p.json")}},
        "Model.assets.json": {"files": {"abc": asset("asset.abc", "zip", "abc.zip")}, "dockerImages": {}},
    }
    for name, document in files.items():
        (directory / name).write_text(json.dumps(document))
    return directory


def change(directory: Path, name: str, **changes: Any) -> None:
    file = directory / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_deployed_twice_and_destroyed(assembly: Path, clients: ClientFactory, tmp_path: Path) -> None:
    events: list[Any] = []
    deployment = deploy_assembly(assembly, clients, tmp_path / "stacks", events.append)

    lake = deployment.outputs["Platform"]["Lake"]
    name = deployment.outputs["Model"]["Name"]
    configuration = clients("lambda").get_function_configuration(FunctionName=name)
    assert configuration["Environment"]["Variables"] == {"LAKE": lake}
    assert [event.stack for event in events if event.action == "done"] == ["Platform", "Model"]

    again = deploy_assembly(assembly, clients, tmp_path / "stacks")
    assert again.actions == {"Platform": {}, "Model": {}}
    assert again.outputs == deployment.outputs

    destroy(assembly, clients, tmp_path / "stacks")
    assert clients("lambda").list_functions()["Functions"] == []
    buckets = [bucket["Name"] for bucket in clients("s3").list_buckets()["Buckets"]]
    assert lake in buckets, "it is retained"


def test_a_qualifier_of_ones_own_has_a_bootstrap_of_its_own(
    assembly: Path, clients: ClientFactory, tmp_path: Path
) -> None:
    for name in ("Platform.template.json", "Model.template.json", "Platform.assets.json", "Model.assets.json"):
        file = assembly / name
        file.write_text(file.read_text().replace("hnb659fds", "mine"))
    manifest = json.loads((assembly / "manifest.json").read_text())
    for name in ("Platform", "Model"):
        manifest["artifacts"][name]["properties"]["bootstrapStackVersionSsmParameter"] = "/cdk-bootstrap/mine/version"
    (assembly / "manifest.json").write_text(json.dumps(manifest))

    deploy_assembly(assembly, clients, tmp_path / "stacks")

    buckets = [bucket["Name"] for bucket in clients("s3").list_buckets()["Buckets"]]
    assert "cdk-mine-assets-123456789012-us-east-1" in buckets
    assert not [name for name in buckets if "hnb659fds" in name]
    stacks = StateDirectory(tmp_path / "stacks").load_all()
    assert sorted(stack.name for stack in stacks) == ["CDKToolkit-mine", "Model", "Platform"]


def test_a_protected_stack_is_not_destroyed_by_its_name(assembly: Path, clients: ClientFactory, tmp_path: Path) -> None:
    deploy_assembly(assembly, clients, tmp_path / "stacks")
    states = StateDirectory(tmp_path / "stacks")
    state = states.load("Model")
    assert state is not None
    state.protected = True
    states.save(state)

    with pytest.raises(DeployError, match="stack Model is protected"):
        destroy_stack("Model", clients, tmp_path / "stacks")


def test_the_state_of_a_cloud_that_is_gone_is_refused(
    assembly: Path, clients: ClientFactory, moto_endpoint: str, tmp_path: Path
) -> None:
    """Otherwise a new cloud would stay empty: its stacks would seem unchanged."""
    deploy_assembly(assembly, clients, tmp_path / "stacks")
    reset = urllib.request.Request(f"{moto_endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).read()
    with pytest.raises(DeployError, match="a cloud that has ended"):
        deploy_assembly(assembly, clients, tmp_path / "stacks")


def test_the_zip_of_a_directory_is_always_the_same(assembly: Path, tmp_path: Path) -> None:
    (zipped,) = (
        item for stack in read_assembly(assembly, "123456789012", "us-east-1") for item in stack.assets if item.zipped
    )
    first, second = (archive(zipped, tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as file:
        assert file.namelist() == ["handler.py", "run.sh"]
        assert [info.external_attr >> 16 & 0o777 for info in file.infolist()] == [0o644, 0o755]
    assert zipped.bucket == "cdk-hnb659fds-assets-123456789012-us-east-1"


def test_a_stack_of_another_account_is_refused(assembly: Path, clients: ClientFactory, tmp_path: Path) -> None:
    manifest = json.loads((assembly / "manifest.json").read_text())
    manifest["artifacts"]["Model"]["environment"] = "aws://999999999999/us-east-1"
    (assembly / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(AssemblyError, match="bound to aws://999999999999/us-east-1"):
        deploy_assembly(assembly, clients, tmp_path / "stacks")


def test_container_images_are_refused(assembly: Path, clients: ClientFactory, tmp_path: Path) -> None:
    change(assembly, "Model.assets.json", dockerImages={"x": {}})
    with pytest.raises(AssemblyError, match="container images"):
        deploy_assembly(assembly, clients, tmp_path / "stacks")


def test_a_directory_that_is_no_assembly(clients: ClientFactory, tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="synthesize the app first"):
        deploy_assembly(tmp_path, clients, tmp_path / "stacks")
