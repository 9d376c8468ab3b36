"""Deploys a whole cloud assembly, and takes it away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.assembly import FileAsset, Stack, archive, read_assembly
from localcloud.cloudformation.engine import Progress, StackEngine
from localcloud.cloudformation.examination import examine
from localcloud.cloudformation.exceptions import DeployError
from localcloud.cloudformation.resource import Handler
from localcloud.cloudformation.state import StateDirectory
from localcloud.cloudformation.template import Template

_QUALIFIER = "hnb659fds"
_BOOTSTRAP_VERSION_PARAMETER = f"/cdk-bootstrap/{_QUALIFIER}/version"
_BOOTSTRAP_VERSION = "30"


@dataclass(frozen=True)
class Deployment:
    """What a deployment came to.

    Attributes
    ----------
    outputs : Mapping[str, Mapping[str, Any]]
        Stack outputs by stack name and output name.
    actions : Mapping[str, Mapping[str, str]]
        What was done to resources, by stack name and logical id; empty for a stack that did not change.
    """

    outputs: Mapping[str, Mapping[str, Any]]
    actions: Mapping[str, Mapping[str, str]]


def deploy_assembly(
    assembly: Path,
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Progress,
    *,
    handlers: Mapping[str, Handler],
) -> Deployment:
    """Deploy every stack of a synthesized cloud assembly.

    Parameters
    ----------
    assembly : Path
        The directory the CDK app wrote.
    client_factory : Callable[[str], Any]
        Gives a boto3 client for a service; its credentials do everything.
    state_directory : Path
        Keeps one JSON file per stack; it belongs to the endpoint that the clients talk to.
    progress : Callable[[DeployEvent], None]
        Told of everything that happens.
    handlers : Mapping[str, Handler]
        How resources are made, by type.

    Raises
    ------
    AssemblyError, TemplateError
        Before anything exists: for all stacks together, with every property that would be refused.
    StackRolledBackError, RollbackFailedError, DeletionFailedError
        As `StackEngine.deploy`; stacks before the failed one stay deployed.
    """
    engine = StackEngine(client_factory, StateDirectory(state_directory), progress, handlers)
    stacks = read_assembly(assembly, engine.account_id, engine.region)
    templates = [Template.read(stack.template, stack.name) for stack in stacks]
    to_deploy = [(template, stack.parameters) for template, stack in zip(templates, stacks, strict=True)]
    examine(to_deploy, engine, promised=[_BOOTSTRAP_VERSION_PARAMETER])
    _bootstrap(engine)
    outputs: dict[str, Mapping[str, Any]] = {}
    actions: dict[str, Mapping[str, str]] = {}
    for template, stack in zip(templates, stacks, strict=True):
        for asset in stack.assets:
            _upload(engine, asset, assembly / ".cache")
        result = engine.deploy(template, stack.parameters)
        outputs[stack.name] = result.state.outputs
        actions[stack.name] = result.actions
    return Deployment(outputs, actions)


def destroy(
    assembly: Path,
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Progress,
    *,
    handlers: Mapping[str, Handler],
) -> None:
    """Delete every stack of an assembly, last deployed first.

    Resources whose deletion policy is ``Retain`` stay.

    Raises
    ------
    DeletionFailedError
        When something could not be deleted; repeating the call tries again.
    """
    engine = StackEngine(client_factory, StateDirectory(state_directory), progress, handlers)
    stacks: list[Stack] = read_assembly(assembly, engine.account_id, engine.region)
    for stack in reversed(stacks):
        engine.destroy(stack.name)


def destroy_stack(
    stack: str,
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Progress,
    *,
    handlers: Mapping[str, Handler],
) -> None:
    """Delete one stack by its name, as ``aws cloudformation delete-stack`` does, whether or not its template is left.

    Raises
    ------
    DeployError
        When no such stack is deployed, or another one imports something of it.
    DeletionFailedError
        When something could not be deleted; repeating the call tries again.
    """
    engine = StackEngine(client_factory, StateDirectory(state_directory), progress, handlers)
    if engine.states.load(stack) is None:
        deployed = ", ".join(state.name for state in engine.states.load_all()) or "none"
        raise DeployError(f"no stack {stack!r} is deployed here; deployed: {deployed}")
    engine.destroy(stack)


def _bootstrap(engine: StackEngine) -> None:
    """Make what ``cdk bootstrap`` makes and assemblies rely on: the assets bucket and the version parameter."""
    bucket = f"cdk-{_QUALIFIER}-assets-{engine.account_id}-{engine.region}"
    s3, ssm = engine.client("s3"), engine.client("ssm")
    if not _found(lambda: s3.head_bucket(Bucket=bucket)):
        location = (
            {} if engine.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": engine.region}}
        )
        s3.create_bucket(Bucket=bucket, **location)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if not _found(lambda: ssm.get_parameter(Name=_BOOTSTRAP_VERSION_PARAMETER)):
        if engine.states.load_all():
            raise DeployError(
                f"{engine.states.path} describes stacks, but nothing was ever deployed into this endpoint: they belong "
                "to a cloud that is gone; delete the directory"
            )
        ssm.put_parameter(Name=_BOOTSTRAP_VERSION_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String")


def _upload(engine: StackEngine, asset: FileAsset, cache: Path) -> None:
    s3 = engine.client("s3")
    if _found(lambda: s3.head_object(Bucket=asset.bucket, Key=asset.key)):
        return
    file = archive(asset, cache) if asset.zipped else asset.source
    with file.open("rb") as body:
        s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=body)


def _found(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket", "ParameterNotFound"):
            return False
        raise
    return True
