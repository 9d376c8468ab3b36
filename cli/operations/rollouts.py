"""Take the traffic of a rollout back whose execution is dead.

The rollout function does it, as it does for the pipeline: it alone may move the alias, so whoever types this needs
no more than the permission to invoke it.
"""

from __future__ import annotations

import json
from typing import TypeVar

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import DEPLOY_REMEDY, CommandError, NotDeployedError
from everloop.cli.operations.training import execution_arn
from everloop.instants import format_instant
from everloop.names import ModelNames
from everloop.registry.causes import readable_cause
from everloop.registry.own_labels import OwnLabels, own_labels, windows_since
from everloop.registry.records import Rollout
from everloop.registry.store import RegistryStore
from everloop.rollout.drill import Drilled
from everloop.rollout.reconciler import Reconciled
from everloop.typed_json import JsonObject, read_as

Told = TypeVar("Told")


def own_labels_by_version(store: RegistryStore, numbers: set[int]) -> dict[int, OwnLabels]:
    """What the labels of its own answers say of each of these versions, from one reading of the windows."""
    versions = [store.versions.get(number) for number in sorted(numbers)]
    windows = windows_since(versions[0].created_at, store.windows.latest) if versions else []
    return {version.version: own_labels(windows, version.version) for version in versions}


def refuse_while_running(account: Account, model: str, run_id: str) -> None:
    """Refuse to interfere with an execution that runs: it moves the traffic itself, and would do so again.

    Raises
    ------
    CommandError
        While it runs; with how to stop it.
    """
    arn = execution_arn(account, model, run_id)
    try:
        status = account.client("stepfunctions").describe_execution(executionArn=arn)["status"]
    except ClientError as error:
        # Step Functions forgets executions three months after their end.
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return
    if status == "RUNNING":
        raise CommandError(
            f"the execution of {run_id} is running, and its guardrail decides",
            f"`everloop rollback {model} --reason …` rolls back while it runs; this command is for an execution that is"
            f" dead, or stopped: `aws stepfunctions stop-execution --execution-arn {arn}`",
        )


def rollout_to_take_back(account: Account, model: str) -> Rollout:
    """The rollout that is under way, or the last one when it was taken back already: finishing that is harmless.

    Raises
    ------
    CommandError
        When nothing is being rolled out.
    """
    rollouts = account.registry(model).rollouts.all()
    found = next((r for r in rollouts if r.is_open), None)
    if found is None and rollouts and rollouts[0].status == "rolled_back":
        found = rollouts[0]
    if found is None:
        raise CommandError(
            f"no version of {model} is being rolled out",
            f"`everloop rollout status {model}` lists past rollouts; `everloop trace {model}` says what serves",
        )
    return found


def require_reason(reason: str) -> None:
    """Refuse an empty reason.

    Raises
    ------
    CommandError
    """
    if not reason.strip():
        raise CommandError("--reason is empty", "give a reason: the audit chain stores it")


def take_back(account: Account, model: str, run_id: str, *, reason: str, only_canary: bool = False) -> None:
    """Give the traffic of a run's rollout back to what served before.

    With ``only_canary`` a promotion stays, also one that comes in this very moment.

    May be repeated: what is rolled back already stays so.

    Raises
    ------
    NotDeployedError
        When the model has no rollout function.
    CommandError
        When the reason is empty, or the function fails; then with its own words.
    """
    require_reason(reason)
    person = account.client("sts").get_caller_identity()["Arn"]
    event = {
        "action": "rollback",
        "run": {"run_id": run_id},
        "reasons": [{"code": "taken_back", "sentence": f"rolled back by hand: {reason}"}],
        "at": format_instant(account.now()),
        "actor": person,
        "only_canary": only_canary,
    }
    ask_rollout_function(account, model, event, undone=f"did not roll back the traffic of {run_id}")


def open_rollout(account: Account, model: str, *, canary: bool = False) -> Rollout:
    """The rollout that is under way.

    Parameters
    ----------
    canary : bool
        It must not be promoted yet.

    Raises
    ------
    CommandError
        When there is none.
    """
    rollouts = account.registry(model).rollouts.all()
    found = next((r for r in rollouts if r.is_open), None)
    if found is None:
        raise CommandError(
            f"no version of {model} is being rolled out",
            f"`everloop rollout status {model}` lists past rollouts; `everloop restore {model} VERSION --reason …`"
            " brings an older version back",
        )
    if canary and found.status != "canary":
        raise CommandError(
            f"version {found.version} of {model} is promoted already",
            f"`everloop rollback {model} --reason …` undoes a promotion while its bake lasts",
        )
    return found


def hold_or_go_on(account: Account, model: str, rollout_id: str, action: str, *, reason: str) -> JsonObject:
    """``pause`` or ``resume`` a rollout; its record.

    Raises
    ------
    NotDeployedError
        When the model has no rollout function.
    CommandError
        When the reason is empty, or the function refuses; then with its own words.
    """
    require_reason(reason)
    event = {
        "action": action,
        "rollout": {"rollout_id": rollout_id},
        "reason": reason,
        "at": format_instant(account.now()),
        "actor": account.client("sts").get_caller_identity()["Arn"],
    }
    return ask_rollout_function(account, model, event, undone=f"did not {action} the rollout {rollout_id}")


def reconcile(account: Account, model: str) -> Reconciled:
    """Have what is deployed held against the registry now.

    Raises
    ------
    NotDeployedError
        When the model has no rollout function.
    CommandError
        When it fails; with its own words.
    """
    return _by_hand(Reconciled, account, model, "reconcile", undone="did not look at what is deployed")


def drill(account: Account, model: str) -> Drilled:
    """Have a rollback tried now.

    Raises
    ------
    NotDeployedError
        When the model has no rollout function.
    CommandError
        When it fails; with its own words.
    """
    return _by_hand(Drilled, account, model, "drill", undone="did not drill a rollback")


def _by_hand(kind: type[Told], account: Account, model: str, action: str, *, undone: str) -> Told:
    """Have done at once, for whoever asks, what a schedule has done."""
    person = account.client("sts").get_caller_identity()["Arn"]
    event = {"action": action, "at": format_instant(account.now()), "actor": person}
    answer = ask_rollout_function(account, model, event, undone=undone)
    return read_as(kind, answer, "answer of the rollout function", DEPLOY_REMEDY)


def ask_rollout_function(account: Account, model: str, event: JsonObject, *, undone: str) -> JsonObject:
    """What the rollout function answers a person.

    Parameters
    ----------
    undone : str
        What it did not do where it fails, for the error.

    Raises
    ------
    NotDeployedError
        When the model has no rollout function.
    CommandError
        When it fails; with its own words.
    """
    function = ModelNames(model).function("rollout")
    client = account.client("lambda")
    try:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    except client.exceptions.ResourceNotFoundException as error:
        raise NotDeployedError(f"there is no function {function}", f"deploy the model: {DEPLOY_REMEDY}") from error
    document: JsonObject = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        cause = readable_cause(f"{document.get('errorType')}: {json.dumps(document)}")
        raise CommandError(
            f"{function} {undone}: {cause}",
            f"repeat this command; the function's log group is /aws/lambda/{function}",
        )
    return document
