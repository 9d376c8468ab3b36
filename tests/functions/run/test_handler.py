from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from everloop.busy_services import ServiceBusyError
from everloop.documents.records import TrainingUpdate
from everloop.environment import MissingSettingError
from everloop.functions.run import handler
from everloop.functions.run.handler import Services
from everloop.functions.run.handler import act as handle
from everloop.instants import instant_text, parse_instant
from everloop.manifest import ESTIMATOR, Manifest, file_entries, sha256_hex
from everloop.registry.exceptions import (
    NotRestorableError,
    ParentRefusedError,
    QuotaExceededError,
    RunAlreadyActiveError,
)
from everloop.registry.records import Probe
from everloop.registry.states import State
from everloop.registry.trace import verify_audit
from everloop.typed_json import DocumentRefusedError, as_json
from tests.everloop.registry.test_waivers import BOB, CLEO, NOT_BETTER, WHY, refused
from tests.fakes.registry_function import FakeRegistryFunction, remote_registry
from tests.fakes.registry_table import dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import EVERY_DAYS, FIRST, probe_document
from tests.helpers.present import present
from tests.helpers.registry_scenes import TRIGGER, at, crown, register, text_at


def act(event: Any, using: Services) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


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


def test_opens_a_run_without_a_champion(using: Services) -> None:
    assert act(opening("train-0123456789abcdef"), using) == {
        "run_id": "train-0123456789abcdef",
        "model": "flights",
        "kind": "train",
        "as_of": text_at(0),
        "started_at": text_at(0),
        "champion": None,
        "champion_uri": "none",
        "training_days": None,
    }


def test_names_the_champion_that_the_candidate_has_to_beat(using: Services) -> None:
    crown(using.store, "train-1")
    answer = act(opening("train-2"), using)
    uri = "s3://artifacts/artifacts/flights/000001/"
    assert answer["champion"] == {"version": 1, "artifact_uri": uri}
    assert answer["champion_uri"] == uri
    assert using.store.versions.get(1).state is State.RETRAINING


SPANS = declare(
    binary_document(
        data={"training_spans": [14]},
        retraining={
            "investment": {"every_days": EVERY_DAYS},
            "quota": {"runs": 2, "days": 7},
            "cooldown_days": 14,
        },
    )
)


def probed(using: Services) -> Services:
    """The same, of a model whose probes of the newest fortnight have lost less in the three windows before."""
    for window in (-3, -2, -1):
        document = probe_document(window, spans={14: [0.4, 0.41, 0.39, 0.4, 0.42, 0.38, 0.4]})
        end = document["window_end"]
        using.store.probes.put(Probe("flights", end, f"s3://lake/probes/{window}/", end, document))
    return replace(using, declaration=SPANS)


def test_a_training_learns_from_the_span_that_evidence_chose(using: Services) -> None:
    using, when = probed(using), (FIRST - parse_instant(text_at(0))) / timedelta(minutes=1) + 2 * 24 * 60
    for kind, execution in (("train", "train-1"), ("smoke", "smoke-1")):
        answer = act(opening(execution, kind=kind, when=when), using)
        assert answer["training_days"] == 14
        # THEN the run keeps why, and the chain by which probes
        run = using.store.runs.get(execution)
        assert run.training_span is not None
        assert run.training_span["reason"]["sentence"].startswith("The newest 14 days alone, and no older rows: ")
        told: Any
        (told,) = [r.details for r in using.store.ledger.audit_records() if r.run_id == execution]
        assert told["training_span"] == as_json(run.training_span)
        assert len(told["training_span"]["probes"]) == 3
        act({**closing(execution, "rejected"), "at": answer["as_of"]}, using)
    # WHEN a version is only rolled out again, THEN nothing learns
    rollout = act(opening("rollout-1", kind="rollout", when=when + 1), using)
    assert rollout["training_days"] is None
    assert using.store.runs.get("rollout-1").training_span is None


def test_the_candidates_manifest_names_the_span(using: Services) -> None:
    using, when = probed(using), (FIRST - parse_instant(text_at(0))) / timedelta(minutes=1) + 2 * 24 * 60
    act(opening("train-1", when=when), using)
    version = register(using.store, "train-1")
    of = Manifest(
        model="flights",
        version=1,
        run_id="train-1",
        snapshot_hash=version.snapshot_hash,
        code_sha256=version.code_sha256,
        created_at=version.created_at,
        files=file_entries(version.files),
        training_days=14,
    )
    assert version.manifest_sha256 == of.sha256
    assert verify_audit(using.store).sound


def test_without_probes_a_training_learns_from_all_rows(using: Services) -> None:
    answer = act(opening("train-1"), replace(using, declaration=SPANS))
    assert answer["training_days"] is None
    span = using.store.runs.get("train-1").training_span
    assert span is not None
    assert span["reason"]["code"] == "span_unknown"


def test_a_repeated_delivery_gives_the_same_answer(using: Services) -> None:
    first = act(opening("train-1"), using)
    assert act(opening("train-1", when=3), using) == first


def by_hand(execution: str, when: float, kind: str = "train") -> dict[str, Any]:
    trigger = {"kind": "manual", "reason": "new stations", "requested_at": text_at(when), "window_end": None}
    event = opening(execution, kind=kind, when=when)
    return {**event, "input": {**event["input"], "trigger": trigger}}


class TestWhatCouldNotStart:
    def test_what_a_person_asked_for_is_kept_once(self, using: Services) -> None:
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

    def test_so_is_what_the_quota_refuses(self, using: Services) -> None:
        for number in (1, 2):
            act(opening(f"train-{number}", when=number), using)
            act(closing(f"train-{number}", "rejected"), using)
        with pytest.raises(QuotaExceededError):
            act(by_hand("train-3", when=61), using)
        assert "quota" in present(using.store.kept_requests.find("train-3")).held_by

    def test_a_window_and_a_smoke_run_are_not(self, using: Services) -> None:
        """The next window looks at the first again; the second is asked for anew by its schedule."""
        act(opening("train-1"), using)
        windowed = opening("train-2", when=5)
        windowed["input"]["trigger"] = as_json({**TRIGGER, "window_end": parse_instant("2013-03-01T00:00:00Z")})
        for event in (windowed, by_hand("smoke-1", when=5, kind="smoke")):
            with pytest.raises(RunAlreadyActiveError):
                act(event, using)
        assert using.store.kept_requests.all() == []

    def test_a_run_that_opened_is_kept_nowhere(self, using: Services) -> None:
        act(by_hand("train-1", when=0), using)
        assert using.store.kept_requests.all() == []


FAILED_SCRIPT = 'States.TaskFailed: {"FailureReason":"AlgorithmError: train.py, line 3: boom"}'


def test_errors_carry_the_names_the_pipeline_catches(using: Services) -> None:
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
def test_a_trigger_of_no_instant_opens_nothing(using: Services, end: object) -> None:
    event = opening("by-hand")
    event["input"]["trigger"]["window_end"] = end
    with pytest.raises(ValueError, match=r"execution by-hand, .*: trigger.window_end.*; `everloop train` gives both"):
        act(event, using)
    assert using.store.runs.all() == []


@pytest.mark.parametrize("asked", [{"trigger": "manual"}, {"trigger": None}, {"kind": "training"}, {"kind": None}])
def test_an_execution_started_by_hand_with_another_input_opens_nothing(using: Services, asked: dict[str, Any]) -> None:
    event = opening("by-hand")
    with pytest.raises(ValueError, match=r"execution by-hand, .*: (kind|trigger) is .*; `everloop train` gives both"):
        act({**event, "input": {**event["input"], **asked}}, using)
    assert using.store.runs.active() is None
    assert using.store.runs.all() == []


@pytest.mark.parametrize("fault", ["throttled", "before", "after", "ended"])
def test_a_registry_function_that_is_busy_is_asked_again_by_the_pipeline(fault: str) -> None:
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


def test_closes_once(using: Services) -> None:
    act(opening("train-1"), using)
    assert act(closing("train-1", "failed", "the job died"), using) == {"status": "failed"}
    assert act(closing("train-1", "succeeded"), using) == {"status": "failed"}
    assert using.store.runs.get("train-1").cause == "the job died"


@pytest.mark.slow
def test_a_run_that_never_trained_costs_none_of_the_quota(using: Services) -> None:
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
    'States.TaskFailed: {"SecondaryStatus":"MaxWaitTimeExceeded","StoppingCondition":{"MaxRuntimeInSeconds":60}}',
    "the job died",
]
FAULT_OF_THE_MODEL = [
    FAILED_SCRIPT,
    'States.TaskFailed: {"ProcessingJobName":"e","FailureReason":"AlgorithmError: , exit code: 1","ExitMessage":"no"}',
    'States.TaskFailed: {"FailureReason": "ClientError: Data download failed", "Cut',
    'States.TaskFailed: {"SecondaryStatus":"MaxRuntimeExceeded","StoppingCondition":{"MaxRuntimeInSeconds":60}}',
]


@pytest.mark.parametrize("cause", NO_FAULT_OF_THE_MODEL)
def test_a_run_that_broke_by_no_fault_of_the_models_is_none_of_the_quotas(using: Services, cause: str) -> None:
    act(opening("train-1"), using)
    act(closing("train-1", "failed", cause), using)
    assert not using.store.runs.get("train-1").trained


@pytest.mark.parametrize("cause", FAULT_OF_THE_MODEL)
def test_a_run_that_broke_by_the_models_fault_is_one_of_the_quotas(using: Services, cause: str) -> None:
    act(opening("train-1"), using)
    act(closing("train-1", "failed", cause), using)
    assert using.store.runs.get("train-1").trained


def test_a_run_that_came_to_a_version_is_one_of_the_quotas_whatever_broke_it(using: Services) -> None:
    act(opening("train-1"), using)
    register(using.store, "train-1")
    act(closing("train-1", "failed", NO_FAULT_OF_THE_MODEL[0]), using)
    assert using.store.runs.get("train-1").trained


def test_a_rolled_back_run_says_why(using: Services) -> None:
    act(opening("train-1"), using)
    reasons = [{"code": code, "sentence": f"{code} is too high"} for code in ("error_rate", "p99_latency")]
    act({**closing("train-1", "rolled_back"), "reasons": reasons}, using)
    assert using.store.runs.get("train-1").cause == "error_rate is too high; p99_latency is too high"


def test_an_action_that_does_not_exist(using: Services) -> None:
    with pytest.raises(ValueError, match="open and close"):
        act({"action": "pause"}, using)


def test_a_function_without_its_settings_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERLOOP_TABLE", raising=False)
    handler.services.cache_clear()
    with pytest.raises(MissingSettingError, match="EVERLOOP_TABLE"):
        handler.services()


class TestBringingBack:
    """GIVEN version 1, which was replaced by version 2."""

    @pytest.fixture
    def replaced(self, using: Services) -> Services:
        crown(using.store, "train-1")
        crown(using.store, "train-2")
        return using

    def restoring(self, version: int | None, **changes: Any) -> dict[str, Any]:
        event = opening("restore-1", kind="restore", when=60)
        asked = {**event["input"]["trigger"], **({} if version is None else {"version": version}), **changes}
        return {**event, "input": {**event["input"], "trigger": asked}}

    def test_the_run_says_which_version_by_which_files_and_who_asked(self, replaced: Services) -> None:
        answer = act(self.restoring(1), replaced)
        version = replaced.store.versions.get(1)
        assert answer["older"] == {
            "version": 1,
            "artifact_uri": "s3://artifacts/artifacts/flights/000001/",
            "manifest_sha256": version.manifest_sha256,
            "asked_for": True,
        }
        assert present(answer["champion"])["version"] == 2
        assert act(self.restoring(1), replaced) == answer
        # Nothing is trained: the champion stays where it is, and the quota of two is used up by the trainings alone.
        assert replaced.store.versions.get(2).state is State.PRODUCTION

    @pytest.mark.slow
    def test_what_the_monitor_asks_for_names_its_window(self, replaced: Services) -> None:
        answer = act(self.restoring(1, kind="older_version", window_end=text_at(0)), replaced)
        assert not answer["older"]["asked_for"]

    def test_a_version_that_the_gate_refused_comes_with_its_waivers(self, using: Services) -> None:
        refused(using.store, NOT_BETTER)
        restoring = {**self.restoring(2, started_by=CLEO), "at": text_at(90)}
        with pytest.raises(NotRestorableError, match="have these reasons waived"):
            act(restoring, using)
        using.store.waivers.grant("train-2", code="better_than_champion", why=WHY, until=at(100), at=at(80), actor=BOB)
        answer = act(restoring, using)
        told = {"code": "better_than_champion", "until": text_at(100), "by": BOB, "why": WHY}
        assert answer["older"]["waived"] == [told]

    @pytest.mark.slow
    @pytest.mark.parametrize("version", [2, None])
    def test_what_may_not_come_back_opens_nothing_and_is_not_kept(
        self, replaced: Services, version: int | None
    ) -> None:
        with pytest.raises(NotRestorableError):
            act(self.restoring(version), replaced)
        assert replaced.store.runs.active() is None
        assert replaced.store.kept_requests.all() == []


WARM = declare(binary_document(training={"warm_start": {}}, retraining={"quota": {"runs": 5, "days": 7}}))
KEPT = {ESTIMATOR: b"kept"}


def asking_warm(execution: str, **changes: Any) -> dict[str, Any]:
    event = opening(execution, **changes)
    event["input"]["trigger"]["update"] = "warm"
    return event


class TestWarmStart:
    @pytest.mark.slow
    def test_a_training_that_is_asked_to_continues_the_champion(self, using: Services) -> None:
        using = replace(using, declaration=WARM)
        crown(using.store, "train-1", contents=KEPT)
        answer = act(asking_warm("train-2"), using)
        assert answer["parent"] == {
            "version": 1,
            "estimator_uri": "s3://artifacts/artifacts/flights/000001/estimator.zip",
            "estimator_sha256": sha256_hex(b"kept"),
        }
        # THEN run and chain say so
        run = using.store.runs.get("train-2")
        assert run.update is not None
        assert (run.update["kind"], run.update["parent"]) == ("warm", 1)
        told: Any
        (told,) = [
            r.details for r in using.store.ledger.audit_records() if r.run_id == "train-2" and "trigger" in r.details
        ]
        assert told["update"] == run.update
        assert told["trigger"]["update"] == "warm"

    def test_a_training_that_is_not_asked_to_does_not(self, using: Services) -> None:
        using = replace(using, declaration=WARM)
        crown(using.store, "train-1", contents=KEPT)
        assert "parent" not in act(opening("train-2"), using)
        assert using.store.runs.get("train-2").update is None

    @pytest.mark.parametrize(
        ("declaration", "contents", "code"),
        [
            (WARM, {}, "warm_start_no_estimator"),
            (declare(binary_document()), KEPT, "warm_start_undeclared"),
            (WARM, None, "warm_start_no_champion"),
        ],
    )
    def test_where_nothing_can_be_continued_it_is_trained_in_full_and_says_why(
        self, using: Services, declaration: Any, contents: dict[str, bytes] | None, code: str
    ) -> None:
        if contents is not None:
            crown(using.store, "train-1", contents=contents)
        answer = act(asking_warm("train-2"), replace(using, declaration=declaration))
        assert "parent" not in answer
        run = using.store.runs.get("train-2")
        assert run.update is not None
        assert (run.update["kind"], run.update["reason"]["code"]) == ("full", code)

    def test_another_word_is_refused(self, using: Services) -> None:
        event = opening("train-2")
        event["input"]["trigger"]["update"] = "lukewarm"
        with pytest.raises(DocumentRefusedError, match="lukewarm"):
            act(event, using)

    def test_a_candidate_of_another_parent_is_not_registered(self, using: Services) -> None:
        using = replace(using, declaration=WARM)
        crown(using.store, "train-1", contents=KEPT)
        act(asking_warm("train-2"), using)
        right: TrainingUpdate = {
            "kind": "warm",
            "reason": {"code": "warm_start", "sentence": "It continues."},
            "rows": 9,
            "parent": 1,
            "parent_trees": 5,
            "estimator_sha256": sha256_hex(b"kept"),
        }
        refused: tuple[tuple[TrainingUpdate, str], ...] = (
            ({**right, "parent": 2}, "opened to continue version 1"),
            ({**right, "parent": None}, "continues version None"),
            ({**right, "estimator_sha256": "ab"}, "continues an estimator with sha256 ab"),
        )
        for wrong, match in refused:
            with pytest.raises(ParentRefusedError, match=match):
                register(using.store, "train-2", update=wrong)
        # WHEN it is the right one, THEN version, chain and check agree
        version = register(using.store, "train-2", update=right)
        assert version.parent_version == 1
        assert using.store.runs.get("train-2").update == right
        assert verify_audit(using.store).sound

    def test_a_candidate_that_learned_in_full_has_no_parent(self, using: Services) -> None:
        using = replace(using, declaration=WARM)
        crown(using.store, "train-1", contents=KEPT)
        act(asking_warm("train-2"), using)
        told: Any = {
            "kind": "full",
            "reason": {"code": "warm_start_few_rows", "sentence": "Few."},
            "rows": 9,
            "parent": None,
        }
        assert register(using.store, "train-2", update=told).parent_version is None
        assert using.store.runs.get("train-2").update == told
        assert verify_audit(using.store).sound
