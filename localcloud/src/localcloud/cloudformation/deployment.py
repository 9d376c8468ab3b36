"""Deploys a whole cloud assembly, and takes it away again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.assembly import FileAsset, Stack, archive, read_assembly
from localcloud.cloudformation.bootstrap import bootstrap_stacks, is_bootstrap
from localcloud.cloudformation.engine import DeployEvent, Progress, StackEngine
from localcloud.cloudformation.examination import examine
from localcloud.cloudformation.exceptions import DeployError
from localcloud.cloudformation.resource import Handler
from localcloud.cloudformation.state import StackRequest, StateDirectory
from localcloud.cloudformation.template import Template

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
"""What the CDK's command line gives to every stack."""


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
    relied_on = bootstrap_stacks(stack.bootstrap for stack in stacks)
    examine(to_deploy, engine, promised=relied_on)
    _bootstrap(StackEngine(client_factory, engine.states, _silent, handlers), relied_on)
    outputs: dict[str, Mapping[str, Any]] = {}
    actions: dict[str, Mapping[str, str]] = {}
    for template, stack in zip(templates, stacks, strict=True):
        for asset in stack.assets:
            _upload(engine, asset, assembly / ".cache")
        result = engine.deploy(template, stack.parameters, _request(template, stack))
        outputs[stack.name] = result.state.outputs
        actions[stack.name] = result.actions
    return Deployment(outputs, actions)


def _request(template: Template, stack: Stack) -> StackRequest:
    declared = template.document.get("Parameters") or {}
    defaults = {name: str(body["Default"]) for name, body in declared.items() if "Default" in body}
    values = {**defaults, **stack.parameters}
    return StackRequest(json.dumps(template.document), values, dict(stack.tags), capabilities=list(CAPABILITIES))


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
    state = engine.states.load(stack)
    if state is not None and state.protected:
        raise DeployError(f"stack {stack} is protected: deploy it without `terminationProtection` first")
    if state is None:
        deployed = ", ".join(other.name for other in engine.states.load_all()) or "none"
        raise DeployError(f"no stack {stack!r} is deployed here; deployed: {deployed}")
    engine.destroy(stack)


def destroy_stacks(
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Progress,
    *,
    handlers: Mapping[str, Handler],
) -> list[str]:
    """Delete every stack but the bootstrap's, each after those that import something of it; their names in that order.

    Raises
    ------
    DeployError
        When one is protected: nothing is deleted then.
    DeletionFailedError
        When something could not be deleted; stacks before it are gone, and repeating the call tries again.
    """
    engine = StackEngine(client_factory, StateDirectory(state_directory), progress, handlers)
    stacks = [state for state in engine.states.load_all() if not is_bootstrap(state.name)]
    protected = ", ".join(state.name for state in stacks if state.protected)
    if protected:
        raise DeployError(f"protected stacks: {protected}: deploy them without `terminationProtection` first")
    after = {
        state.name: {other.name for other in stacks if set(other.imports) & set(state.exports)} for state in stacks
    }
    names = list(TopologicalSorter(after).static_order())
    for name in names:
        engine.destroy(name)
    return names


def _bootstrap(engine: StackEngine, stacks: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Make what is not there of the buckets and parameters that assemblies rely on."""
    ssm = engine.client("ssm")
    for parameter, (name, template) in stacks.items():
        if _found(partial(ssm.get_parameter, Name=parameter)):
            continue
        if engine.states.load(name) is not None:
            raise DeployError(
                f"{engine.states.path} describes stacks, but nothing was ever deployed into this endpoint: they"
                " belong to a cloud that has ended; delete the directory"
            )
        engine.deploy(Template.parse(template, name), {})


def _upload(engine: StackEngine, asset: FileAsset, cache: Path) -> None:
    s3 = engine.client("s3")
    if _found(lambda: s3.head_object(Bucket=asset.bucket, Key=asset.key)):
        return
    file = archive(asset, cache) if asset.zipped else asset.source
    with file.open("rb") as body:
        s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=body)


def _silent(event: DeployEvent) -> None:
    """Tell nobody."""


def _found(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket", "ParameterNotFound"):
            return False
        raise
    return True
