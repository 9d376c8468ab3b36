"""What a deployment needs, read from the templates that would be deployed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from everloop.cost.templates import all_states, definition_of, jobs_of

REGIONS, ENDPOINT = "everloop:regions", "everloop:endpoint"
"""Where a template's metadata names the regions that have all it needs, and what the model's endpoint runs."""


@dataclass(frozen=True)
class EndpointNeeds:
    """The SageMaker endpoint of a stack's model: at most so many instances of a type run the image for one version.

    Serverless, it has no type, and ``concurrency`` of one version instead; each version has an endpoint of its own.
    """

    stack: str
    image: str
    instance_type: str
    instances: int
    concurrency: int = 0


@dataclass(frozen=True)
class Needs:
    """What is to be deployed.

    Attributes
    ----------
    regions : sequence of str
        Those that have every service and image.
    bootstrap_version : int
        The oldest bootstrap of the CDK's that will do.
    instances : mapping of str to sequence of str
        The quotas of SageMaker for the jobs' instances, by the name that Service Quotas gives them, with the stacks.
    endpoints : sequence of EndpointNeeds
        Of the models that declare one.
    memory_mb : mapping of str to int
        Of each function, by its name.
    reserved : mapping of str to int
        The concurrent executions that are reserved, by the name of the function.
    loops : int
        How many stacks have a loop of their own.
    qualifier : str
        Of the CDK's bootstrap.
    """

    regions: Sequence[str]
    bootstrap_version: int
    instances: Mapping[str, Sequence[str]] = field(default_factory=dict)
    endpoints: Sequence[EndpointNeeds] = ()
    memory_mb: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    loops: int = 0
    qualifier: str = "hnb659fds"


def needs_of(assembly: Path, *, qualifier: str = "hnb659fds") -> Needs:
    """What the stacks of a synthesized assembly need."""
    artifacts = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    stacks = {name: made for name, made in artifacts.items() if made["type"] == "aws:cloudformation:stack"}
    templates = {
        name: json.loads((assembly / made["properties"]["templateFile"]).read_text(encoding="utf-8"))
        for name, made in stacks.items()
    }
    regions = [set(template["Metadata"][REGIONS]) for template in templates.values()]
    return Needs(
        regions=sorted(set.intersection(*regions)),
        bootstrap_version=max(made["properties"].get("requiresBootstrapStackVersion", 0) for made in stacks.values()),
        instances=_by_stack(templates, _instances),
        endpoints=[
            _of_endpoint(name, told)
            for name, template in templates.items()
            if (told := template["Metadata"].get(ENDPOINT))
        ],
        memory_mb={
            function.get("FunctionName", "?"): function.get("MemorySize", 128)
            for template in templates.values()
            for function in _of_type(template, "AWS::Lambda::Function")
        },
        reserved={
            function["FunctionName"]: int(function["ReservedConcurrentExecutions"])
            for template in templates.values()
            for function in _of_type(template, "AWS::Lambda::Function")
            if "ReservedConcurrentExecutions" in function
        },
        loops=sum(any(_of_type(template, "AWS::StepFunctions::StateMachine")) for template in templates.values()),
        qualifier=qualifier,
    )


def _of_endpoint(stack: str, told: Mapping[str, Any]) -> EndpointNeeds:
    if told.get("serverless"):
        return EndpointNeeds(stack, told["image"], "", 0, told["serverless"]["max_concurrency"])
    return EndpointNeeds(stack, told["image"], told["instance_type"], told.get("most_instances", told["instances"]))


def _by_stack(templates: Mapping[str, Any], found_in: Any) -> Mapping[str, Sequence[str]]:
    stacks: dict[str, list[str]] = {}
    for name, template in templates.items():
        for found in Counter(found_in(template)):
            stacks.setdefault(found, []).append(name)
    return stacks


def _of_type(template: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for resource in template["Resources"].values():
        if resource["Type"] == kind:
            yield resource.get("Properties", {})


def _instances(template: Mapping[str, Any]) -> Iterator[str]:
    """The quotas' names: "ml.m5.large for training job usage"."""
    for machine in _of_type(template, "AWS::StepFunctions::StateMachine"):
        for job in jobs_of(all_states(definition_of(machine))):
            yield f"{job.instance_type} for {job.kind} job usage"
