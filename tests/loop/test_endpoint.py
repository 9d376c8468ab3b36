"""A model on a SageMaker endpoint: a good challenger comes to serve under requests, a bad one is taken back.

Versions are registered as they stand, without a training: what is proved here is how they come to serve.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.endpoints import delete_endpoint, endpoints_of_versions, passed_on_to
from everloop.cli.operations.local_cloud import LocalCloud, deploy
from everloop.cli.operations.manifests import commit_new
from everloop.instants import instant_text
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.helpers.artifacts import row, small_contract, small_model
from tests.helpers.declarations import SERVERLESS, as_yaml, binary_document, declare, with_endpoint
from tests.helpers.given_versions import give_version
from tests.helpers.present import present
from tests.helpers.registry_scenes import close_run
from tests.helpers.server import Server
from tests.helpers.synthesis import synthesize_models, write_model
from tests.helpers.watched_lake import draw, reference_of
from tests.loop.callers import Seen, calling
from tests.loop.standing_cloud import Loop, deployed_cloud

pytestmark = [pytest.mark.xdist_group("loop on an endpoint"), pytest.mark.slow]

MODEL = "late_train"
BEGIN = datetime(2013, 3, 1, 6, tzinfo=UTC)
ENDPOINT = "everloop-late-train"
SHADOW_MINUTES, SHADOW_ROWS = 20, 5
PEAK = 3
ASKED_A_MINUTE = 20
"""What one instance is asked in a minute, if instances follow requests."""

LEARNED = {"kind": "prior", "value": 0.3, "by": None, "groups": {}}
"""What the baseline of each version learned."""

DELIVERED_MINUTES = 16
"""After so long what was captured is in the lake."""


@dataclass
class Cloud:
    """The deployed model, whose clock stands until it is moved."""

    cloud: LocalCloud
    models_directory: Path

    def __post_init__(self) -> None:
        self.account = self.cloud.account()
        self.store = RegistryStore(self.account.client("dynamodb"), self.account.platform.table, MODEL)
        self.url = self.account.model(MODEL).predictions_url

    def register(self, run_id: str, model: bytes) -> int:
        """Register a version with its files, as the pipeline would; its number. Its run stays open."""
        contents = {
            "model.onnx": model,
            "contract.json": small_contract().to_json(),
            "profile.json": _profile(),
            "training.json": json.dumps({"baseline": LEARNED}).encode(),
            "report.json": b"{}",
        }
        return give_version(self.account, self.store, run_id, contents, when=self.now())

    def act(self, action: str, **event: Any) -> dict[str, Any]:
        """Have the rollout function do something."""
        document, failed = self.asked(action, **event)
        assert not failed, document
        return document

    def asked(self, action: str, **event: Any) -> tuple[dict[str, Any], bool]:
        """What it says, and whether that is an error. As the pipeline does: again while the endpoint is not ready."""
        payload = json.dumps({"action": action, "at": instant_text(self.now()), **event})
        while True:
            answer = self.account.client("lambda").invoke(FunctionName=f"everloop-{MODEL}-rollout", Payload=payload)
            document: dict[str, Any] = json.loads(answer["Payload"].read())
            if document.get("errorType") != "EndpointNotReadyError":
                return document, "FunctionError" in answer

    def now(self) -> datetime:
        return datetime.fromisoformat(self.cloud.running.clock()["now"])

    def advance(self, minutes: float) -> None:
        self.cloud.running.advance(self.now() + timedelta(minutes=minutes))

    def advance_to_monitoring(self) -> None:
        """Let the next monitoring come, which is at 6:00."""
        due = self.now().replace(hour=6, minute=5)
        self.cloud.running.advance(due + timedelta(days=1) if due <= self.now() else due)

    def weights(self) -> dict[int, float]:
        """Weight of each variant, by version."""
        found = self.account.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        return {
            int(v["VariantName"].removeprefix(f"{ENDPOINT}-v").partition("-")[0]): v["CurrentWeight"]
            for v in found["ProductionVariants"]
        }

    def variants(self) -> list[str]:
        """The names of the variants."""
        found = self.account.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        return [variant["VariantName"] for variant in found["ProductionVariants"]]

    def instances(self) -> int:
        """How many there are of all variants."""
        found = self.account.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        return sum(variant["CurrentInstanceCount"] for variant in found["ProductionVariants"])

    def invoke(self, times: int) -> None:
        """Invoke the endpoint itself, past the function before it."""
        client, body = self.account.client("sagemaker-runtime"), json.dumps({"instances": [row("direct")]})
        for _ in range(times):
            client.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=body)

    def declare(self, target: str, *, shadow: bool = False, **endpoint: Any) -> None:
        """Deploy the model with another target; of its endpoint the image stays, and what is given, if anything."""
        document = copy.deepcopy(_document())
        document["rollout"]["target"] = target
        if not shadow:
            del document["rollout"]["shadow"]
        if endpoint:
            document["serving"]["endpoint"] = {"image": document["serving"]["endpoint"]["image"], **endpoint}
        (self.models_directory / MODEL / "model.yaml").write_text(as_yaml(document), encoding="utf-8")
        assembly = synthesize_models(self.models_directory, self.models_directory.parent)
        deploy(assembly, self.cloud.running.state_directory, print)

    def endpoints_of_versions(self) -> list[str]:
        """The serverless endpoints that there are."""
        return endpoints_of_versions(self.account, MODEL)

    def passed_on_to(self) -> str:
        """What the champion's function version passes its requests on to; empty for nothing."""
        champion = present(self.store.versions.champion()).lambda_version
        return passed_on_to(self.account, f"everloop-{MODEL}-predict", champion)

    def models(self) -> str:
        """The names of the SageMaker models that there are."""
        found = self.account.client("sagemaker").list_models(NameContains=ENDPOINT)
        return " ".join(each["ModelName"] for each in found["Models"])

    def ask(self, key: str) -> tuple[int, Any]:
        # A loop's account is all that a request needs.
        body = json.dumps({"instances": [row(key)]}).encode()
        return Loop.send(cast("Loop", self), "POST", self.url, body)

    def under_requests(self) -> AbstractContextManager[Seen]:
        """Callers who ask all the time."""
        return calling(self.ask)


@cache
def _document() -> dict[str, Any]:
    guardrail = {"max_error_rate": 0.05, "max_p99_latency_ms": 10_000, "minimum_requests": 3}
    shadow = {"minutes": SHADOW_MINUTES, "minimum_rows": SHADOW_ROWS, "max_score_shift": 0.2}
    steps = [{"percent": 50, "minutes": 10}]
    rollout: dict[str, Any] = {"shadow": shadow, "steps": steps, "bake_minutes": 60, "guardrail": guardrail}
    rollout["drill"] = {}
    rollout["reconcile"] = {"schedule": "cron(30 7 * * ? *)", "put_right": True}
    document = with_endpoint(binary_document(rollout=rollout))
    peak = {"requests_per_second": PEAK}
    document["serving"] |= {"fallback": {"use": "baseline"}, "concurrency": 50, "peak": peak}
    document["serving"]["endpoint"]["autoscaling"] = {"max_instances": 2, "invocations_per_instance": ASKED_A_MINUTE}
    return document


@cache
def _profile() -> bytes:
    """What the monitor compares windows with: a few drawn days."""
    rng = np.random.default_rng(5)
    return reference_of([draw(rng, 50) for _ in range(10)], declare(_document())).to_json().encode()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with deployed(tmp_path_factory.mktemp("endpoint")) as cloud:
        yield cloud


@contextmanager
def deployed(folder: Path) -> Iterator[Cloud]:
    """A local cloud with the model in it, whose state is below ``folder``; nothing serves yet."""
    write_model(folder / "models", _document())
    with deployed_cloud(folder, BEGIN, lambda _: synthesize_models(folder / "models", folder)) as brought:
        yield Cloud(brought, folder / "models")


def try_broken(cloud: Cloud, run_id: str) -> tuple[dict[str, Any], bool]:
    """Begin the rollout of a version whose model is not the one that was registered: no container serves it."""
    version = cloud.register(run_id, small_model())
    key = f"{cloud.store.versions.get(version).artifact_prefix}model.onnx"
    cloud.account.client("s3").put_object(Bucket=cloud.account.platform.artifact_bucket, Key=key, Body=b"another")
    return cloud.asked("start", run={"run_id": run_id, "kind": "train"}, version=version)


def start(cloud: Cloud, run_id: str, version: int) -> dict[str, Any]:
    """As far as the first step, which is a shadow where something serves."""
    rollout = cloud.act("start", run={"run_id": run_id, "kind": "train"}, version=version)
    return cloud.act("shift", rollout={"rollout_id": rollout["rollout_id"], "step_index": -1})


def look_at_shadow(cloud: Cloud, rollout: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """What is decided on a shadow once what callers asked is in the lake, and whether that is an error."""
    cloud.advance(SHADOW_MINUTES + DELIVERED_MINUTES)
    return cloud.asked("check", rollout={"rollout_id": rollout["rollout_id"]}, phase="canary")


def complete(cloud: Cloud, rollout: dict[str, Any]) -> None:
    named = {"rollout_id": rollout["rollout_id"]}
    cloud.act("promote", rollout=named)
    cloud.advance(61)
    cloud.act("retire", rollout=named)
    close_run(cloud.store, rollout["rollout_id"], when=cloud.now())


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def wait_for(seen: Seen, kind: tuple[int, str], count: int) -> None:
    deadline = time.monotonic() + 120
    while seen[kind] < count:
        assert time.monotonic() < deadline, dict(seen)
        time.sleep(0.05)


def test_an_endpoint_that_can_not_be_created_is_deleted(cloud: Cloud) -> None:
    # GIVEN a model nothing serves yet, WHEN its first version can't be served by any container
    said, failed = try_broken(cloud, "train-0")
    # THEN the rollout says so and ends, and nothing is left that runs
    assert (failed, said["errorType"]) == (True, "EndpointFailedError"), said
    assert cloud.account.client("sagemaker").list_endpoints(NameContains=ENDPOINT)["Endpoints"] == []
    cloud.act("rollback", run={"run_id": "train-0"}, reasons=[{"code": "failed", "sentence": "it did not start"}])
    close_run(cloud.store, "train-0", when=cloud.now(), status="failed")


def test_versions_come_to_serve_and_are_taken_back_under_requests(cloud: Cloud) -> None:
    # GIVEN a model nothing serves yet, and says so
    status, answer = cloud.ask("t0")
    assert (status, answer["error"]["code"]) == (503, "no_champion")
    # WHEN its first version is rolled out
    first = cloud.register("train-1", small_model())
    complete(cloud, start(cloud, "train-1", first))
    assert cloud.weights() == {first: 1}
    with cloud.under_requests() as seen:
        # AND a good one follows, unseen at first
        wait_for(seen, (200, str(first)), SHADOW_ROWS)
        good = cloud.register("train-2", small_model(bias=1.0))
        rollout = start(cloud, "train-2", good)
        wait_for(seen, (200, str(first)), seen[200, str(first)] + SHADOW_ROWS + 2)
        decided, _ = look_at_shadow(cloud, rollout)
        # THEN its shadow lets it on, by what callers asked the one before
        assert decided["decision"] == "advance", decided
        assert re.search(r"answered \d+ rows .* failed on 0, refused 0.* \+0\.0\d+ on average", str(decided["reasons"]))
        assert (200, str(good)) not in seen
        # WHEN it goes on step by step
        cloud.act("shift", rollout={"rollout_id": rollout["rollout_id"], "step_index": 0})
        wait_for(seen, (200, str(good)), 5)
        cloud.advance(11)
        wait_for(seen, (200, str(good)), 10)
        decided = cloud.act("check", rollout={"rollout_id": rollout["rollout_id"]}, phase="canary")
        assert decided["decision"] == "promote", decided
        complete(cloud, rollout)
        wait_for(seen, (200, str(good)), 20)
        # WHEN one follows whose scores are far from the champion's
        bad = cloud.register("train-3", small_model(bias=-4.0))
        rollout = start(cloud, "train-3", bad)
        wait_for(seen, (200, str(good)), seen[200, str(good)] + SHADOW_ROWS + 2)
        decided, _ = look_at_shadow(cloud, rollout)
        # THEN it is taken back, and its variant goes, before any caller has met it
        assert (decided["decision"], decided["reasons"][0]["code"]) == ("rollback", "shadow_score_shift"), decided
        named = {"rollout_id": rollout["rollout_id"]}
        assert cloud.act("rollback", rollout=named, reasons=decided["reasons"])["rolled_back"]
        wait_for(seen, (200, str(good)), seen[200, str(good)] + 20)
        # AND nobody saw an error
        assert set(seen) == {(200, str(first)), (200, str(good))}
    # AND its model goes with the next retirement, once the variant is gone
    deadline = time.monotonic() + 120
    while f"-v{bad}-" in cloud.models():
        assert time.monotonic() < deadline, cloud.models()
        cloud.act("retire", rollout={"rollout_id": "train-2"})
    assert cloud.weights().get(good) == 1
    champion = cloud.store.versions.champion()
    assert champion is not None
    assert champion.version == good


def test_a_candidate_that_falls_back_has_failed(cloud: Cloud) -> None:
    # GIVEN a version whose model has no score for any row, WHEN it is to answer unseen what callers ask
    close_run(cloud.store, "train-3", when=cloud.now(), status="failed")
    version = cloud.register("train-4", small_model(bias=float("nan")))
    rollout = start(cloud, "train-4", version)
    asked = [cloud.ask(f"asked-{number}") for number in range(SHADOW_ROWS + 2)]
    # THEN its fallback does, and says so
    (variant,) = (name for name in cloud.variants() if f"-v{version}-" in name)
    answer = cloud.account.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, TargetVariant=variant, Body=json.dumps({"instances": [row("f1")]})
    )
    told = json.loads(answer["Body"].read())
    assert (told["fallback"], told["predictions"][0]["probability"]) == ("baseline", LEARNED["value"])
    assert answer["CustomAttributes"] == "fallback=baseline"
    # AND that is no answer of its own: it is taken back before any caller has met it
    decided, _ = look_at_shadow(cloud, rollout)
    assert (decided["decision"], decided["reasons"][0]["code"]) == ("rollback", "shadow_errors"), decided
    named = {"rollout_id": rollout["rollout_id"]}
    assert cloud.act("rollback", rollout=named, reasons=decided["reasons"])["rolled_back"]
    assert all((status, "fallback" in document) == (200, False) for status, document in asked)


def test_production_is_loaded_at_twice_its_peak(cloud: Cloud, tmp_path: Path) -> None:
    # GIVEN what is reserved for the model
    reserved = cloud.account.client("lambda").get_function_concurrency(FunctionName=f"everloop-{MODEL}-predict")
    assert reserved["ReservedConcurrentExecutions"] == 50
    # WHEN a person loads it, while no rollout is open
    rows, record = tmp_path / "rows.json", tmp_path / "loads.jsonl"
    rows.write_text(json.dumps({"instances": [row("a"), row("b")]}))
    words = ["load", MODEL, str(rows), "--models-directory", str(cloud.models_directory), "--seconds", "2"]
    told = CliRunner().invoke(everloop, [*words, "--into-production", "--record", str(record)])
    # THEN all is answered, and what was found is recorded, with the starts of the function that it took
    assert told.exit_code in (0, 3), told.output  # how fast this machine is at the moment is no matter
    found = json.loads(record.read_text())
    assert (found["rate"], found["requests"], found["by_status"]) == (2 * PEAK, 4 * PEAK, {"200": 4 * PEAK})
    assert found["cold_starts"] >= 0
    assert f"{4 * PEAK} in all" in told.output


def test_a_rollback_is_drilled_under_requests(cloud: Cloud) -> None:
    # GIVEN a champion with one before it, and callers
    champion = cloud.store.versions.champion()
    assert champion is not None, "this test comes after the one that rolls versions out"
    with cloud.under_requests() as seen:
        wait_for(seen, (200, str(champion.version)), 3)
        # WHEN a person tries a rollback
        told = CliRunner().invoke(everloop, ["drill", MODEL, "--json"])
    # THEN it worked, nobody saw an error, and the champion serves as before
    assert told.exit_code == 0, told.output
    answer = json.loads(told.output)
    assert (answer["status"], answer["version"]) == ("passed", champion.version)
    assert answer["back_seconds"] > 0
    assert {status for status, _ in seen} == {200}
    deadline = time.monotonic() + 120
    while cloud.weights() != {champion.version: 1}:  # the other variant goes, and its instances with it
        assert time.monotonic() < deadline, cloud.weights()
        time.sleep(0.2)
    assert cloud.ask("after the drill")[1]["version"] == champion.version
    # AND status and audit chain say so
    assert "back in" in CliRunner().invoke(everloop, ["status", MODEL]).output
    verdict = verify_audit(cloud.store)
    assert verdict.chain.intact
    assert not [problem for problem in verdict.problems if "drill" in problem]


def test_instances_follow_requests_within_limits(cloud: Cloud) -> None:
    # GIVEN a version that serves, whose variant alone is scaled: those of earlier rollouts went with their targets
    champion = cloud.store.versions.champion()
    assert champion is not None, "this test comes after the one that rolls versions out"
    scaling = cloud.account.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["ResourceId"] == f"endpoint/{ENDPOINT}/variant/{champion.lambda_version}"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    # WHEN more is asked for three minutes than one instance should be asked
    for _ in range(3):
        cloud.invoke(ASKED_A_MINUTE + 1)
        cloud.advance(1)
    # THEN there are more of them, and fewer again after a quarter of an hour with little
    assert cloud.instances() == 2
    for _ in range(15):
        cloud.invoke(1)
        cloud.advance(1)
    assert cloud.instances() == 1


def test_the_monitor_records_what_an_endpoint_served(cloud: Cloud) -> None:
    # GIVEN a version that serves, and what its container captured
    champion = cloud.store.versions.champion()
    assert champion is not None, "this test comes after the one that rolls versions out"
    assert cloud.ask("watched")[0] == 200
    # WHEN the monitor's schedule is due, under the monitor's own role
    cloud.advance_to_monitoring()
    # THEN there is a window of that version, with the rows of the day before
    (window,) = cloud.store.windows.latest(1)
    assert window.record.version == champion.version
    assert window.record.rows > 0


def test_what_was_changed_by_hand_is_put_right_or_reported(cloud: Cloud) -> None:
    # GIVEN the alias taken to what no rollout published, a file written over, and an endpoint of another name
    champion = cloud.store.versions.champion()
    assert champion is not None, "this test comes after the one that rolls versions out"
    client, function, s3 = cloud.account.client("lambda"), f"everloop-{MODEL}-predict", cloud.account.client("s3")
    before = client.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
    client.update_alias(FunctionName=function, Name="live", FunctionVersion="$LATEST", RoutingConfig={})
    prefix = cloud.store.versions.get(champion.version).artifact_prefix
    place = {"Bucket": cloud.account.platform.artifact_bucket, "Key": f"{prefix}profile.json"}
    s3.put_object(**place, Body=b"{}")
    sagemaker, who = cloud.account.client("sagemaker"), cloud.account.client("sts").get_caller_identity()["Arn"]
    configuration = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    sagemaker.create_endpoint(EndpointName="by-hand", EndpointConfigName=configuration)
    # WHEN the schedule is due
    due = cloud.now().replace(hour=7, minute=35)
    cloud.cloud.running.advance(due + timedelta(days=1) if due <= cloud.now() else due)
    # THEN the alias is where it was, and what nobody may put right stays reported, with who did it
    assert client.get_alias(FunctionName=function, Name="live")["FunctionVersion"] == before
    assert cloud.ask("back")[1]["version"] == champion.version
    found = cloud.store.reconciliations.latest()
    assert found is not None
    assert [reason["code"] for reason in found.reasons] == ["artifact_changed", "unknown_endpoint"]
    assert [reason["by"].get("who") for reason in found.reasons] == [None, who]
    sagemaker.delete_endpoint(EndpointName="by-hand")
    s3.put_object(**place, Body=_profile())
    assert cloud.act("reconcile") == {"settled": True, "differences": [], "put_right": False}
    noted = [r for r in cloud.store.ledger.audit_records() if r.action.startswith("deployment_")]
    assert [r.action for r in noted] == ["deployment_put_right", "deployment_differs", "deployment_agrees"]
    moved = present(noted[0].reason)
    assert moved.startswith("requests go to $LATEST")
    assert moved.count(f"by {who} from 127.0.0.1") == 2


def test_what_serves_is_in_git_and_served_elsewhere_from_there(cloud: Cloud, tmp_path: Path) -> None:
    # GIVEN a version that serves, and a repository of one's own
    champion = cloud.store.versions.champion()
    assert champion is not None, "this test comes after the one that rolls versions out"
    for words in (["init", "-q"], ["config", "user.name", "Cleo"], ["config", "user.email", "cleo@example.org"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    # WHEN what came to serve, and what was taken back, is committed there
    done = commit_new(cloud.account, MODEL, tmp_path)
    # THEN each change is there once, as the rule had it archived
    said = [one.message.partition("\n")[0].removeprefix(f"{MODEL}: ") for one in done]
    assert said == [f"version {number} serves" for number in (champion.version - 1, *[champion.version] * 3)]
    assert commit_new(cloud.account, MODEL, tmp_path) == []
    # AND a server elsewhere, which has that file, answers as the deployed model does
    question = {"instances": [row("elsewhere")]}
    with Server(tmp_path / MODEL / "serving.json", says_which=True) as server:
        assert server.facts["version"] == champion.version
        status, body = server.ask("POST", f"/models/{MODEL}/predictions", question)
    assert status == 200, body
    here, there = cloud.ask("elsewhere")[1]["predictions"][0], json.loads(body)["predictions"][0]
    assert {**here, "prediction_id": ""} == {**there, "prediction_id": ""}


def test_a_model_moves_among_all_targets_under_requests(cloud: Cloud) -> None:
    # GIVEN a champion on instances, and callers
    champion = cloud.store.versions.champion()
    assert champion is not None, "this test comes after the one that rolls versions out"
    assert not champion.lambda_version.isdecimal()
    close_run(cloud.store, "train-4", when=cloud.now(), status="failed")
    with cloud.under_requests() as seen:
        # WHEN it is to be served without instances, THEN the champion is, and shares its requests with the next version
        cloud.declare("sagemaker_serverless", shadow=True, serverless=dict(SERVERLESS))
        without = moved(cloud, seen, "train-5", small_model(bias=0.9), unseen=True)
        wait_until(lambda: cloud.endpoints_of_versions() == [cloud.passed_on_to()])
        # AND a rollback to the one before can be tried there
        told = json.loads(CliRunner().invoke(everloop, ["drill", MODEL, "--json"]).output)
        assert (told["status"], told["previous_version"]) == ("passed", champion.version), told
        # WHEN a version comes there that has no score for any row, THEN it is taken back
        taken_back(cloud, seen, "train-6", small_model(bias=float("nan")), without)
        # AND all that is known of it says where it serves
        wait_until(lambda: len(cloud.endpoints_of_versions()) == 1)
        endpoint = cloud.passed_on_to()
        told = CliRunner().invoke(everloop, ["status", MODEL]).output
        assert re.search(rf"serverless +{endpoint}: function version \d+,\s+the\s+champion", told), told
        told = " ".join(CliRunner().invoke(everloop, ["trace", MODEL]).output.split())
        assert f"which passes requests on to endpoint {endpoint}" in told, told
        place = json.loads(CliRunner().invoke(everloop, ["manifest", MODEL, "--json"]).output)["manifest"]["target"]
        assert (place["kind"], place["endpoint"]) == ("sagemaker_serverless", endpoint)
        assert [one["code"] for one in cloud.act("reconcile")["differences"]] == ["idle_endpoint"], "that of instances"
        # WHEN it is to be served by function versions, THEN one shares requests with the endpoint, and takes them all
        cloud.declare("lambda_alias", serverless=dict(SERVERLESS))
        moved(cloud, seen, "train-7", small_model(bias=1.0))
        assert cloud.passed_on_to() == ""
        # AND what is left, which nobody asks, is reported with the way to delete it
        left = cloud.act("reconcile")["differences"]
        assert [one["code"] for one in left] == ["idle_endpoint", "unknown_endpoint"], left
        assert f"delete-endpoint --endpoint-name {endpoint}" in left[1]["sentence"]
        # WHEN it comes back, THEN so it does, and what was left is gone
        cloud.declare("sagemaker_serverless", serverless=dict(SERVERLESS))
        moved(cloud, seen, "train-8", small_model(bias=1.1))
        wait_until(lambda: cloud.endpoints_of_versions() == [cloud.passed_on_to()])
    # AND nobody saw an error
    assert {status for status, _ in seen} == {200}, seen


def taken_back(cloud: Cloud, seen: Seen, run_id: str, model: bytes, champion: int) -> None:
    """Roll a version out past its shadow, and back for its errors: one update of the alias does that."""
    bad = cloud.register(run_id, model)
    rollout = start(cloud, run_id, bad)
    assert any(f"-v{bad}-" in name for name in cloud.endpoints_of_versions())
    named = {"rollout_id": rollout["rollout_id"]}
    cloud.act("shift", rollout={**named, "step_index": 0})
    wait_for(seen, (200, str(bad)), 12)
    cloud.advance(3)
    decided = cloud.act("check", rollout=named, phase="canary")
    assert (decided["decision"], decided["reasons"][0]["code"]) == ("rollback", "error_rate"), decided
    assert cloud.act("rollback", rollout=named, reasons=decided["reasons"])["rolled_back"]
    close_run(cloud.store, run_id, when=cloud.now(), status="failed")
    wait_for(seen, (200, str(champion)), seen[200, str(champion)] + 10)


def moved(cloud: Cloud, seen: Seen, run_id: str, model: bytes, *, unseen: bool = False) -> int:
    """Roll a version out in steps where versions are to serve by now; its number."""
    before = present(cloud.store.versions.champion()).version
    version = cloud.register(run_id, model)
    rollout = start(cloud, run_id, version)
    if unseen:
        wait_for(seen, (200, str(before)), seen[200, str(before)] + SHADOW_ROWS + 2)
        decided, _ = look_at_shadow(cloud, rollout)
        assert decided["decision"] == "advance", decided
        cloud.act("shift", rollout={"rollout_id": rollout["rollout_id"], "step_index": 0})
    alias = cloud.account.client("lambda").get_alias(FunctionName=f"everloop-{MODEL}-predict", Name="live")
    assert alias["RoutingConfig"]["AdditionalVersionWeights"] == {rollout["lambda_version"]: 0.5}
    assert alias["FunctionVersion"] == present(cloud.store.versions.champion()).lambda_version
    wait_for(seen, (200, str(version)), 8)
    wait_for(seen, (200, str(before)), seen[200, str(before)] + 5)
    cloud.advance(11)
    decided = cloud.act("check", rollout={"rollout_id": rollout["rollout_id"]}, phase="canary")
    assert decided["decision"] == "promote", decided
    complete(cloud, rollout)
    wait_for(seen, (200, str(version)), seen[200, str(version)] + 10)
    return version


def test_what_is_deleted_with_the_model_runs_no_more(cloud: Cloud) -> None:
    # GIVEN an endpoint, WHEN a person removes the model
    client, named = cloud.account.client("sagemaker"), {"NameContains": ENDPOINT}
    assert delete_endpoint(cloud.account, MODEL)
    # THEN nothing of it is left that runs and costs
    assert client.list_endpoints(**named)["Endpoints"] == []
    assert client.list_endpoint_configs(**named)["EndpointConfigs"] == []
    assert client.list_models(**named)["Models"] == []
    # AND there is nothing to delete again
    assert not delete_endpoint(cloud.account, MODEL)
