"""Carry a removal out: stop what runs, record it, delete the stack. Each step may be repeated."""

from __future__ import annotations

from collections.abc import Callable

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError, NotDeployedError
from everloop.cli.operations.endpoints import delete_endpoint, endpoint_of, endpoints_of_versions
from everloop.cli.operations.removal import stacks
from everloop.cli.operations.removal.kept import kept_of_model
from everloop.cli.operations.removal.plan import Removal, refusal
from everloop.cli.operations.removal.running import (
    dead_letters,
    jobs_in_progress,
    recent_requests,
    running_executions,
    stop_executions,
    stop_jobs,
)
from everloop.cli.operations.removal.stacks import QUEUE, STATE_MACHINE, Stack, find_stack
from everloop.cli.operations.rollouts import require_reason, take_back
from everloop.cli.operations.runs import release_run
from everloop.names import ModelNames
from everloop.registry.exceptions import RunAlreadyActiveError

_ATTEMPTS = 3
"""How often runs are closed that began while others were."""


def look_at(account: Account, model: str) -> Removal:
    """What the removal of a model meets, and what it leaves.

    Raises
    ------
    NotDeployedError
        There is no model of that name, and nothing is left of one.
    """
    stack = find_stack(account, ModelNames(model).stack)
    store = account.registry(model)
    executions: list[str] = []
    runs, requests, letters = store.runs.all(), 0, 0
    jobs = []
    if stack is not None:
        executions = running_executions(account, stack.of_type(STATE_MACHINE))
        known = {arn.rsplit(":", 1)[1] for arn in executions} | {run.run_id for run in runs}
        jobs = jobs_in_progress(account, model, known)
        requests, letters = recent_requests(account, model), dead_letters(account, stack.of_type(QUEUE))
    found = Removal(
        model=model,
        stack=stack,
        executions=executions,
        jobs=jobs,
        active_run=store.runs.active(),
        rollouts=[rollout for rollout in store.rollouts.all() if rollout.is_open],
        requests=requests,
        dead_letters=letters,
        kept=kept_of_model(account, model, stack),
        endpoint=endpoint_of(account, model),
        of_versions=endpoints_of_versions(account, model),
    )
    if not found.is_known:
        there = ", ".join(account.model_names()) or "none"
        raise NotDeployedError(
            f"there is no model {model!r} in region {account.region}, and nothing is left of one (deployed: {there})",
            "name one that is there; `everloop status` lists them",
        )
    return found


def remove(account: Account, found: Removal, *, reason: str, now: bool, say: Callable[[str], None]) -> None:
    """Remove a model; what was done before is passed over.

    Raises
    ------
    CommandError
        It can't be removed now, something could not be stopped, or CloudFormation left something.
    """
    require_reason(reason)
    stack = found.stack
    if stack is None:
        _end_endpoint(account, found, say)
        return
    refused = refusal(stack, found.requests, now=now)
    if refused is not None:
        raise CommandError(*refused)
    person = account.client("sts").get_caller_identity()["Arn"]
    cause = f"{person} removes the model {found.model}: {reason}"
    _end_runs(account, found, stack, reason=reason, cause=cause, person=person, say=say)
    _end_endpoint(account, found, say)
    say(f"deleting the stack {stack.name}")
    # What began since would hold the deletion: a state machine goes once its executions have ended.
    stacks.delete(account, stack, lambda: _stop(account, stack, cause=cause))
    say(f"the stack {stack.name} is deleted")


def _end_endpoint(account: Account, found: Removal, say: Callable[[str], None]) -> None:
    """Before the stack goes: with it goes the role that the endpoint's containers run as."""
    if found.has_endpoints and delete_endpoint(account, found.model):
        for name in [*([found.endpoint.name] if found.endpoint else []), *found.of_versions]:
            say(f"the endpoint {name} is deleted")


def remove_platform(account: Account, stack: Stack, *, say: Callable[[str], None]) -> None:
    """Delete the platform's stack, once no model is left."""
    refused = refusal(stack)
    if refused is not None:
        raise CommandError(*refused)
    say(f"deleting the stack {stack.name}")
    stacks.delete(account, stack, lambda: None)
    say(f"the stack {stack.name} is deleted")


def _end_runs(
    account: Account, found: Removal, stack: Stack, *, reason: str, cause: str, person: str, say: Callable[[str], None]
) -> None:
    """Stop what runs, close its records, and record the removal."""
    for attempt in range(1, _ATTEMPTS + 1):
        for arn in _stop(account, stack, cause=cause):
            say(f"stopped {arn}")
        stop_jobs(account, found.jobs)
        try:
            _close(account, found.model, stack, reason=reason, person=person)
        except RunAlreadyActiveError:
            # The monitor's schedule, or a person, has started one since.
            if attempt == _ATTEMPTS:
                raise
        except NotDeployedError:
            if not found.is_half_there:
                raise
            say("its functions are not there (any more): the records stay as they are")
            return
        else:
            return


def _stop(account: Account, stack: Stack, *, cause: str) -> list[str]:
    """Stop all executions that run; their ARNs."""
    executions = running_executions(account, stack.of_type(STATE_MACHINE))
    stop_executions(account, executions, cause=cause)
    return executions


def _close(account: Account, model: str, stack: Stack, *, reason: str, person: str) -> None:
    store = account.registry(model)
    why = f"the model is removed: {reason}"
    active = store.runs.active()
    if active is not None:
        release_run(account, model, active.run_id, reason=why)
    for rollout in store.rollouts.all():
        if rollout.status == "canary":
            take_back(account, model, rollout.run_id, reason=why, only_canary=True)
    store.removals.begin(stack.stack_id, reason=reason, at=account.now(), actor=person)
