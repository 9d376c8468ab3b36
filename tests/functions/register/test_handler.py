"""Registration with real files in moto's S3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from moto import mock_aws

from everloop.busy_services import ServiceBusyError
from everloop.documents.records import GateVerdict, RefitChoice
from everloop.functions.register.handler import Services
from everloop.functions.register.handler import act as handle
from everloop.manifest import ESTIMATOR
from everloop.reasons import ReasonDocument
from everloop.registry.exceptions import ArtifactMismatchError, ArtifactMissingError, SigningRefusedError
from everloop.registry.signing import SigningKey
from everloop.registry.states import State
from everloop.registry.trace import trace, verify_audit
from everloop.signature import Signature, fingerprint
from everloop.typed_json import DocumentRefusedError
from tests.fakes.aws import aws_client
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.fakes.signing_key import ARN, FakeKms, private_key, public_der
from tests.helpers.present import present
from tests.helpers.registry_scenes import FAILED, PASSED, at, close_run, crown, open_run, text_at

RUN = "train-1"
PREFIX = f"runs/flights/{RUN}/evaluation/"
CHECK = f"runs/flights/{RUN}/refit_check/"
EVALUATED = {
    "model.onnx": b"\x08\x07onnx",
    "contract.json": b'{"model":"flights"}',
    "profile.json": b"{}",
    "parity.json": b'{"label_flips":0}',
    "training.json": b'{"seed":7}',
}


def act(event: Any, using: Services) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def report(**changes: Any) -> dict[str, Any]:
    return {
        "model": "flights",
        "run_id": RUN,
        "snapshot_hash": "s1",
        "artifact_bytes": len(EVALUATED["model.onnx"]),
        "code_sha256": "c0de",
        "files": {name: sha256(data) for name, data in EVALUATED.items()},
        **changes,
    }


@dataclass
class World:
    """A run whose candidate the gate has judged.

    ``judged`` is the hash of the report the gate read; None: of the one that lies there when it is registered.
    """

    using: Services
    s3: Any
    kms: FakeKms
    minutes: float = 10
    judged: str | None = None
    refit: RefitChoice | None = None
    refused_puts: list[str] = field(default_factory=list)

    def write(self, name: str, data: bytes) -> None:
        self.s3.put_object(Bucket="lake", Key=PREFIX + name, Body=data)

    def read(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket="artifacts", Key=key)["Body"].read()
        return content

    def stored(self) -> list[str]:
        return [o["Key"] for o in self.s3.list_objects_v2(Bucket="artifacts").get("Contents", [])]

    def report_sha256(self) -> str:
        return sha256(self.s3.get_object(Bucket="lake", Key=f"{PREFIX}report.json")["Body"].read())

    def exchange(self, name: str, data: bytes) -> None:
        """Put another file in the place of an evaluated one, with a report that is about it."""
        self.write(name, data)
        files = {**report()["files"], name: sha256(data)}
        size = len(data) if name == "model.onnx" else report()["artifact_bytes"]
        self.write("report.json", json.dumps(report(files=files, artifact_bytes=size)).encode())

    def register(self, gate: GateVerdict | None = None) -> dict[str, Any]:
        self.minutes += 1
        judged = self.judged or self.report_sha256()
        event = {
            "run": {"run_id": RUN},
            "snapshot": {"snapshot_hash": "s1"},
            "evaluation_uri": f"s3://lake/{PREFIX}",
            "gate": {**(gate or PASSED), "metrics": {"log_loss": 0.41}, "report_sha256": judged},
            "refit": self.refit,
            "refit_uri": f"s3://lake/{CHECK}",
            "at": text_at(self.minutes),
            "execution": RUN,
        }
        return act(event, self.using)


class CrashingS3:
    """Passes calls on, and dies at one ``put_object``."""

    def __init__(self, client: Any, dies_at: str) -> None:
        self._client = client
        self.dies_at: str | None = dies_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **arguments: Any) -> Any:
        if self.dies_at is not None and arguments["Key"].endswith(self.dies_at):
            self.dies_at = None
            raise ConnectionError("died")
        return self._client.put_object(**arguments)


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        s3 = aws_client("s3")
        for bucket in ("lake", "artifacts"):
            s3.create_bucket(Bucket=bucket)
        store = remote_registry(dynamodb(), "flights")
        open_run(store, RUN)
        kms = FakeKms()
        world = World(Services(store, s3, "artifacts", SigningKey(kms, ARN)), s3, kms)
        for name, data in EVALUATED.items():
            world.write(name, data)
        world.write("report.json", json.dumps(report()).encode())
        yield world
        assert verify_audit(store).sound


@pytest.mark.slow
def test_registers_what_was_evaluated_byte_for_byte(world: World) -> None:
    answer = world.register()
    prefix = "artifacts/flights/000001/"
    assert (answer["version"], answer["state"], answer["artifact_prefix"]) == (1, "evaluated", prefix)
    for name, data in EVALUATED.items():
        assert world.read(prefix + name) == data
    manifest = world.read(prefix + "manifest.json")
    assert sha256(manifest) == answer["manifest_sha256"]
    document = json.loads(manifest)
    assert document["files"]["model.onnx"] == {"sha256": sha256(EVALUATED["model.onnx"]), "bytes": 6}
    assert set(document["files"]) == {*EVALUATED, "report.json"}
    assert (document["run_id"], document["snapshot_hash"], document["code_sha256"]) == (RUN, "s1", "c0de")


@pytest.mark.slow
def test_both_steps_are_on_record(world: World) -> None:
    world.register()
    actions = [(r.action, r.details.get("to")) for r in world.using.store.ledger.audit_records()]
    assert actions[1:] == [("registered", "experimenting"), ("transition", "evaluated")]
    version = world.using.store.versions.get(1)
    assert version.metrics == {"log_loss": 0.41}
    assert version.gate == {**PASSED, "report_sha256": world.report_sha256()}
    details: Any = next(r.details for r in world.using.store.ledger.audit_records() if r.action == "registered")
    assert details["gate"]["report_sha256"] == world.report_sha256()


def test_a_candidate_that_failed_is_kept_with_its_reasons(world: World) -> None:
    assert world.register(FAILED)["state"] == "experimenting"
    version = world.using.store.versions.get(1)
    assert version.reason == "the candidate is not better than the champion"
    assert "artifacts/flights/000001/manifest.json" in world.stored()


@pytest.mark.slow
def test_a_repeated_delivery_changes_nothing(world: World) -> None:
    first = world.register()
    head = world.using.store.ledger.audit_head()
    assert world.register() == first
    assert world.using.store.ledger.audit_head() == head


@pytest.mark.slow
@pytest.mark.parametrize("dies_at", ["model.onnx", "report.json", "manifest.json"])
def test_a_crash_while_copying_is_finished_by_the_retry(world: World, dies_at: str) -> None:
    world.using = replace(world.using, s3=CrashingS3(world.s3, dies_at))
    with pytest.raises(ConnectionError):
        world.register()
    assert world.using.store.versions.get(1).state is State.EXPERIMENTING
    assert "artifacts/flights/000001/manifest.json" not in world.stored()
    answer = world.register()
    assert (answer["version"], answer["state"]) == (1, "evaluated")
    assert sha256(world.read("artifacts/flights/000001/manifest.json")) == answer["manifest_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EVALUATED))
def test_a_file_that_was_not_evaluated_is_refused(world: World, name: str) -> None:
    world.write(name, EVALUATED[name] + b" ")
    with pytest.raises(ArtifactMismatchError, match=f"{name} was evaluated with sha256"):
        world.register()
    assert world.stored() == []
    assert list(world.using.store.versions.all()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"run_id": "train-0"}, "run_id is 'train-0', not 'train-1'"),
        ({"snapshot_hash": "s0"}, "snapshot_hash is 's0'"),
        ({"model": "loans"}, "model is 'loans'"),
        ({"artifact_bytes": 7}, "artifact_bytes is 7, not 6"),
        ({"code_sha256": ""}, "code_sha256 is missing"),
        ({"files": {}}, "model.onnx was evaluated with sha256 None"),
    ],
)
def test_a_report_about_something_else_is_refused(world: World, changes: dict[str, Any], named: str) -> None:
    world.write("report.json", json.dumps(report(**changes)).encode())
    with pytest.raises(ArtifactMismatchError, match="start a new run") as refused:
        world.register()
    assert named in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EVALUATED))
def test_a_file_exchanged_together_with_its_report_after_the_gate_is_refused(world: World, name: str) -> None:
    # GIVEN the gate's verdict on what was evaluated; WHEN both are exchanged, and fit each other
    world.judged = world.report_sha256()
    world.exchange(name, EVALUATED[name] + b" ")
    # THEN it is refused, with both hashes
    with pytest.raises(ArtifactMismatchError, match="replaced in between") as refused:
        world.register()
    assert world.judged in str(refused.value)
    assert world.report_sha256() in str(refused.value)
    assert world.stored() == []
    assert list(world.using.store.versions.all()) == []
    # AND with what was judged it is registered
    world.write(name, EVALUATED[name])
    world.write("report.json", json.dumps(report()).encode())
    assert world.register()["state"] == "evaluated"


def test_a_verdict_that_names_no_report_is_refused(world: World) -> None:
    event = {
        "run": {"run_id": RUN},
        "snapshot": {"snapshot_hash": "s1"},
        "evaluation_uri": f"s3://lake/{PREFIX}",
        "gate": {**PASSED, "metrics": {}},
        "refit": None,
        "refit_uri": None,
        "at": text_at(11),
        "execution": RUN,
    }
    with pytest.raises(DocumentRefusedError, match=r"gate\.report_sha256 is missing"):
        act(event, world.using)
    assert list(world.using.store.versions.all()) == []


def test_files_exchanged_after_registration_are_refused(world: World) -> None:
    """Also when the gate has judged the new ones."""
    world.register()
    world.exchange("profile.json", EVALUATED["profile.json"] + b" ")
    with pytest.raises(ArtifactMismatchError, match="registered as version 1 with other files"):
        world.register()
    assert world.read("artifacts/flights/000001/profile.json") == EVALUATED["profile.json"]


def test_a_missing_file_is_named(world: World) -> None:
    world.s3.delete_object(Bucket="lake", Key=f"{PREFIX}profile.json")
    with pytest.raises(ArtifactMissingError, match=f"s3://lake/{PREFIX}profile.json"):
        world.register()


class TestSignature:
    """GIVEN the platform's key, which the register function may have sign."""

    FILE = "artifacts/flights/000001/signature.json"

    def test_the_stored_manifest_is_signed_and_the_record_says_by_whom(self, world: World) -> None:
        world.register()
        signature = Signature.from_bytes(world.read(self.FILE))
        assert signature.is_of(world.read("artifacts/flights/000001/manifest.json"))
        signer = fingerprint(public_der(private_key()))
        store = world.using.store
        registered = next(r for r in store.ledger.audit_records() if r.action == "registered")
        assert signature.signer == signer == store.versions.get(1).signer == registered.details["signer"]
        document: Any = trace(store, 1).to_json()
        assert document["version"]["signer"] == signer

    def test_registered_again_it_is_the_same_file(self, world: World) -> None:
        world.register()
        first = world.read(self.FILE)
        world.s3.delete_object(Bucket="artifacts", Key=self.FILE)
        world.register()
        assert world.read(self.FILE) == first
        assert world.kms.calls == ["GetPublicKey", "Sign", "Sign"]

    def test_by_another_key_it_is_not_completed(self, world: World) -> None:
        world.register()
        first = world.read(self.FILE)
        world.using = replace(world.using, key=SigningKey(FakeKms("another"), ARN))
        with pytest.raises(ArtifactMismatchError, match="the platform's key is") as refused:
            world.register()
        assert fingerprint(public_der(private_key("another"))) in str(refused.value)
        assert world.read(self.FILE) == first

    def test_what_a_release_before_registered_is_completed_without(self, world: World) -> None:
        class NoKey(SigningKey):
            signer = None  # type: ignore[assignment]  # as the command of a release before had none

        world.using = replace(world.using, key=NoKey(world.kms, ARN))
        world.register()
        world.using = replace(world.using, key=SigningKey(world.kms, ARN))
        assert world.register()["state"] == "evaluated"
        assert self.FILE not in world.stored()
        assert world.using.store.versions.get(1).signer is None
        assert "signer" not in next(
            r.details for r in world.using.store.ledger.audit_records() if r.action == "registered"
        )

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("ThrottlingException", ServiceBusyError),
            ("LimitExceededException", ServiceBusyError),
            ("AccessDeniedException", SigningRefusedError),
            ("DisabledException", SigningRefusedError),
            ("KMSInvalidStateException", SigningRefusedError),
            ("NotFoundException", SigningRefusedError),
        ],
    )
    def test_a_busy_key_is_asked_again_and_one_that_refuses_is_not(
        self, world: World, code: str, error: type[Exception]
    ) -> None:
        world.kms.refuses = code
        with pytest.raises(error, match=code):
            world.register()
        assert list(world.using.store.versions.all()) == []
        world.kms.refuses = ""
        assert world.register()["state"] == "evaluated"

    def test_a_key_that_stops_in_between_leaves_a_version_that_can_not_go_on(self, world: World) -> None:
        world.using.key.signer  # noqa: B018  # read, and kept
        world.kms.refuses = "DisabledException"
        with pytest.raises(SigningRefusedError, match="it does not sign"):
            world.register()
        assert world.using.store.versions.get(1).state is State.EXPERIMENTING
        assert world.stored() == []

    def test_a_key_of_another_kind_is_refused(self, world: World) -> None:
        world.using = replace(world.using, key=SigningKey(FakeKms("small", 1024), ARN))
        with pytest.raises(SigningRefusedError, match="no DER of an RSA key"):
            world.register()

    def test_a_signature_that_is_none_is_not_stored(self, world: World) -> None:
        class Lying(FakeKms):
            def sign(self, **given: Any) -> dict[str, Any]:
                return super().sign(**{**given, "Message": bytes(32)})

        world.using = replace(world.using, key=SigningKey(Lying(), ARN))
        with pytest.raises(SigningRefusedError, match="not what it was asked to"):
            world.register()
        assert world.stored() == []


REFIT = {name: data + b"\n" for name, data in EVALUATED.items()}


def checked(world: World, *, serves: Literal["refit", "evaluated"], **changes: Any) -> None:
    """The check of a refit has run, and was judged."""
    for name, data in REFIT.items():
        world.s3.put_object(Bucket="lake", Key=CHECK + name, Body=data)
    document = {"files": {name: sha256(data) for name, data in REFIT.items()}, **changes}
    report = json.dumps(document).encode()
    world.s3.put_object(Bucket="lake", Key=f"{CHECK}refit.json", Body=report)
    reasons: list[ReasonDocument] = [
        {"code": "refit_difference", "passed": serves == "refit", "sentence": "It differs by 0.1."}
    ]
    world.refit = {"serves": serves, "reasons": reasons, "report_sha256": sha256(report)}


@pytest.mark.slow
def test_a_refit_is_registered_with_its_evaluated_sibling_beside_it(world: World) -> None:
    # GIVEN a refit that was let through; WHEN it is registered
    checked(world, serves="refit")
    answer = world.register()
    # THEN its bytes stand where serving takes them from, and the evaluated ones beside them
    prefix = "artifacts/flights/000001/"
    for name in EVALUATED:
        assert world.read(prefix + name) == REFIT[name]
        assert world.read(f"{prefix}evaluated/{name}") == EVALUATED[name]
    assert sha256(world.read(f"{prefix}report.json")) == world.report_sha256()
    assert sha256(world.read(f"{prefix}refit.json")) == present(world.refit)["report_sha256"]
    # AND the manifest fixes them all
    files = json.loads(world.read(f"{prefix}manifest.json"))["files"]
    assert {name: entry["sha256"] for name, entry in files.items()} == {
        name: sha256(world.read(prefix + name)) for name in files
    }
    assert set(files) == {*EVALUATED, *(f"evaluated/{name}" for name in EVALUATED), "report.json", "refit.json"}
    # AND the record names both
    version = world.using.store.versions.get(answer["version"])
    assert version.serves_refit
    assert version.files["model.onnx"]["sha256"] == sha256(REFIT["model.onnx"])
    assert {n: f["sha256"] for n, f in version.evaluated_files.items()} == {n: sha256(d) for n, d in EVALUATED.items()}
    registered = next(r for r in world.using.store.ledger.audit_records() if r.action == "registered")
    assert registered.details["refit"] == version.refit == world.using.store.runs.get(RUN).refit == world.refit


@pytest.mark.slow
def test_a_refit_that_was_turned_down_leaves_the_evaluated_files_to_serve(world: World) -> None:
    checked(world, serves="evaluated")
    answer = world.register()
    prefix = "artifacts/flights/000001/"
    assert {name: world.read(prefix + name) for name in EVALUATED} == EVALUATED
    assert sha256(world.read(f"{prefix}refit.json")) == present(world.refit)["report_sha256"]
    version = world.using.store.versions.get(answer["version"])
    assert not version.serves_refit
    assert version.refit["reasons"][0]["sentence"] == "It differs by 0.1."
    assert {n: f["sha256"] for n, f in version.evaluated_files.items()} == {n: sha256(d) for n, d in EVALUATED.items()}
    assert set(version.files) == {*EVALUATED, "report.json", "refit.json"}


def test_a_refit_that_could_not_be_made_is_on_record_with_its_cause(world: World) -> None:
    reasons: list[ReasonDocument] = [
        {"code": "refit_failed", "passed": False, "sentence": "its training ran out of memory"}
    ]
    world.refit = {"serves": "evaluated", "reasons": reasons, "report_sha256": None}
    answer = world.register()
    assert (answer["state"], world.using.store.versions.get(1).refit) == ("evaluated", world.refit)
    assert set(world.using.store.versions.get(1).files) == {*EVALUATED, "report.json"}


@pytest.mark.parametrize("name", list(EVALUATED))
def test_a_file_of_the_refit_that_was_not_checked_is_refused(world: World, name: str) -> None:
    checked(world, serves="refit")
    world.s3.put_object(Bucket="lake", Key=CHECK + name, Body=b"other")
    with pytest.raises(ArtifactMismatchError, match=f"{name} was checked with sha256"):
        world.register()
    assert world.stored() == []
    assert list(world.using.store.versions.all()) == []


def test_a_check_exchanged_after_it_was_judged_is_refused(world: World) -> None:
    checked(world, serves="refit")
    judged = world.refit
    checked(world, serves="refit", another="word")
    world.refit = judged
    with pytest.raises(ArtifactMismatchError, match="replaced in between"):
        world.register()
    assert world.stored() == []


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"files": 7}'])
def test_a_check_that_is_no_document_is_refused(world: World, text: bytes) -> None:
    checked(world, serves="refit")
    world.s3.put_object(Bucket="lake", Key=f"{CHECK}refit.json", Body=text)
    world.refit = {**present(world.refit), "report_sha256": sha256(text)}
    with pytest.raises(ArtifactMismatchError, match=r"refit\.json is n|was checked with sha256"):
        world.register()


class TestBringingBack:
    """GIVEN version 1, which was replaced, and a run that judged it again."""

    def restore(self, world: World, gate: GateVerdict = PASSED, **changes: Any) -> dict[str, Any]:
        event = {
            "action": "restore",
            "run": {"run_id": "restore-1", "older": {"version": 1}},
            "snapshot": {"snapshot_hash": "s1"},
            "evaluation_uri": "s3://lake/runs/flights/restore-1/evaluation/",
            "gate": {**gate, "metrics": {"log_loss": 0.41}, "report_sha256": sha256(b"judged")},
            "at": text_at(70),
            "execution": "restore-1",
        }
        return act({**event, **changes}, world.using)

    @pytest.fixture
    def replaced(self, world: World) -> World:
        close_run(world.using.store, RUN)
        for run in ("train-2", "train-3"):
            crown(world.using.store, run)
        world.s3.put_object(Bucket="lake", Key="runs/flights/restore-1/evaluation/report.json", Body=b"judged")
        trigger: Any = {"kind": "manual", "reason": "the summer is back", "version": 1}
        world.using.store.runs.open(
            "restore-1", kind="restore", trigger=trigger, at=at(60), actor="test", quota_runs=1, quota_days=7
        )
        return world

    @pytest.mark.slow
    @pytest.mark.parametrize(("gate", "state"), [(PASSED, "evaluated"), (FAILED, "deprecated")])
    def test_the_report_is_kept_and_the_verdict_recorded(self, replaced: World, gate: GateVerdict, state: str) -> None:
        for _ in range(2):
            answer = self.restore(replaced, gate)
            assert (answer["version"], answer["state"]) == (1, state)
            assert replaced.read("artifacts/flights/000001/restored/restore-1/report.json") == b"judged"
        run = replaced.using.store.runs.get("restore-1")
        assert (run.version, run.verdict) == (1, gate["verdict"])

    @pytest.mark.slow
    def test_another_report_than_the_judged_one_is_refused(self, replaced: World) -> None:
        replaced.s3.put_object(Bucket="lake", Key="runs/flights/restore-1/evaluation/report.json", Body=b"other")
        with pytest.raises(ArtifactMismatchError, match="and the gate judged one with"):
            self.restore(replaced)
        assert replaced.using.store.versions.get(1).state is State.DEPRECATED


def kept(world: World, content: bytes) -> None:
    """The evaluation moved a kept estimator along."""
    world.write(ESTIMATOR, content)
    files = {**report()["files"], ESTIMATOR: sha256(content)}
    world.write("report.json", json.dumps(report(files=files)).encode())


class TestKeptEstimator:
    @pytest.mark.slow
    def test_it_is_registered_as_bytes_with_its_hash(self, world: World) -> None:
        kept(world, b"no archive at all")
        world.register()
        prefix = "artifacts/flights/000001/"
        assert world.read(prefix + ESTIMATOR) == b"no archive at all"
        files = json.loads(world.read(f"{prefix}manifest.json"))["files"]
        assert files[ESTIMATOR]["sha256"] == sha256(b"no archive at all")

    def test_one_that_was_exchanged_is_refused(self, world: World) -> None:
        kept(world, b"mine")
        world.write(ESTIMATOR, b"another")
        with pytest.raises(ArtifactMismatchError, match=r"estimator\.zip was evaluated with sha256"):
            world.register()
        assert world.stored() == []

    def test_one_that_no_report_is_about_is_left_where_it_is(self, world: World) -> None:
        world.write(ESTIMATOR, b"planted")
        world.register()
        assert f"artifacts/flights/000001/{ESTIMATOR}" not in world.stored()

    @pytest.mark.slow
    @pytest.mark.parametrize("of_refit", [b"of the refit", None])
    def test_of_a_refit_that_serves_its_own_is_kept_and_no_other(self, world: World, of_refit: bytes | None) -> None:
        kept(world, b"of the evaluated")
        files = {name: sha256(data) for name, data in REFIT.items()}
        if of_refit is not None:
            world.s3.put_object(Bucket="lake", Key=CHECK + ESTIMATOR, Body=of_refit)
            files[ESTIMATOR] = sha256(of_refit)
        checked(world, serves="refit", files=files)
        world.register()
        found = [name for name in world.stored() if name.endswith(ESTIMATOR)]
        assert found == ([] if of_refit is None else [f"artifacts/flights/000001/{ESTIMATOR}"])
        assert of_refit is None or world.read(found[0]) == of_refit
