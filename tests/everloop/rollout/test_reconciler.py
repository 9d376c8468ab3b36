"""What is deployed is held against the registry: noted once, put right where declared, never against a rollout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from moto import mock_aws

from everloop.limits import largest_file
from everloop.registry.signing import SigningKey
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from everloop.rollout.attribution import leads_of
from everloop.rollout.differences import Difference
from everloop.rollout.elsewhere import Elsewhere
from everloop.rollout.observed import Observer
from everloop.rollout.reconciler import Reconciled, Reconciler
from everloop.rollout.serverless_place import ServerlessPlace
from everloop.rollout.targets import ServedArtifact
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from everloop.rollout.targets.sagemaker_serverless import SageMakerServerlessTarget
from tests.fakes.call_history import FakeCallHistory
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.object_store import FakeS3
from tests.fakes.other_servers import FakeAccount
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.fakes.sagemaker_endpoint import FakeSageMaker
from tests.fakes.signing_key import signing_key
from tests.helpers.registry_scenes import at, close_run, manifest_of, open_run, register, start_rollout


@dataclass
class World:
    """A champion that serves, and what looks at it."""

    store: RegistryStore
    function: FakeLambda = field(default_factory=FakeLambda)
    s3: FakeS3 = field(default_factory=FakeS3)
    minutes: int = 100
    pauses: list[float] = field(default_factory=list)
    calls: FakeCallHistory = field(default_factory=FakeCallHistory)

    def __post_init__(self) -> None:
        self.target = LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None)
        clients = {"lambda": self.function, "s3": self.s3, "sagemaker": FakeSageMaker()}
        self.reconciler = Reconciler(
            self.store, self.target, Observer(clients.__getitem__, "flights", "artifacts"), pause=self.pauses.append
        )

    def crown(self, run_id: str, *, signer: SigningKey | None = None) -> str:
        """A version to serve, as a rollout would bring it; the function version that does."""
        open_run(self.store, run_id)
        signed_by = signer.signer if signer else None
        version = register(self.store, run_id, contents={"model.onnx": run_id.encode()}, signer=signed_by)
        if signer:
            signature = signer.sign(manifest_of(version).content).to_bytes()
            self.s3.objects[f"{version.artifact_prefix}signature.json"] = signature
        self.s3.objects[f"{version.artifact_prefix}model.onnx"] = run_id.encode()
        self.s3.objects[f"{version.artifact_prefix}manifest.json"] = manifest_of(version).content
        self.target.idle()
        published = self.target.publish(ServedArtifact.of(version)).lambda_version
        start_rollout(self.store, run_id, version.version, lambda_version=published)
        self.store.rollouts.promote(run_id, at=at(30), actor="test")
        self.store.rollouts.end(run_id, status="completed", at=at(40), actor="test")
        self.target.settle(published)
        close_run(self.store, run_id)
        return published

    def look(self, *, put_right: bool = False, **given: Any) -> Reconciled:
        self.minutes += 1
        return replace(self.reconciler, put_right=put_right).reconcile(at=at(self.minutes), **given)

    def actions(self) -> list[str]:
        """What the audit chain says of deployments."""
        return [r.action for r in self.store.ledger.audit_records() if r.action.startswith("deployment_")]


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World(remote_registry(dynamodb(), "flights"))


def codes(answer: Reconciled) -> list[str]:
    return [one["code"] for one in answer["differences"]]


def test_what_agrees_leaves_no_trace(world: World) -> None:
    assert world.look() == {"settled": True, "differences": [], "put_right": False}
    world.crown("train-1")
    assert world.look()["differences"] == []
    assert (world.actions(), world.pauses) == ([], [])
    assert world.store.reconciliations.latest() is None


@pytest.mark.slow
def test_a_moved_alias_is_noted_once_and_left_where_nothing_is_declared(world: World) -> None:
    # GIVEN a champion, and an alias that a person points elsewhere
    serving = world.crown("train-1")
    stray = world.target.idle()
    # WHEN it is looked at twice
    assert codes(world.look()) == ["traffic_moved"]
    assert codes(world.look(actor="cleo")) == ["traffic_moved"]
    # THEN it is on record once, with both places, and where it was put
    (noted,) = [r for r in world.store.ledger.audit_records() if r.action == "deployment_differs"]
    assert (noted.actor, noted.version) == ("reconciliation", 1)
    assert f"requests go to {stray} (which no rollout published)" in str(noted.reason)
    assert f"they go to {serving} (version 1)" in str(noted.reason)
    assert world.function.serving() == {stray: 1}
    # WHEN the person points it back
    world.target.settle(serving)
    assert world.look()["differences"] == []
    # THEN that is on record too, and the registry is sound
    assert world.actions() == ["deployment_differs", "deployment_agrees"]
    assert verify_audit(world.store).problems == []


def test_where_it_is_declared_the_traffic_goes_back_and_the_rest_stays_reported(world: World) -> None:
    serving = world.crown("train-1")
    world.target.idle()
    world.function.other_aliases = ["mine"]
    answer = world.look(put_right=True)
    assert (codes(answer), answer["put_right"]) == (["traffic_moved", "unknown_alias"], True)
    assert world.function.serving() == {serving: 1}
    assert world.actions() == ["deployment_put_right", "deployment_differs"]
    assert codes(world.look(put_right=True)) == ["unknown_alias"]
    world.function.other_aliases = []
    world.look(put_right=True)
    assert world.actions() == ["deployment_put_right", "deployment_differs", "deployment_agrees"]
    assert verify_audit(world.store).problems == []


def test_crashed_between_note_and_move_a_repetition_moves(world: World) -> None:
    serving = world.crown("train-1")
    world.target.idle()
    world.function.crash_before = ["update_alias"]
    with pytest.raises(ConnectionError):
        world.look(put_right=True)
    world.minutes -= 1  # the same event again
    assert world.look(put_right=True)["put_right"]
    assert world.function.serving() == {serving: 1}
    assert world.actions() == ["deployment_put_right", "deployment_agrees"]


@pytest.mark.slow
def test_a_version_that_was_deleted_or_a_file_written_over_is_left_to_people(world: World) -> None:
    world.crown("train-1")
    world.s3.objects["artifacts/flights/000001/model.onnx"] = b"another"
    del world.s3.objects["artifacts/flights/000001/manifest.json"]
    assert sorted(codes(world.look(put_right=True))) == ["artifact_changed", "artifact_gone"]
    world.s3.failing = "AccessDenied"
    assert codes(world.look(put_right=True)) == ["artifact_gone", "artifact_gone"]
    world.function.redeploy()
    answer = world.look(put_right=True)
    assert (codes(answer)[0], answer["put_right"]) == ("champion_gone", False)


@pytest.mark.slow
def test_a_signature_that_was_altered_is_reported_before_a_new_process_refuses_it(world: World) -> None:
    # GIVEN a champion that the platform's key signed
    key, file = signing_key(), "artifacts/flights/000001/signature.json"
    world.crown("train-1", signer=key)
    right = world.s3.objects[file]
    assert world.look()["differences"] == []
    # WHEN its signature is another key's, one of other bytes, none at all, or far too long
    altered = {
        signing_key("other").sign(manifest_of(world.store.versions.get(1)).content).to_bytes(): "one by key",
        key.sign(b"another manifest").to_bytes(): "found one of other bytes",
        b"{}": "it has not the keys algorithm, key, signature",
        b" " * (largest_file(file) + 1): "found ",
    }
    # THEN each is reported
    for content, found in altered.items():
        world.s3.objects[file] = content
        (difference,) = world.look(put_right=True)["differences"]
        assert difference["code"] == "artifact_changed"
        assert f"{file} is not as it was registered: expected a signature" in difference["sentence"]
        assert found in difference["sentence"]
    del world.s3.objects[file]
    assert codes(world.look()) == ["artifact_gone"]
    # AND a manifest that was altered is reported for itself alone
    world.s3.objects |= {file: right, "artifacts/flights/000001/manifest.json": b"{}"}
    (difference,) = world.look()["differences"]
    assert difference["sentence"].startswith("artifacts/flights/000001/manifest.json has the hash")


def test_a_serving_version_with_another_environment_is_not_the_registered_one(world: World) -> None:
    serving = world.crown("train-1")
    world.function.versions[serving]["Environment"]["Variables"]["EVERLOOP_MANIFEST_SHA256"] = "f" * 64
    assert codes(world.look()) == ["other_artifact"]


@pytest.mark.slow
def test_a_canary_that_was_moved_by_hand_goes_back_to_its_step(world: World) -> None:
    serving = world.crown("train-1")
    _canary(world)
    world.target.shift(primary=serving, candidate="3", percent=80)
    answer = world.look(put_right=True)
    assert codes(answer) == ["traffic_moved"]
    assert world.function.serving() == pytest.approx({serving: 0.95, "3": 0.05})


@pytest.mark.slow
def test_a_rollback_that_comes_while_the_traffic_is_put_right_wins(world: World) -> None:
    # GIVEN a canary whose share was moved by hand, and a rollback that begins as that is put right
    serving = world.crown("train-1")
    _canary(world)
    world.target.shift(primary=serving, candidate="3", percent=80)
    shift = world.target.shift

    def rolled_back_meanwhile(**given: Any) -> None:
        if world.store.rollouts.get("train-2").is_open:
            world.target.settle(serving)
            world.store.rollouts.roll_back("train-2", reasons=[{"code": "x", "sentence": "bad"}], at=at(90), actor="p")
        shift(**given)

    world.target.shift = rolled_back_meanwhile  # type: ignore[method-assign]  # it is the moment that matters
    # WHEN it is put right
    world.look(put_right=True)
    # THEN the bad version gets nothing
    assert world.function.serving() == {serving: 1}


@pytest.mark.slow
def test_traffic_that_a_rollout_moves_right_now_is_no_difference(world: World) -> None:
    """The alias is moved first, the record follows: by the second look it has."""
    serving = world.crown("train-1")
    _canary(world)
    world.target.settle(serving)

    def by_the_second_look(seconds: float) -> None:
        world.store.rollouts.roll_back("train-2", reasons=[{"code": "x", "sentence": "bad"}], at=at(90), actor="p")

    world.reconciler = replace(world.reconciler, pause=by_the_second_look)
    assert world.look(put_right=True) == {"settled": True, "differences": [], "put_right": False}
    assert world.actions() == []


@pytest.mark.slow
def test_while_the_registry_moves_at_every_look_nothing_is_said(world: World) -> None:
    world.crown("train-1")
    world.target.idle()
    number = count()
    holds = world.target.holds

    def moves_the_registry(*given: Any) -> bool:
        run = f"smoke-{next(number)}"
        open_run(world.store, run, kind="smoke")
        close_run(world.store, run, status="smoke_passed")
        return holds(*given)

    world.target.holds = moves_the_registry  # type: ignore[method-assign,assignment]  # other runs come and go meanwhile
    assert world.look(put_right=True) == {"settled": False, "differences": [], "put_right": False}


def asking(world: World) -> World:
    """The same, with the account's history of calls to ask."""
    world.reconciler = replace(world.reconciler, history=world.calls.history())
    return world


def moves_by_hand(world: World, who: str) -> None:
    """Somebody points the alias elsewhere, half a minute before the next look."""
    stray, when = world.target.idle(), at(world.minutes + 0.5)
    asked = {"functionName": "everloop-flights-predict", "name": "live", "functionVersion": stray}
    world.calls.call("UpdateAlias20150331", who, when, **asked)


@pytest.mark.slow
def test_who_moved_the_alias_is_on_record_once_it_is_shown_also_after_it_was_put_right(world: World) -> None:
    # GIVEN a person who moves the alias, which is put right before CloudTrail shows who it was
    world.crown("train-1")
    asking(world).calls.shown_until = at(world.minutes)
    moves_by_hand(world, "arn:ada")
    found = world.look(put_right=True)
    assert (found["put_right"], found["differences"][0]["by"]["known"]) == (True, "not_yet")
    asked = len(world.calls.asked)
    assert "explained" not in world.look(put_right=True)
    # WHEN CloudTrail shows it
    world.calls.shown_until = None
    late = world.look(put_right=True)
    # THEN the record is completed, once, and nothing is asked any more
    (told,) = late["explained"]
    assert (told["code"], told["by"]["who"]) == ("traffic_moved", "arn:ada")
    assert world.look(put_right=True) == {"settled": True, "differences": [], "put_right": False}
    assert len(world.calls.asked) == asked + 4
    assert world.actions() == ["deployment_put_right", "deployment_agrees", "deployment_explained"]
    assert verify_audit(world.store).problems == []


@pytest.mark.slow
def test_who_made_a_difference_that_stays_is_asked_until_it_is_known_and_a_repetition_adds_nothing(
    world: World,
) -> None:
    world.crown("train-1")
    asking(world).calls.shown_until = at(world.minutes)
    moves_by_hand(world, "arn:ada")
    world.look()
    world.calls.shown_until = None
    for _ in range(2):
        assert world.look()["differences"][0]["by"]["who"] == "arn:ada"
    world.minutes -= 1  # the same event again
    world.look()
    assert world.actions() == ["deployment_differs", "deployment_explained"]
    noted = world.store.reconciliations.latest()
    assert noted is not None
    assert noted.since == at(world.minutes - 2)
    assert verify_audit(world.store).problems == []


@pytest.mark.slow
def test_without_the_permission_the_look_reports_all_the_same(world: World) -> None:
    world.crown("train-1")
    asking(world).calls.failing = "AccessDeniedException"
    moves_by_hand(world, "arn:ada")
    (found,) = world.look()["differences"]
    assert "can't be asked (AccessDeniedException: as told)" in found["by"]["sentence"]
    world.calls.failing = ""
    assert world.look()["differences"][0]["by"]["who"] == "arn:ada"


@pytest.mark.slow
def test_a_function_made_by_hand_is_reported_with_who_made_it_until_it_is_deleted(world: World) -> None:
    # GIVEN a person who serves the champion's files from a function of her own
    world.crown("train-1")
    other = FakeAccount()
    elsewhere = Elsewhere(lambda service: other, "flights", "artifacts")
    world.reconciler = replace(asking(world).reconciler, elsewhere=elsewhere)
    other.functions = {"mine": {"FILES": "s3://artifacts/artifacts/flights/000001/"}}
    asked = {"functionName": "arn:aws:lambda:eu-west-1:1:function:mine"}
    world.calls.call("CreateFunction20150331", "arn:ada", at(world.minutes), **asked)
    # WHEN somebody looks, THEN it is reported, with her, and stays
    answer = world.look(put_right=True)
    (found,) = answer["differences"]
    assert (found["code"], found["by"]["who"], answer["put_right"]) == ("unknown_function", "arn:ada", False)
    other.denied = {"list_endpoints"}
    assert world.look()["not_looked"] == ["endpoints by other names: not authorized: list_endpoints"]
    # AND is gone with it
    other.functions = {}
    world.look()
    assert world.actions() == ["deployment_differs", "deployment_agrees"]


@pytest.mark.slow
def test_who_wrote_a_file_over_is_not_asked_and_it_is_said_why(world: World) -> None:
    world.crown("train-1")
    world.s3.objects["artifacts/flights/000001/model.onnx"] = b"another"
    (found,) = asking(world).look()["differences"]
    assert found["by"]["known"] == "no"
    assert world.calls.asked == []


def _canary(world: World) -> None:
    """Version 2 on its first step, with 5% of the requests, served by function version 3."""
    open_run(world.store, "train-2")
    version = register(world.store, "train-2", contents={"model.onnx": b"2"})
    world.s3.objects[f"{version.artifact_prefix}model.onnx"] = b"2"
    world.s3.objects[f"{version.artifact_prefix}manifest.json"] = manifest_of(version).content
    artifact = ServedArtifact(version.version, version.artifact_prefix, version.manifest_sha256)
    published = world.target.publish(artifact).lambda_version
    assert published == "3"
    start_rollout(world.store, "train-2", version.version, lambda_version=published)
    world.store.rollouts.step("train-2", step_index=0, percent=5.0, at=at(60), actor="test")
    champion = world.store.versions.champion()
    assert champion is not None
    world.target.shift(primary=champion.lambda_version, candidate=published, percent=5.0)


def test_a_champions_own_endpoint_that_was_deleted_is_named_with_the_call(world: World) -> None:
    # GIVEN a champion on a serverless endpoint of its own
    hosting = FakeSageMaker()
    serverless = ServerlessPlace(
        name="everloop-flights",
        model="flights",
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop@sha256:" + 64 * "1",
        role_arn="arn:aws:iam::123456789012:role/endpoint",
        artifact_bucket="artifacts",
        stream="stream",
        memory_mb=1024,
        max_concurrency=5,
        timeout_seconds=10,
    )
    target = SageMakerServerlessTarget(hosting, world.target, serverless, pause=lambda _: None)
    reconciler = replace(world.reconciler, target=target)
    open_run(world.store, "train-1")
    version = register(world.store, "train-1")
    world.s3.objects[f"{version.artifact_prefix}manifest.json"] = manifest_of(version).content
    target.idle()
    artifact = ServedArtifact(version.version, version.artifact_prefix, version.manifest_sha256)
    number = target.publish(artifact).lambda_version
    start_rollout(world.store, "train-1", version.version, lambda_version=number)
    world.store.rollouts.promote("train-1", at=at(30), actor="test")
    world.store.rollouts.end("train-1", status="completed", at=at(40), actor="test")
    target.settle(number)
    close_run(world.store, "train-1")
    assert "champion_gone" not in codes(reconciler.reconcile(at=at(50)))
    # WHEN somebody deletes it
    (endpoint,) = hosting.endpoints
    del hosting.endpoints[endpoint]
    # THEN that is what is said, and which call is looked for
    found = reconciler.reconcile(at=at(51))["differences"][0]
    assert found["code"] == "champion_gone"
    assert found["sentence"].startswith(f"endpoint {endpoint}, which serves version {version.version}, the champion,")
    leads = leads_of(Difference("champion_gone", "", about=endpoint), "flights")
    assert {"events": ["DeleteEndpoint"], "subject": {"endpointName": endpoint}, "state": {}} in leads
