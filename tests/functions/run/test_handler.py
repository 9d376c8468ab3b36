from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from everloop.busy_services import ServiceBusyError
from everloop.environment import MissingSettingError
from everloop.functions.run import handler
from everloop.functions.run.handler import Services, act
from everloop.instants import instant_text, parse_instant
from everloop.registry import QuotaExceededError, RunAlreadyActiveError, State
from everloop.registry.trace import verify_audit
from everloop.typed_json import as_json
from tests.fakes.registry_function import FakeRegistryFunction, remote_registry
from tests.fakes.registry_table import dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.registry_scenes import TRIGGER, crown, register, text_at


@pytest.fixture
def using() -> Iterator[Services]:
    with mock_aws():
        store = remote_registry(dynamodb(), "flights")
        declaration = declare(binary_document(retraining={"quota": {"runs": 2, "days": 7}}))
        yield Services(store, declaration, "artifacts")


def opening(execution: str, kind: str = "train", when: float = 0) -> dict[str, Any]:
    asked = {"model": "flights", "kind": kind, "trigger": as_json(TRIGGER)}
    return {"action": "open", "execution": execution, "at": text_at(when), "input": asked}


def closing(execution: str, status: str, cause: str | None = None) -> dict[str, Any]:
    return {"action": "close", "execution": execution, "at": text_at(60), "status": status, "cause": cause}


def test_opens_a_run_without_a_champion(using: Services):
    assert act(opening("train-0123456789abcdef"), using) == {
        "run_id": "train-0123456789abcdef",
        "model": "flights",
        "kind": "train",
        "as_of": text_at(0),
        "started_at": text_at(0),
        "champion": None,
        "champion_uri": "none",
    }


def test_names_the_champion_that_the_candidate_has_to_beat(using: Services):
    crown(using.store, "train-1")
    answer = act(opening("train-2"), using)
    uri = "s3://artifacts/artifacts/flights/000001/"
    assert answer["champion"] == {"version": 1, "artifact_uri": uri}
    assert answer["champion_uri"] == uri
    assert using.store.versions.get(1).state is State.RETRAINING


def test_a_repeated_delivery_gives_the_same_answer(using: Services):
    first = act(opening("train-1"), using)
    assert act(opening("train-1", when=3), using) == first


def by_hand(execution: str, when: float, kind: str = "train") -> dict[str, Any]:
    trigger = {"kind": "manual", "reason": "new stations", "requested_at": text_at(when), "window_end": None}
    event = opening(execution, kind=kind, when=when)
    return {**event, "input": {**event["input"], "trigger": trigger}}


class TestWhatCouldNotStart:
    def test_what_a_person_asked_for_is_kept_once(self, using: Services):
        act(opening("train-1"), using)
        for _ in range(2):
            with pytest.raises(RunAlreadyActiveError):
                act(by_hand("train-2", when=5), using)
        (kept,) = using.store.kept_requests.all()
        assert (kept.request_id, kept.trigger["reason"], instant_text(kept.kept_at)) == (
            "train-2",
            "new stations",
            text_at(5),
        )
        assert "run train-1 has been active" in kept.held_by
        entries = [r for r in using.store.ledger.audit_records() if r.action == "request_kept"]
        assert [(e.reason, e.details["request_id"], e.details["via"]) for e in entries] == [
            ("new stations", "train-2", "run")
        ]
        assert verify_audit(using.store).sound

    def test_so_is_what_the_quota_refuses(self, using: Services):
        for number in (1, 2):
            act(opening(f"train-{number}", when=number), using)
            act(closing(f"train-{number}", "rejected"), using)
        with pytest.raises(QuotaExceededError):
            act(by_hand("train-3", when=61), using)
        assert "quota" in using.store.kept_requests.find("train-3").held_by

    def test_a_window_and_a_smoke_run_are_not(self, using: Services):
        """The next window looks at the first again; the second is asked for anew by its schedule."""
        act(opening("train-1"), using)
        windowed = opening("train-2", when=5)
        windowed["input"]["trigger"] = as_json({**TRIGGER, "window_end": parse_instant("2013-03-01T00:00:00Z")})
        for event in (windowed, by_hand("smoke-1", when=5, kind="smoke")):
            with pytest.raises(RunAlreadyActiveError):
                act(event, using)
        assert using.store.kept_requests.all() == []

    def test_a_run_that_opened_is_kept_nowhere(self, using: Services):
        act(by_hand("train-1", when=0), using)
        assert using.store.kept_requests.all() == []


FAILED_SCRIPT = 'States.TaskFailed: {"FailureReason":"AlgorithmError: train.py, line 3: boom"}'


def test_errors_carry_the_names_the_pipeline_catches(using: Services):
    act(opening("train-1"), using)
    with pytest.raises(RunAlreadyActiveError):
        act(opening("train-2"), using)
    act(closing("train-1", "rejected"), using)
    act(opening("train-2"), using)
    act(closing("train-2", "failed", FAILED_SCRIPT), using)
    with pytest.raises(QuotaExceededError, match="quota is 2"):
        act(opening("train-3"), using)
    assert act(opening("smoke-1", kind="smoke"), using)["run_id"] == "smoke-1"


@pytest.mark.parametrize("end", ["yesterday", 3, "2013-03-01T00:00:00"])
def test_a_trigger_of_no_instant_opens_nothing(using: Services, end: object):
    event = opening("by-hand")
    event["input"]["trigger"]["window_end"] = end
    with pytest.raises(ValueError, match=r"execution by-hand, .*: trigger.window_end.*; `everloop train` gives both"):
        act(event, using)
    assert using.store.runs.all() == []


@pytest.mark.parametrize("asked", [{"trigger": "manual"}, {"trigger": None}, {"kind": "training"}, {"kind": None}])
def test_an_execution_started_by_hand_with_another_input_opens_nothing(using: Services, asked: dict[str, Any]):
    event = opening("by-hand")
    with pytest.raises(ValueError, match=r"execution by-hand, .*: (kind|trigger) is .*; `everloop train` gives both"):
        act({**event, "input": {**event["input"], **asked}}, using)
    assert using.store.runs.active() is None
    assert using.store.runs.all() == []


@pytest.mark.parametrize("fault", ["throttled", "before", "after", "ended"])
def test_a_registry_function_that_is_busy_is_asked_again_by_the_pipeline(fault: str):
    """Whether the command arrived or not; the second try finds out."""
    with mock_aws():
        client = dynamodb()
        function = FakeRegistryFunction(client, "flights")
        using = Services(remote_registry(client, "flights", function=function), declare(binary_document()), "artifacts")
        function.faults = [fault]
        with pytest.raises(ServiceBusyError):
            act(opening("train-1"), using)
        assert act(opening("train-1"), using)["run_id"] == "train-1"
        assert [r.action for r in using.store.ledger.audit_records()] == ["run_opened"]


def test_closes_once(using: Services):
    act(opening("train-1"), using)
    assert act(closing("train-1", "failed", "the job died"), using) == {"status": "failed"}
    assert act(closing("train-1", "succeeded"), using) == {"status": "failed"}
    assert using.store.runs.get("train-1").cause == "the job died"


def test_a_run_that_never_trained_costs_none_of_the_quota(using: Services):
    for index in range(3):
        act(opening(f"train-{index}"), using)
        act({**closing(f"train-{index}", "failed", "no such bucket"), "trained": False}, using)
    assert not using.store.runs.get("train-2").trained
    act(opening("train-3"), using)


NO_FAULT_OF_THE_MODEL = [
    'States.TaskFailed: {"FailureReason":"InternalServerError: We encountered an internal error. Please try again."}',
    'States.TaskFailed: {"FailureReason":"CapacityError: Unable to provision requested ML compute capacity."}',
    "SageMaker.ResourceLimitExceededException: The account-level service limit 'ml.m5.large for processing job usage'",
    "SageMaker.AmazonSageMakerException: Rate exceeded",
    "States.Timeout: ",
    "Lambda.Unknown: The cause could not be determined",
    'States.TaskFailed: {"SecondaryStatus":"Stopped","StoppingCondition":{"MaxRuntimeInSeconds":60}}',
    "the job died",
]
FAULT_OF_THE_MODEL = [
    FAILED_SCRIPT,
    'States.TaskFailed: {"ProcessingJobName":"e","FailureReason":"AlgorithmError: , exit code: 1","ExitMessage":"no"}',
    'States.TaskFailed: {"FailureReason": "ClientError: Data download failed", "Cut',
    'States.TaskFailed: {"SecondaryStatus":"MaxRuntimeExceeded","StoppingCondition":{"MaxRuntimeInSeconds":60}}',
]


@pytest.mark.parametrize("cause", NO_FAULT_OF_THE_MODEL)
def test_a_run_that_broke_by_no_fault_of_the_models_is_none_of_the_quotas(using: Services, cause: str):
    act(opening("train-1"), using)
    act(closing("train-1", "failed", cause), using)
    assert not using.store.runs.get("train-1").trained


@pytest.mark.parametrize("cause", FAULT_OF_THE_MODEL)
def test_a_run_that_broke_by_the_models_fault_is_one_of_the_quotas(using: Services, cause: str):
    act(opening("train-1"), using)
    act(closing("train-1", "failed", cause), using)
    assert using.store.runs.get("train-1").trained


def test_a_run_that_came_to_a_version_is_one_of_the_quotas_whatever_broke_it(using: Services):
    act(opening("train-1"), using)
    register(using.store, "train-1")
    act(closing("train-1", "failed", NO_FAULT_OF_THE_MODEL[0]), using)
    assert using.store.runs.get("train-1").trained


def test_a_rolled_back_run_says_why(using: Services):
    act(opening("train-1"), using)
    reasons = [{"code": code, "sentence": f"{code} is too high"} for code in ("error_rate", "p99_latency")]
    act({**closing("train-1", "rolled_back"), "reasons": reasons}, using)
    assert using.store.runs.get("train-1").cause == "error_rate is too high; p99_latency is too high"


def test_an_action_that_does_not_exist(using: Services):
    with pytest.raises(ValueError, match="open and close"):
        act({"action": "pause"}, using)


def test_a_function_without_its_settings_says_which(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("EVERLOOP_TABLE", raising=False)
    handler.services.cache_clear()
    with pytest.raises(MissingSettingError, match="EVERLOOP_TABLE"):
        handler.services()
