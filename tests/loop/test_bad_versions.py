"""Each kind of bad version is taken back under callers, by Lambda and by an endpoint, and a good one comes to serve.

One cloud with the same model on both targets. Versions are registered as they stand, without a training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from everloop.cli.operations.local_cloud import LocalCloud, bring_up, free_port
from everloop.instants import instant_text
from everloop.registry import RegistryStore
from everloop.serving.contract import NumberField
from tests.helpers.artifacts import row, small_contract, small_model
from tests.helpers.declarations import binary_document, with_endpoint
from tests.helpers.onnx_models import linear_model
from tests.helpers.registry_scenes import close_run, manifest_of, open_run, register
from tests.helpers.synthesis import synthesize_models, write_model
from tests.loop.callers import Seen, calling
from tests.loop.standing_cloud import Loop
from tests.loop.test_endpoint import BEGIN, Cloud, complete, start, wait_for

pytestmark = [pytest.mark.xdist_group("loop of bad versions"), pytest.mark.slow]

TARGETS = {"late_tram": "lambda_alias", "late_train": "sagemaker_endpoint"}
SLOW_MS = 600


@cache
def _document(model: str) -> dict[str, Any]:
    guardrail = {
        "max_error_rate": 0.05,
        "max_p99_latency_ms": SLOW_MS,
        "minimum_requests": 3,
        "scores": {"max_distance": 0.1},
        "quality": {"max_added_loss": 0.05},
    }
    rollout = {"steps": [{"percent": 50, "minutes": 60}], "bake_minutes": 60, "guardrail": guardrail}
    document = binary_document(model=model, rollout=rollout, data={"label_lag_hours": 0})
    return with_endpoint(document) if TARGETS[model] == "sagemaker_endpoint" else document


@dataclass(frozen=True)
class Bad:
    """A version, what its callers get where it answers, and the code by which it goes."""

    code: str
    model: bytes
    gets: tuple[int, str] | None = None
    contract: dict[str, Any] | None = None
    answers: int = 12
    labels: bool = False


@dataclass
class Callers(Cloud):
    """One of the models, and its callers: every other one's train is of another line."""

    model: str = ""

    def __post_init__(self) -> None:
        self.account = self.cloud.account()
        self.store = RegistryStore(self.account.client("dynamodb"), self.account.platform.table, self.model)
        self.url = self.account.model(self.model).predictions_url

    def register_bad(self, run_id: str, bad: Bad) -> int:
        """Register a version with its files, as the pipeline would; its number. Its run stays open."""
        open_run(self.store, run_id, when=self.now())
        contract = small_contract(model=self.model, **(bad.contract or {}))
        contents = {"model.onnx": bad.model, "contract.json": contract.to_json(), "report.json": b"{}"}
        version = register(self.store, run_id, contents=contents)
        for name, data in {**contents, "manifest.json": manifest_of(version).content}.items():
            bucket, key = self.account.platform.artifact_bucket, f"{version.artifact_prefix}{name}"
            self.account.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
        return version.version

    def asked(self, action: str, **event: Any) -> tuple[dict[str, Any], bool]:
        """What the rollout function says, and whether that is an error; as the pipeline does, until it is ready."""
        payload = json.dumps({"action": action, "at": instant_text(self.now()), **event})
        while True:
            answer = self.account.client("lambda").invoke(
                FunctionName=f"everloop-{self.model}-rollout", Payload=payload
            )
            document: dict[str, Any] = json.loads(answer["Payload"].read())
            if document.get("errorType") != "EndpointNotReadyError":
                return document, "FunctionError" in answer

    def ask(self, key: str) -> tuple[int, Any]:
        line = "north" if int(key.rpartition("-")[2]) % 2 else "south"
        body = json.dumps({"instances": [row(key, line=line)]}).encode()
        return Loop.send(cast("Loop", self), "POST", self.url, body)

    def tell(self, keys: list[str]) -> None:
        """Send labels: what goes north is late."""
        labels = [{"key": key, "label": int(key.rpartition("-")[2]) % 2} for key in keys]
        status, answer = Loop.send(
            cast("Loop", self),
            "POST",
            self.account.model(self.model).labels_url,
            json.dumps({"labels": labels}).encode(),
        )
        assert status < 300, answer


def _slow() -> bytes:
    """The small model, which multiplies large matrices beside its score: more than a second of work."""
    model = onnx.load_from_string(small_model())
    graph = model.graph
    (last,) = (node for node in graph.node if "score" in node.output)
    before = last.input[0]
    square = np.full((1400, 1400), 1e-3)
    graph.initializer.append(numpy_helper.from_array(square, "slow_matrix"))
    graph.initializer.append(numpy_helper.from_array(np.array(0.0), "slow_zero"))
    # It begins with the row, so that nothing of it is known before.
    graph_nodes = [
        helper.make_node("ReduceSum", ["num"], ["slow_sum"], keepdims=0),
        helper.make_node("Mul", ["slow_matrix", "slow_sum"], ["slow_0"]),
    ]
    times = 7
    graph_nodes += [helper.make_node("MatMul", [f"slow_{i}", "slow_matrix"], [f"slow_{i + 1}"]) for i in range(times)]
    graph_nodes += [
        helper.make_node("ReduceSum", [f"slow_{times}"], ["slow_all"], keepdims=0),
        helper.make_node("Mul", ["slow_all", "slow_zero"], ["slow_none"]),
        helper.make_node("Add", [before, "slow_none"], ["slow_score"]),
    ]
    last.input[0] = "slow_score"
    rest = [node for node in graph.node if node is not last]
    del graph.node[:]
    graph.node.extend([*rest, *graph_nodes, last])
    return model.SerializeToString()


def _mirrored() -> bytes:
    """As often as likely late as the small model says, of the other line's trains."""
    return linear_model([0.001, 0.01], [{"north": -1.0, "south": 1.0}, {"a": 0.5}, {}])


def _kinds() -> Iterator[Bad]:
    narrow = (NumberField("distance", min=0, max=100), NumberField("wind", missing="allow"))
    yield Bad("error_rate", small_model(bias=float("nan")), gets=(500, "no_score"))
    yield Bad("refused_requests", small_model(), gets=(400, "out_of_range"), contract={"numbers": narrow})
    yield Bad("p99_latency", _slow(), answers=4)
    yield Bad("score_distance", small_model(bias=-4.0), answers=80)
    yield Bad("added_loss", _mirrored(), answers=80, labels=True)


GOOD, BETTER = Bad("", small_model()), Bad("", small_model(bias=0.05))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder, before = tmp_path_factory.mktemp("bad"), dict(os.environ)
    for model in TARGETS:
        write_model(folder / "models", _document(model))
    brought = bring_up(
        port=free_port(),
        state_directory=folder / "state",
        say=print,
        start_at=BEGIN,
        stop_with_parent=True,
        synthesize=lambda _: synthesize_models(folder / "models", folder),
    )
    try:
        yield brought
    finally:
        brought.running.stop()
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize("model", TARGETS)
def test_each_kind_of_bad_version_is_taken_back_and_a_good_one_serves(cloud: LocalCloud, model: str) -> None:
    # GIVEN a champion, and callers who ask all the time
    callers = Callers(cloud, Path(), model=model)
    first = callers.register_bad("train-1", GOOD)
    complete(callers, start(callers, "train-1", first))
    with calling(callers.ask, pause_seconds=0.15) as seen:
        wait_for(seen, (200, str(first)), 5)
        # WHEN a version of each bad kind takes half of them
        for number, bad in enumerate(_kinds(), start=2):
            decided = judged(callers, seen, f"train-{number}", bad, first)
            # THEN it is taken back for what it is, and the champion answers everybody
            assert decided["decision"] == "rollback", decided
            assert bad.code in [reason["code"] for reason in decided["reasons"]], decided
            wait_for(seen, (200, str(first)), seen[200, str(first)] + 5)
        # WHEN a good one comes
        good = callers.register_bad("train-9", BETTER)
        rollout = start(callers, "train-9", good)
        wait_for(seen, (200, str(good)), 60)
        callers.advance(61)
        decided = callers.act("check", rollout={"rollout_id": "train-9"}, phase="canary")
        # THEN it is promoted
        assert decided["decision"] == "promote", decided
        complete(callers, rollout)
        wait_for(seen, (200, str(good)), seen[200, str(good)] + 10)
    # AND nobody got anything that a version had not answered
    odd = {kind: count for kind, count in seen.items() if kind[0] != 200}
    assert set(odd) <= {bad.gets for bad in _kinds()}, odd


def judged(callers: Callers, seen: Seen, run_id: str, bad: Bad, champion: int) -> dict[str, Any]:
    """Roll a bad version out under the callers, and back; what was decided."""
    version = callers.register_bad(run_id, bad)
    rollout = start(callers, run_id, version)
    gets = bad.gets or (200, str(version))
    before, of_champion = seen[gets], seen[200, str(champion)]
    wait_for(seen, gets, before + bad.answers)
    wait_for(seen, (200, str(champion)), of_champion + bad.answers)
    if bad.labels:
        newest = sum(seen.values()) // 2
        numbers = range(max(1, newest - 200), newest + 40)
        callers.tell([f"caller{i}-{number}" for i in range(2) for number in numbers])
    callers.advance(3 if bad.answers < 80 else 50)
    decided = callers.act("check", rollout={"rollout_id": rollout["rollout_id"]}, phase="canary")
    named = {"rollout_id": rollout["rollout_id"]}
    assert callers.act("rollback", rollout=named, reasons=decided["reasons"])["rolled_back"]
    close_run(callers.store, run_id, when=callers.now(), status="failed")
    return decided
