"""What a person types when an execution died in the middle of a rollout; the function behind it is the real one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result
from moto import mock_aws

from everloop.cli.exceptions import CommandError, NotDeployedError
from everloop.cli.main import everloop
from everloop.functions.rollout.handler import act
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda, refusal
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present
from tests.helpers.registry_scenes import BEGIN, at, close_run, open_run, register

MODEL = "flights"
PERSON = "arn:aws:iam::1:user/ann"


class NoSuchFunctionError(Exception):
    pass


class Account:
    """An account with a champion, version 1, in which ``train-2`` brings version 2 to its canary."""

    def __init__(self) -> None:
        self.executions: dict[str, str] = {}
        self.function, self.fails = FakeLambda(), False
        self.invoked: list[Any] = []
        self.missing = False
        self.store = remote_registry(dynamodb(), MODEL)
        self.conductor = Conductor(
            store=self.store,
            target=LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None),
            metrics=CloudWatchMetrics(FakeCloudWatch(), function="predict", alias="live", model=MODEL, slow_ms=800),
            announcer=Announcer(FakeEventBus(), "everloop"),
            declared=declare(binary_document()).rollout,
            artifact_bucket="artifacts",
        )
        self._train("train-1", minute=20)
        self.conductor.promote("train-1", at=at(30))
        self.conductor.retire("train-1", at=at(40))
        close_run(self.store, "train-1")
        self.old = present(self.store.versions.champion()).lambda_version
        self._train("train-2", minute=60)
        self.executions["train-2"] = "ABORTED"

    def _train(self, run_id: str, *, minute: int) -> None:
        open_run(self.store, run_id)
        version = register(self.store, run_id).version
        self.conductor.start(run_id, "train", version, at=at(minute))
        self.conductor.shift(run_id, -1, at=at(minute + 1))

    def promote(self) -> None:
        """Bring version 2 into its bake."""
        self.conductor.promote("train-2", at=at(70))

    @property
    def serving(self) -> dict[str, float]:
        return self.function.serving()

    # What the commands use of an account:

    def model(self, name: str) -> Any:
        return SimpleNamespace(state_machine_arn=f"arn:aws:states:us-east-1:1:stateMachine:everloop-{name}-pipeline")

    def registry(self, name: str) -> RegistryStore:
        assert name == MODEL
        return self.store

    def now(self) -> Any:
        return BEGIN + timedelta(hours=2)

    def client(self, service: str) -> Any:
        return {
            "sts": SimpleNamespace(get_caller_identity=lambda: {"Arn": PERSON}),
            "stepfunctions": SimpleNamespace(describe_execution=self._describe),
            "lambda": SimpleNamespace(
                invoke=self._invoke, exceptions=SimpleNamespace(ResourceNotFoundException=NoSuchFunctionError)
            ),
        }[service]

    def _describe(self, *, executionArn: str) -> dict[str, str]:
        machine, _, name = executionArn.rpartition(":")
        assert machine == "arn:aws:states:us-east-1:1:execution:everloop-flights-pipeline"
        if name not in self.executions:
            raise refusal("ExecutionDoesNotExist", "no", "DescribeExecution")
        return {"status": self.executions[name]}

    def _invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        if self.missing:
            raise NoSuchFunctionError
        assert FunctionName == "everloop-flights-rollout"
        self.invoked.append(json.loads(Payload))
        if self.fails:
            error = {"errorType": "AliasContendedError", "errorMessage": "predict:live was changed by someone else"}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(error).encode())}
        answer = act(self.invoked[-1], self.conductor)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with mock_aws():
        found = Account()
        for command in ("runs", "rollout"):
            monkeypatch.setattr(f"everloop.cli.commands.{command}.Account", lambda: found)
        assert len(found.serving) == 2
        yield found


def release(*more: str) -> Result:
    return CliRunner().invoke(everloop, ["runs", "release", MODEL, "train-2", "--reason", "it hung", *more])


def back(*more: str) -> Result:
    return CliRunner().invoke(everloop, ["rollout", "back", MODEL, "--reason", "it hung", *more])


class TestRelease:
    @pytest.mark.parametrize("execution", ["ABORTED", "TIMED_OUT", "FAILED", None])
    def test_takes_the_traffic_back_and_closes_the_run(self, account: Account, execution: str | None) -> None:
        # Step Functions has forgotten an execution after three months.
        account.executions = {"train-2": execution} if execution else {}
        found = release()
        assert found.exit_code == 0, found.output
        assert "version 2 is rolled_back" in found.output
        assert "run train-2 is released" in found.output
        assert account.serving == {account.old: 1}
        assert (account.store.versions.get(2).state, account.store.versions.get(1).state) == (
            State.EXPERIMENTING,
            State.PRODUCTION,
        )
        assert "rolled back by hand: it hung" in present(account.store.versions.get(2).reason)
        assert (account.store.runs.get("train-2").status, account.store.runs.active()) == ("released", None)
        records = {r.action: r.actor for r in account.store.ledger.audit_records() if r.run_id == "train-2"}
        assert (records["rolled_back"], records["run_closed"]) == (PERSON, PERSON)

    def test_again_changes_nothing(self, account: Account) -> None:
        release()
        head = account.store.ledger.audit_head()
        found = release("--json")
        assert found.exit_code == 0, found.output
        told = json.loads(found.output)
        assert (told["status"], told["taken_back"], told["rollout"]["status"]) == ("released", False, "rolled_back")
        assert account.store.ledger.audit_head() == head

    def test_of_a_run_whose_traffic_is_back_already_closes_it(self, account: Account) -> None:
        back()
        # GIVEN a step that was under way gave it some again
        new = account.store.rollouts.get("train-2").lambda_version
        account.function.alias["RoutingConfig"] = {"AdditionalVersionWeights": {new: 0.1}}
        assert release().exit_code == 0
        assert account.store.runs.get("train-2").status == "released"
        assert account.serving == {account.old: 1}

    def test_leaves_the_run_open_while_the_traffic_could_not_be_taken_back(self, account: Account) -> None:
        account.fails = True
        found = release()
        assert isinstance(found.exception, CommandError)
        assert "AliasContendedError: predict:live was changed by someone else" in found.exception.message
        assert present(account.store.runs.active()).run_id == "train-2"

    def test_leaves_what_was_promoted_where_it_is(self, account: Account) -> None:
        account.promote()
        serving = account.serving
        found = release()
        assert "version 2 was promoted and keeps serving" in found.output
        assert (account.serving, present(account.store.versions.champion()).version) == (serving, 2)
        assert account.store.runs.get("train-2").status == "released"

    def test_of_a_run_that_came_to_no_rollout_only_closes_it(self, account: Account) -> None:
        release()
        open_run(account.store, "train-3")
        invocations = len(account.invoked)
        found = CliRunner().invoke(everloop, ["runs", "release", MODEL, "train-3", "--reason", "lost"])
        assert found.exit_code == 0, found.output
        assert account.store.runs.get("train-3").status == "released"
        assert len(account.invoked) == invocations


@pytest.mark.parametrize("words", [("runs", "release", MODEL, "train-2"), ("rollout", "back", MODEL)])
def test_without_a_reason_nothing_is_done(account: Account, words: tuple[str, ...]) -> None:
    serving, head = account.serving, account.store.ledger.audit_head()
    found = CliRunner().invoke(everloop, [*words, "--reason", " "])
    assert isinstance(found.exception, CommandError)
    assert "--reason is empty" in found.exception.message
    assert (account.serving, account.store.ledger.audit_head(), account.invoked) == (serving, head, [])


@pytest.mark.parametrize("command", [release, back])
def test_a_running_execution_is_left_alone(account: Account, command: Any) -> None:
    account.executions["train-2"] = "RUNNING"
    serving, head = account.serving, account.store.ledger.audit_head()
    found = command()
    assert isinstance(found.exception, CommandError)
    assert "the execution of train-2 is running" in found.exception.message
    arn = "arn:aws:states:us-east-1:1:execution:everloop-flights-pipeline:train-2"
    assert f"aws stepfunctions stop-execution --execution-arn {arn}" in found.exception.remedy
    assert (account.serving, account.store.ledger.audit_head(), account.invoked) == (serving, head, [])


def test_another_failure_of_the_account_is_no_dead_execution(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> None:
        raise refusal("AccessDeniedException", "no", "DescribeExecution")

    monkeypatch.setattr(account, "_describe", denied)
    assert isinstance(release().exception, ClientError)
    assert account.invoked == []


class TestBack:
    def test_ends_a_canary_and_says_how_to_close_its_run(self, account: Account) -> None:
        found = back()
        assert found.exit_code == 0, found.output
        assert "the rollout of version 2 is rolled_back: version 1 has all traffic" in found.output
        assert f"everloop runs release {MODEL} train-2" in found.output
        assert account.serving == {account.old: 1}
        assert account.store.versions.get(2).state is State.EXPERIMENTING

    def test_ends_the_canary_of_a_run_that_closed_without_it(self, account: Account) -> None:
        close_run(account.store, "train-2", status="failed")
        found = back()
        assert account.serving == {account.old: 1}
        assert "runs release" not in found.output

    def test_undoes_a_promotion_in_its_bake(self, account: Account) -> None:
        account.promote()
        assert back().exit_code == 0
        assert account.serving == {account.old: 1}
        assert (present(account.store.versions.champion()).version, account.store.versions.get(1).state) == (
            1,
            State.PRODUCTION,
        )

    def test_again_finishes_what_is_left(self, account: Account) -> None:
        back()
        head = account.store.ledger.audit_head()
        # GIVEN a step that was under way moved the alias after it
        new = account.store.rollouts.get("train-2").lambda_version
        account.function.alias["RoutingConfig"] = {"AdditionalVersionWeights": {new: 0.1}}
        found = back("--json")
        assert found.exit_code == 0, repr(found.exception)
        assert json.loads(found.output)["status"] == "rolled_back"
        assert account.serving == {account.old: 1}
        assert account.store.ledger.audit_head() == head

    def test_without_a_rollout_there_is_nothing_to_take_back(self, account: Account) -> None:
        account.promote()
        account.conductor.retire("train-2", at=at(80))
        found = back()
        assert isinstance(found.exception, CommandError)
        assert "no version of flights is being rolled out" in found.exception.message
        assert account.invoked == []

    def test_of_a_model_without_its_function(self, account: Account) -> None:
        account.missing = True
        found = back()
        assert isinstance(found.exception, NotDeployedError)
        assert "everloop-flights-rollout" in found.exception.message
