"""What a removal does and leaves, and why it may not: facts in, a decision out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from everloop.cli.operations.endpoints import RunningEndpoint
from everloop.cli.operations.removal.kept import Kept
from everloop.cli.operations.removal.running import DELIVERY, Job
from everloop.cli.operations.removal.stacks import Stack
from everloop.numbers_of import number_of
from everloop.registry.records import ActiveRun, Rollout

_DELETING = ("DELETE_IN_PROGRESS", "DELETE_FAILED")
_NEVER_CAME_UP = ("REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class Removal:
    """What is known of a model before its removal, or of what remains of it after one.

    Attributes
    ----------
    stack : Stack or None
        None once it is gone.
    executions : list of str
        The ARNs of those that run.
    jobs : list of Job
        Those in progress.
    active_run : ActiveRun or None
    rollouts : list of Rollout
        Those that are open.
    requests : int
        Requests whose rows may still be on their way to the lake.
    dead_letters : int
        Events that wait in the dead-letter queue, which goes.
    kept : list of Kept
    endpoint : RunningEndpoint or None
    of_versions : list of str
        The serverless endpoints of versions. None of them is a resource of the stack: rollouts made them.
    """

    model: str
    stack: Stack | None
    executions: list[str]
    jobs: list[Job]
    active_run: ActiveRun | None
    rollouts: list[Rollout]
    requests: int
    dead_letters: int
    kept: list[Kept]
    endpoint: RunningEndpoint | None = None
    of_versions: list[str] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether there is, or was, a model of that name."""
        return self.stack is not None or bool(self.kept) or self.has_endpoints

    @property
    def has_endpoints(self) -> bool:
        """Whether rollouts left any endpoint."""
        return self.endpoint is not None or bool(self.of_versions)

    @property
    def is_half_there(self) -> bool:
        """Whether its deletion began already, or it never came up: it may have no functions."""
        return self.stack is not None and self.stack.status in (*_DELETING, *_NEVER_CAME_UP)


def refusal(stack: Stack, requests: int = 0, *, now: bool = False) -> tuple[str, str] | None:
    """Why a stack can't be deleted now, and what to do; None where it can.

    Parameters
    ----------
    requests : int
        Those of the model that came within :data:`DELIVERY`.
    now : bool
        A person gives up what is on its way to the lake.
    """
    if stack.protected:
        return (
            f"the stack {stack.name} is protected against deletion",
            "take the protection off: `aws cloudformation update-termination-protection "
            f"--no-enable-termination-protection --stack-name {stack.name}`",
        )
    if stack.status.endswith("_IN_PROGRESS") and stack.status not in (*_DELETING, *_NEVER_CAME_UP):
        return (
            f"the stack {stack.name} is being changed: {stack.status}",
            f"wait until that has ended: `aws cloudformation describe-stacks --stack-name {stack.name}`",
        )
    if requests and not now:
        minutes = f"{DELIVERY.total_seconds() / 60:g} minutes"
        return (
            f"{stack.model}: {number_of(requests, 'request')} came within the last {minutes}, and what they hold may "
            "still be on its way to the lake: the streams go with the stack",
            f"stop its callers, and type this again after {minutes} (in a local cloud, `everloop local pass 20m`); "
            "or give that up: --now",
        )
    return None


def does(removal: Removal) -> list[tuple[str, str]]:
    """What the removal of a model ends and deletes, as (what, sentence)."""
    stack = removal.stack
    if stack is None:
        return _ending_endpoints(removal)
    lines = [("stops", f"the execution {arn.rsplit(':', 1)[1]}") for arn in removal.executions]
    lines += [("stops", f"the {job.kind} job {job.name}") for job in removal.jobs]
    if removal.active_run is not None:
        lines.append(("closes", f"the run {removal.active_run.run_id}, as released{_or_later(removal)}"))
    lines += [_ending(rollout) for rollout in removal.rollouts]
    lines += _ending_endpoints(removal)
    lines.append(
        (
            "deletes",
            f"the stack {stack.name} ({number_of(len(stack.resources), 'resource')}): its routes, functions, schedule, "
            "alarms, tables over the lake, and the functions' logs",
        )
    )
    if removal.dead_letters:
        lines.append(("loses", f"{number_of(removal.dead_letters, 'event')} of the dead-letter queue"))
    if removal.requests:
        requests = number_of(removal.requests, "request")
        lines.append(("may lose", f"rows of {requests} of the last 20 minutes that are on their way to the lake"))
    return lines


def monthly(kept: Sequence[Kept]) -> float:
    """What all that stays costs a month, as far as that can be told."""
    return sum(one.usd_per_month or 0.0 for one in kept)


def _or_later(removal: Removal) -> str:
    """What is said of a run of a model whose stack is half there: the function that closes it may be gone."""
    if removal.active_run is None or not removal.is_half_there:
        return ""
    typed = f"`everloop runs release {removal.model} {removal.active_run.run_id} --reason WHY`"
    return f", if its functions are there still; else {typed} does it, should the model be deployed again"


def _ending_endpoints(removal: Removal) -> list[tuple[str, str]]:
    lines, endpoint = [], removal.endpoint
    if endpoint is not None:
        instances = number_of(endpoint.instances, "instance")
        lines.append(("deletes", f"the endpoint {endpoint.name} ({instances}), with its configurations and models"))
    lines += [("deletes", f"the serverless endpoint {name}") for name in removal.of_versions]
    return lines


def _ending(rollout: Rollout) -> tuple[str, str]:
    if rollout.status == "canary":
        return "rolls back", f"the canary of version {rollout.version}: callers go to what served before"
    return "ends", f"the bake of version {rollout.version}, which stays the champion"
