"""What a removal says before it is done, and when it is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from everloop.cli.exceptions import CommandError, NotDeployedError
from everloop.cli.operations.removal import stacks
from everloop.cli.operations.removal.carry_out import remove
from everloop.cli.operations.removal.kept import ARCHIVE, Kept, _resource, log_roles, usd_of_objects
from everloop.cli.operations.removal.plan import Removal, does, monthly, refusal
from everloop.cli.operations.removal.running import Job, jobs_in_progress, stop_jobs
from everloop.cli.operations.removal.stacks import QUEUE, STATE_MACHINE, Resource, Stack
from everloop.registry.records import ActiveRun, Rollout
from tests.cli.operations.test_rollouts import Account as RolloutAccount
from tests.fakes.lambda_function import refusal as api_error
from tests.helpers.present import present

NOW = datetime(2013, 3, 1, tzinfo=UTC)
MACHINE = "arn:aws:states:us-east-1:1:stateMachine:everloop-flights-pipeline"
STACK = Stack(
    "EverloopModel-flights",
    "arn:aws:cloudformation:us-east-1:1:stack/EverloopModel-flights/4d",
    "UPDATE_COMPLETE",
    "",
    protected=False,
    model="flights",
    resources=(
        Resource("Machine", MACHINE, STATE_MACHINE, kept=False),
        Resource("Letters", "https://sqs/1/letters", QUEUE, kept=False),
        Resource("NotMade", "", QUEUE, kept=False),
    ),
)
QUIET = Removal("flights", STACK, [], [], None, [], 0, 0, [])


def rollout(status: str, version: int) -> Rollout:
    return Rollout(
        rollout_id=f"train-{version}",
        run_id=f"train-{version}",
        kind="version",
        version=version,
        lambda_version="7",
        code_sha256="c0de",
        fallback_lambda_version="6",
        started_at=NOW,
        model="flights",
        status=status,
    )


class TestRefusal:
    @pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
    def test_a_stack_at_rest_can_go(self, status: str) -> None:
        stack = dataclasses.replace(STACK, status=status)
        assert refusal(stack) is None
        assert not dataclasses.replace(QUIET, stack=stack).is_half_there

    @pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_COMPLETE"])
    def test_so_can_one_that_never_came_up_and_may_have_no_functions(self, status: str) -> None:
        stack = dataclasses.replace(STACK, status=status)
        assert refusal(stack) is None
        assert dataclasses.replace(QUIET, stack=stack).is_half_there

    @pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
    def test_one_that_somebody_deploys_can_not(self, status: str) -> None:
        refused = refusal(dataclasses.replace(STACK, status=status))
        assert refused is not None
        assert status in refused[0]
        assert "`aws cloudformation describe-stacks --stack-name EverloopModel-flights`" in refused[1]

    @pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "DELETE_FAILED"])
    def test_a_deletion_that_hangs_is_gone_on_with(self, status: str) -> None:
        stack = dataclasses.replace(STACK, status=status)
        assert refusal(stack) is None
        assert dataclasses.replace(QUIET, stack=stack).is_half_there

    def test_a_protected_one_says_how_the_protection_goes(self) -> None:
        refused = refusal(dataclasses.replace(STACK, protected=True))
        assert refused is not None
        assert "--no-enable-termination-protection --stack-name EverloopModel-flights" in refused[1]

    def test_rows_on_their_way_are_waited_for_or_given_up(self) -> None:
        refused = refusal(STACK, 1)
        assert refused is not None
        assert refused[0].startswith("flights: 1 request came within the last 20 minutes")
        assert "--now" in refused[1]
        assert refusal(STACK, 1, now=True) is None


class TestPlan:
    def test_of_a_quiet_model_only_its_stack_goes(self) -> None:
        ((what, sentence),) = does(QUIET)
        assert what == "deletes"
        assert sentence.startswith("the stack EverloopModel-flights (3 resources): its routes, functions, schedule")

    def test_all_that_runs_is_open_or_gets_lost_is_named(self) -> None:
        busy = dataclasses.replace(
            QUIET,
            executions=[f"{MACHINE.replace('stateMachine', 'execution')}:train-3"],
            jobs=[Job("training", "everloop-flights-train-3")],
            active_run=ActiveRun("flights", "train-3", "train", NOW),
            rollouts=[rollout("canary", 3), rollout("baking", 2)],
            requests=12,
            dead_letters=2,
        )
        assert [line for line in does(busy) if line[0] != "deletes"] == [
            ("stops", "the execution train-3"),
            ("stops", "the training job everloop-flights-train-3"),
            ("closes", "the run train-3, as released"),
            ("rolls back", "the canary of version 3: callers go to what served before"),
            ("ends", "the bake of version 2, which stays the champion"),
            ("loses", "2 events of the dead-letter queue"),
            ("may lose", "rows of 12 requests of the last 20 minutes that are on their way to the lake"),
        ]

    def test_of_a_run_that_nobody_may_close_any_more_it_is_said_how_it_is_closed_later(self) -> None:
        stack = dataclasses.replace(STACK, status="DELETE_FAILED")
        half = dataclasses.replace(QUIET, stack=stack, active_run=ActiveRun("flights", "train-3", "train", NOW))
        (closes,) = (sentence for what, sentence in does(half) if what == "closes")
        assert closes.startswith("the run train-3, as released, if its functions are there still; else")
        assert "`everloop runs release flights train-3 --reason WHY`" in closes

    def test_endpoints_of_versions_go_with_the_stack_or_after_it(self) -> None:
        name = "everloop-flights-v3-aaaaaa-bbbbbb"
        there = dataclasses.replace(QUIET, of_versions=[name])
        assert does(there)[0] == ("deletes", f"the serverless endpoint {name}")
        left = dataclasses.replace(there, stack=None)
        assert left.is_known
        assert does(left) == [("deletes", f"the serverless endpoint {name}")]

    def test_of_a_removed_model_nothing_is_done(self) -> None:
        gone = dataclasses.replace(QUIET, stack=None)
        assert does(gone) == []
        assert not gone.is_known
        kept = Kept("records", "the table t", "3 audit records", None, "the auditor's")
        assert dataclasses.replace(gone, kept=[kept]).is_known

    def test_what_has_no_price_of_its_own_costs_nothing_here(self) -> None:
        rows = Kept("rows", "s3://lake/history/", "1 object, 2.000 GB", 0.046, "")
        assert monthly([rows, Kept("records", "", "", None, "")]) == 0.046


def test_old_training_sets_cost_what_their_storage_class_does() -> None:
    recent, old = {"Size": 100 * 1024**3, "StorageClass": "STANDARD"}, {"Size": 1000 * 1024**3, "StorageClass": ARCHIVE}
    assert usd_of_objects([recent]) == pytest.approx(2.30)
    assert usd_of_objects([recent, old]) == pytest.approx(2.30 + 4.00)
    assert usd_of_objects([]) == 0.0


class Formation:
    """CloudFormation's part in a deletion: statuses as they come, the last one for ever."""

    def __init__(self, *statuses: str) -> None:
        self.statuses, self.deleted = list(statuses), 0

    def delete_stack(self, *, StackName: str) -> None:
        assert StackName == STACK.stack_id
        self.deleted += 1

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == "gone":
            raise api_error("ValidationError", f"Stack with id {StackName} does not exist", "DescribeStacks")
        if status == "denied":
            raise api_error("AccessDenied", "no", "DescribeStacks")
        return {"Stacks": [{"StackStatus": status, "StackStatusReason": "failed to delete: [Machine]"}]}

    def describe_stack_events(self, *, StackName: str) -> dict[str, Any]:
        left = {"LogicalResourceId": "Machine", "PhysicalResourceId": MACHINE, "ResourceStatus": "DELETE_FAILED"}
        of_stack = {**left, "LogicalResourceId": "EverloopModel-flights", "PhysicalResourceId": StackName}
        return {"StackEvents": [of_stack, {**left, "ResourceStatusReason": "it is DELETING"}]}


def account(**clients: Any) -> Any:
    return SimpleNamespace(client=lambda service: clients[service.replace("-", "_")])


class TestDeleting:
    @pytest.mark.parametrize("end", ["gone", "DELETE_COMPLETE"])
    def test_it_waits_until_the_stack_is_gone_and_stops_what_begins_meanwhile(self, end: str) -> None:
        formation, looks = Formation("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", end), []
        stacks.delete(account(cloudformation=formation), STACK, lambda: looks.append(1))
        assert (formation.deleted, len(looks)) == (1, 2)

    def test_what_is_left_is_named_with_its_reason(self) -> None:
        formation = Formation("DELETE_IN_PROGRESS", "DELETE_FAILED")
        with pytest.raises(CommandError) as caught:
            stacks.delete(account(cloudformation=formation), STACK, lambda: None)
        assert "DELETE_FAILED: failed to delete: [Machine]; Machine: it is DELETING" in caught.value.message

    def test_another_error_is_no_end(self) -> None:
        with pytest.raises(ClientError, match="AccessDenied"):
            stacks.delete(account(cloudformation=Formation("denied")), STACK, lambda: None)


class Jobs:
    """SageMaker's jobs in progress, of several models whose names begin alike."""

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.training = ["everloop-late-train-train-1", "everloop-late-train-too-train-1", "refit-late-train-train-1"]
        self.processing = ["everloop-late-train-probe-9", "everloop-late-train-by-hand"]

    def get_paginator(self, operation: str) -> Any:
        kind = operation.removeprefix("list_").removesuffix("_jobs")
        names = getattr(self, kind)

        def paginate(*, StatusEquals: str, NameContains: str) -> list[dict[str, Any]]:
            assert StatusEquals == "InProgress"
            found = [{f"{kind.title()}JobName": name} for name in names if NameContains in name]
            return [{f"{kind.title()}JobSummaries": found}]

        return SimpleNamespace(paginate=paginate)

    def stop_training_job(self, *, TrainingJobName: str) -> None:
        if TrainingJobName.startswith("refit-"):
            raise api_error("ValidationException", "the job is Stopping", "StopTrainingJob")
        self.stopped.append(TrainingJobName)

    def stop_processing_job(self, *, ProcessingJobName: str) -> None:
        self.stopped.append(ProcessingJobName)


def test_a_models_jobs_are_those_named_after_its_runs() -> None:
    sagemaker = Jobs()
    found = jobs_in_progress(account(sagemaker=sagemaker), "late_train", {"train-1", "probe-9"})
    assert [(job.kind, job.name) for job in found] == [
        ("training", "everloop-late-train-train-1"),
        ("training", "refit-late-train-train-1"),
        ("processing", "everloop-late-train-probe-9"),
    ]
    # One is being stopped already, with its execution.
    stop_jobs(account(sagemaker=sagemaker), found)
    assert sagemaker.stopped == ["everloop-late-train-train-1", "everloop-late-train-probe-9"]


class Leaving(RolloutAccount):
    """An account with a canary under way, whose execution runs, and which is to be removed."""

    def __init__(self, status: str = "UPDATE_COMPLETE") -> None:
        super().__init__()
        self.executions["train-2"] = "RUNNING"
        self.stopped: list[dict[str, str]] = []
        self.formation = Formation("DELETE_IN_PROGRESS", "gone")
        self.stack = dataclasses.replace(STACK, status=status)

    def client(self, service: str) -> Any:
        found = super().client(service) if service not in ("cloudformation", "sagemaker") else None
        if service == "stepfunctions":
            present(found).stop_execution = self._stop
            present(found).get_paginator = lambda _: SimpleNamespace(paginate=self._list)
        return {"cloudformation": self.formation, "sagemaker": SimpleNamespace()}.get(service, found)

    def _stop(self, *, executionArn: str, error: str, cause: str) -> None:
        self.stopped.append({"arn": executionArn, "error": error, "cause": cause})
        self.executions[executionArn.rsplit(":", 1)[1]] = "ABORTED"

    def _list(self, *, stateMachineArn: str, statusFilter: str) -> list[dict[str, Any]]:
        begin = f"{stateMachineArn.replace('stateMachine', 'execution')}:"
        return [
            {"executions": [{"executionArn": f"{begin}{n}"} for n, s in self.executions.items() if s == statusFilter]}
        ]

    def remove(self) -> None:
        found = dataclasses.replace(QUIET, stack=self.stack)
        remove(self, found, reason="no longer sold", now=False, say=lambda _: None)  # type: ignore[arg-type]  # a fake


@pytest.fixture
def in_moto() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.mark.usefixtures("in_moto")
class TestCarryingOut:
    def test_what_runs_is_stopped_the_canary_taken_back_and_all_of_it_recorded(self) -> None:
        leaving = Leaving()
        leaving.remove()
        (stopped,) = leaving.stopped
        assert stopped["error"] == "EverloopRemove"
        assert stopped["cause"].endswith("removes the model flights: no longer sold")
        assert leaving.serving == {leaving.old: 1}
        assert leaving.store.runs.get("train-2").status == "released"
        assert leaving.store.rollouts.get("train-2").status == "rolled_back"
        last = list(leaving.store.ledger.audit_records())[-1]
        assert (last.action, last.reason, last.details["stack_id"]) == (
            "removal_begun",
            "no longer sold",
            STACK.stack_id,
        )
        assert leaving.formation.deleted == 1

    def test_a_promotion_stays_and_its_bake_ends(self) -> None:
        leaving = Leaving()
        leaving.promote()
        leaving.remove()
        assert present(leaving.store.versions.champion()).version == 2
        assert leaving.store.rollouts.get("train-2").status == "removed"

    def test_typed_again_it_records_nothing_more(self) -> None:
        leaving = Leaving()
        leaving.remove()
        head = leaving.store.ledger.audit_head()
        leaving.remove()
        assert leaving.store.ledger.audit_head() == head

    def test_a_deletion_that_hangs_goes_on_without_the_functions(self) -> None:
        leaving = Leaving("DELETE_FAILED")
        leaving.missing = True
        leaving.remove()
        assert leaving.executions["train-2"] == "ABORTED"
        assert leaving.formation.deleted == 1

    def test_whose_traffic_can_not_be_taken_back_is_not_deleted(self) -> None:
        leaving = Leaving()
        leaving.missing = True
        with pytest.raises(NotDeployedError, match="everloop-flights-rollout"):
            leaving.remove()
        assert leaving.formation.deleted == 0


def test_the_role_that_a_rest_api_logs_by_stays_and_is_told() -> None:
    roles = (
        Resource("LogRole", "EverloopModel-flights-LogRole-1", "AWS::IAM::Role", kept=True),
        Resource("Account", "us-east-1", "AWS::ApiGateway::Account", kept=True),
        Resource("Predict", "EverloopModel-flights-Predict-1", "AWS::IAM::Role", kept=False),
        Resource("NotMade", "", "AWS::IAM::Role", kept=True),
    )
    (kept,) = log_roles(dataclasses.replace(STACK, resources=roles))
    assert (kept.what, kept.where, kept.usd_per_month) == ("log role", "EverloopModel-flights-LogRole-1", 0.0)
    assert "`aws iam delete-role --role-name EverloopModel-flights-LogRole-1`" in kept.way
    assert log_roles(STACK) == []


def test_the_key_that_signed_versions_stays_and_its_price_is_told() -> None:
    nobody: Any = None
    kept = _resource(nobody, Resource("SigningKey", "1234-abcd", "AWS::KMS::Key", kept=True))
    assert (kept.what, kept.where, kept.usd_per_month) == ("signing key", "1234-abcd", 1.0)
    assert "aws kms schedule-key-deletion --key-id 1234-abcd" in kept.way
