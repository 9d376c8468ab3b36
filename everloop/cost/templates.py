"""What the synthesized templates say: resources by their type, and the steps that one run of a state machine takes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Properties = Mapping[str, Any]

TASK_OF_A_JOB = {"createTrainingJob": "training", "createProcessingJob": "processing"}


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    stack: str
    name: str
    type: str
    properties: Properties


@dataclass(frozen=True)
class Job:
    """A SageMaker job that a state machine starts: its state, kind, instance type and how many of them.

    ``kind`` is ``training``, ``spot training`` or ``processing``, as the quotas of instances are called.
    """

    state: str
    kind: str
    instance_type: str
    instances: int


def resources_of(stack: str, template: Mapping[str, Any]) -> Iterator[Resource]:
    """Every resource of a stack's template."""
    for name, resource in template["Resources"].items():
        yield Resource(stack, name, resource["Type"], resource.get("Properties", {}))


def count_types(resources: Iterable[Resource]) -> Mapping[str, int]:
    """How many resources there are of each type, sorted by its name."""
    return dict(sorted(Counter(one.type for one in resources).items()))


def definition_of(machine: Properties) -> Mapping[str, Any]:
    """The definition of a state machine, with a dash where something is known only once it is deployed."""
    text = machine["DefinitionString"]
    if not isinstance(text, str):
        text = "".join(part if isinstance(part, str) else "-" for part in text["Fn::Join"][1])
    definition: Mapping[str, Any] = json.loads(text)
    return definition


def steps(definition: Mapping[str, Any], *, without: frozenset[str] = frozenset()) -> Mapping[str, Mapping[str, Any]]:
    """The states that one execution can come to without a failure, by name: a bound on what it does.

    Parameters
    ----------
    without : set of str
        States that it does not come to, and what follows only from them.
    """
    states, found, open_ = definition["States"], {}, [definition["StartAt"]]
    while open_:
        name = open_.pop()
        if name in found or name in without:
            continue
        state = found[name] = states[name]
        ways = [state.get("Next"), *(choice["Next"] for choice in state.get("Choices", ()))]
        open_ += [way for way in ways if way is not None]
    return found


def all_states(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All states by name, those within others too."""
    for name, state in definition["States"].items():
        yield name, state
        inner = [*state.get("Branches", ()), *(state[key] for key in ("Iterator", "ItemProcessor") if key in state)]
        for part in inner:
            yield from all_states(part)


def jobs_of(states: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Job]:
    """The SageMaker jobs among a machine's states, which come with their names."""
    for name, state in states:
        kind = TASK_OF_A_JOB.get(state.get("Resource", "").removesuffix(".sync").split(":sagemaker:")[-1])
        if kind is not None:
            given = state["Parameters"]
            cluster = given.get("ResourceConfig") or given["ProcessingResources"]["ClusterConfig"]
            spot = "spot " if given.get("EnableManagedSpotTraining") else ""
            yield Job(name, spot + kind, cluster["InstanceType"], cluster["InstanceCount"])


def invoked_by(states: Mapping[str, Mapping[str, Any]]) -> Mapping[str, int]:
    """How many of the states invoke each function, by the function's name without the model's, e.g. ``rollout``."""
    named = (
        str(state["Parameters"]["FunctionName"]).removeprefix("${").removesuffix("Function}").lower()
        for state in states.values()
        if state.get("Resource", "").endswith(":lambda:invoke")
    )
    return Counter(named)
