from __future__ import annotations

import json
import math
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from everloop.environment import MissingSettingError
from everloop.functions.predict.handler import Environment, Predictor, fallback_of
from everloop.names import PREVIOUS_CHAMPION
from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.interval import Interval
from everloop.serving.after_answer import Deadline, Invocation
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.standby import STANDBY_VARIABLE, Standby
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, VERSION, StoredArtifact, row, small_contract, small_model
from tests.helpers.declarations import binary_document, declare
from tests.helpers.http_events import EPOCH_MS, http_event, rest_event
from tests.helpers.onnx_models import linear_model
from tests.helpers.present import present

ROOT = Path(__file__).parents[3]
PATH = f"/models/{MODEL}/predictions"


class Deployed:
    """A function version, with what it reads and writes in sight."""

    def __init__(self, capsys: pytest.CaptureFixture[str], event: Callable[..., dict[str, Any]] = http_event) -> None:
        self.event = event
        self.stored = StoredArtifact()
        self.s3, self.stream, self._capsys = FakeS3(self.stored.objects), FakeFirehose(), capsys
        self.variables = {
            "EVERLOOP_MODEL": MODEL,
            "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
            "EVERLOOP_PREDICTIONS_STREAM": "predictions",
            "EVERLOOP_VERSION": "7",
            "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
            "EVERLOOP_MANIFEST_SHA256": self.stored.manifest_sha256,
        }
        self.declared: tuple[NumberField | CategoryField, ...] = ()
        self.deadline: Deadline | None = None
        self.declaration: Any = {}
        self.logged: list[dict[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self.start()

    def serve(self, stored: StoredArtifact) -> None:
        """Bind it to another artefact."""
        self.stored, self.s3 = stored, FakeS3(stored.objects)
        self.variables["EVERLOOP_MANIFEST_SHA256"] = stored.manifest_sha256
        self.start()

    def start(self) -> None:
        """Start a new process."""
        environment = Environment.read(self.variables)
        self.predictor = Predictor(
            environment,
            s3_client=self.s3,
            firehose_client=self.stream,
            declared=self.declared,
            deadline=self.deadline,
            fallback=fallback_of(environment, self.declaration, self.s3),
        )

    def post(self, document: Any, **options: Any) -> tuple[int, dict[str, Any]]:
        answer = self.predictor.handle(self.event(document, path=PATH, **options), "4")
        self.read_log()
        assert answer["headers"] == {"content-type": "application/json"}
        return answer["statusCode"], json.loads(answer["body"])

    def read_log(self) -> None:
        """What was logged since the last look, and the newest counts."""
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        self.logged = [line for line in lines if "_aws" not in line]
        self.metrics = next((line for line in reversed(lines) if "_aws" in line), {})


@pytest.fixture(params=[http_event, rest_event])
def deployed(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Deployed:
    """As an HTTP API asks it, and as a REST API does."""
    return Deployed(capsys, request.param)


@pytest.mark.parametrize("in_base64", [False, True])
def test_valid_rows_are_answered_captured_and_counted(deployed: Deployed, in_base64: bool) -> None:
    rows = [row("t1"), row("t2", line="south", distance=0, wind=None, operator="zz")]
    status, document = deployed.post({"instances": rows}, in_base64=in_base64)

    # THEN the answer carries version, ids and probabilities in the request's order
    assert status == 200
    assert (document["model"], document["version"]) == (MODEL, 7)
    first, second = document["predictions"]
    assert (first["prediction_id"], first["prediction"]) == ("req-1-0", 1)
    assert first["probability"] == pytest.approx(0.8401, abs=1e-3)
    assert (second["prediction_id"], second["prediction"]) == ("req-1-1", 0)

    # AND each row is on the stream with the instant of the event
    assert [r["prediction_id"] for r in deployed.stream.taken] == ["req-1-0", "req-1-1"]
    assert {r["time"] for r in deployed.stream.taken} == {"2013-03-01 05:00:00.007"}
    assert deployed.stream.taken[0]["probability"] == first["probability"]

    # AND the metrics carry model, function version and the instant of the event
    metrics = deployed.metrics
    assert metrics["_aws"]["Timestamp"] == EPOCH_MS
    assert ["model", "lambda_version"] in metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert (metrics["model"], metrics["lambda_version"]) == (MODEL, "4")
    assert (metrics["Predictions"], metrics["ServerErrors"]) == (2, 0)
    assert {"CaptureFallback", "Faults"}.isdisjoint(metrics), "each costs something in an hour in which it is sent"
    assert metrics["UnseenCategories"] == 1
    assert metrics["PredictionLatency"] > 0


def test_a_fallback_answers_for_a_version_that_is_not_the_judged_one(deployed: Deployed) -> None:
    deployed.declaration = json.loads(declare(binary_document()).model_dump_json())
    deployed.declaration["serving"]["fallback"] = {"use": "value", "value": 0.7, "after_ms": None}
    deployed.s3.objects[PREFIX + "model.onnx"] = b"another"
    deployed.start()
    asked = {name: value for name, value in row("t1").items() if name != "day"}
    answer = deployed.predictor.handle(deployed.event({"instances": [asked]}, path=PATH), "4")
    deployed.read_log()

    # THEN the caller is answered, and told by what
    document = json.loads(answer["body"])
    assert (answer["statusCode"], document["fallback"], document["version"]) == (200, "value", 7)
    assert answer["headers"]["x-everloop-fallback"] == "value"
    assert [(r["version"], r["fallback"]) for r in deployed.stream.taken] == [(None, "value")]
    # AND it counts against the version as a failure does, beside what it is
    metrics = deployed.metrics
    assert (metrics["ServerErrors"], metrics["FallbackAnswers"], metrics["Faults"]) == (1, 1, 1)
    assert metrics["ArtifactRefused"] == 1
    first, second = deployed.logged
    assert (first["message"], first["fallback"], first["reason"]) == ("fell_back", "value", "artifact_refused")
    assert second["message"] == "artifact_refused"


def test_a_signed_version_serves_and_a_swapped_signature_does_not(deployed: Deployed) -> None:
    # GIVEN a function version that says whose signature its artefact has
    deployed.variables["EVERLOOP_SIGNER"] = deployed.stored.sign()
    deployed.serve(deployed.stored)
    assert deployed.post({"instances": [row()]})[0] == 200
    # WHEN another key's stands there, of the same bytes, and a process starts
    deployed.stored.sign("another")
    deployed.serve(deployed.stored)
    status, document = deployed.post({"instances": [row()]})
    # THEN it is refused as any other file would be
    assert (status, document["error"]["code"]) == (503, "artifact_refused")
    assert (deployed.metrics["ArtifactRefused"], deployed.metrics["ServerErrors"]) == (1, 1)
    (line,) = [one for one in deployed.logged if one["message"] == "artifact_refused"]
    assert line["file"] == "signature.json"
    assert deployed.variables["EVERLOOP_SIGNER"] in line["expected"]


@pytest.mark.parametrize(("signed_by", "status"), [("platform", 200), ("another", 500)])
def test_what_stands_by_must_be_signed_too(deployed: Deployed, signed_by: str, status: int) -> None:
    before, place = StoredArtifact(), "artifacts/late_train/000006/"
    signer = before.sign()
    before.sign(signed_by)
    deployed.serve(StoredArtifact(model=small_model(bias=float("nan"))))
    deployed.s3.objects |= {place + key.removeprefix(PREFIX): data for key, data in before.objects.items()}
    deployed.declaration = json.loads(declare(binary_document()).model_dump_json())
    deployed.declaration["serving"]["fallback"] = {"use": PREVIOUS_CHAMPION, "value": None, "after_ms": None}
    deployed.variables[STANDBY_VARIABLE] = Standby(VERSION, place, before.manifest_sha256, signer=signer).to_text()
    deployed.start()
    answer = deployed.predictor.handle(http_event({"instances": [row("t1")]}, path=PATH), "4")
    deployed.read_log()
    assert answer["statusCode"] == status


def test_the_champion_before_answers_for_a_candidate_of_no_scores(deployed: Deployed) -> None:
    # GIVEN a version that has no score, bound to the one that served before
    before, place = StoredArtifact(), "artifacts/late_train/000006/"
    deployed.serve(StoredArtifact(model=small_model(bias=float("nan"))))
    deployed.s3.objects |= {place + key.removeprefix(PREFIX): data for key, data in before.objects.items()}
    deployed.declaration = json.loads(declare(binary_document()).model_dump_json())
    deployed.declaration["serving"]["fallback"] = {"use": PREVIOUS_CHAMPION, "value": None, "after_ms": None}
    deployed.variables[STANDBY_VARIABLE] = Standby(VERSION, place, before.manifest_sha256).to_text()
    deployed.start()
    # WHEN it is asked twice
    for _ in range(2):
        answer = deployed.predictor.handle(deployed.event({"instances": [row("t1")]}, path=PATH), "4")
        # THEN that one answers, whose files are read when they are needed, once
        document = json.loads(answer["body"])
        assert (answer["statusCode"], document["fallback"]) == (200, PREVIOUS_CHAMPION)
        assert document["predictions"][0]["probability"] == pytest.approx(0.8401, abs=1e-3)
    assert sum(key.startswith(place) for key in deployed.s3.reads) == 3
    deployed.read_log()
    assert (deployed.metrics["ServerErrors"], deployed.metrics["FallbackAnswers"]) == (1, 1)


def test_later_requests_are_answered_and_captured_as_the_first_one(deployed: Deployed) -> None:
    rows = [row("t1"), row("t2", line="south", distance=0, wind=None, operator="zz")]
    (first, own), (later, others) = (deployed.post({"instances": rows}) for _ in range(2))
    assert (first, own) == (later, others)
    assert deployed.predictor._service._loaded[1].parser.is_compiled  # type: ignore[union-attr, index]  # has answered
    taken = [{**record, "latency_ms": 0} for record in deployed.stream.taken]
    assert taken[:2] == taken[2:]
    assert deployed.metrics["UnseenCategories"] == 1

    # AND refusals are the same too
    wrong = {"instances": [row("t1", distance=-1)]}
    refused = deployed.post(wrong)
    deployed.start()
    assert deployed.post(wrong) == refused


def test_what_no_caller_asked_is_answered_and_neither_captured_nor_counted(deployed: Deployed) -> None:
    # GIVEN the mark beside the request, as a rollout sets it
    event = {**http_event({"instances": [row()]}, path=PATH), "unseen": True}
    answer = deployed.predictor.handle(event, "4")
    deployed.read_log()
    assert (answer["statusCode"], json.loads(answer["body"])["version"]) == (200, 7)
    assert deployed.stream.taken == []
    assert deployed.metrics == {}
    # AND in the request, where a caller could put it, it is a key like any other
    status, _ = deployed.post({"instances": [row()]}, headers={"unseen": "true"})
    assert (status, len(deployed.stream.taken), deployed.metrics["Predictions"]) == (200, 1, 1)
    # AND no rollout asks as a REST API does
    deployed.predictor.handle({**rest_event({"instances": [row()]}, path=PATH), "unseen": True}, "4")
    assert len(deployed.stream.taken) == 2


def test_one_id_joins_log_trace_capture_and_label(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5-a;Sampled=1")
    whole_and_empty: tuple[dict[str, object], ...] = (row("t1"), {})
    for instance in whole_and_empty:
        deployed.post({"instances": [instance]})
        assert (deployed.metrics["request_id"], deployed.metrics["trace_id"]) == ("req-1", "Root=1-5-a;Sampled=1")
        groups = deployed.metrics["_aws"]["CloudWatchMetrics"]
        counted = {name for group in groups for names in group["Dimensions"] for name in names}
        assert counted.isdisjoint({"request_id", "trace_id"})
    (taken,) = deployed.stream.taken
    assert (taken["request_id"], taken["prediction_id"]) == ("req-1", "req-1-0")


def test_rows_may_come_compressed_and_another_type_is_named(deployed: Deployed) -> None:
    body = zlib.compress(json.dumps({"instances": [row("t1")]}).encode())
    status, document = deployed.post(body, headers={"content-encoding": "deflate"})
    assert (status, len(document["predictions"])) == (200, 1)
    status, document = deployed.post(body, headers={"content-encoding": "br"})
    assert (status, document["error"]["code"]) == (415, "unsupported_media_type")
    assert "'br'" in document["error"]["message"]


def test_the_artifact_is_read_once(deployed: Deployed) -> None:
    for _ in range(3):
        assert deployed.post({"instances": [row()]})[0] == 200
    assert sorted(deployed.s3.reads) == sorted(PREFIX + n for n in ("manifest.json", "contract.json", "model.onnx"))


@pytest.mark.parametrize(
    ("document", "status", "error"),
    [
        ("{", 400, {"code": "malformed_json", "field": None, "index": None}),
        ({"instances": [row(), row("t2", wind="x")]}, 400, {"code": "wrong_type", "field": "wind", "index": 1}),
        ('{"instances": "' + "x" * 2**20 + '"}', 413, {"code": "too_large", "field": None, "index": None}),
    ],
)
def test_a_wrong_request_is_answered_and_nothing_is_captured(
    deployed: Deployed, document: Any, status: int, error: dict[str, Any]
) -> None:
    found, answer = deployed.post(document)
    assert found == status
    assert error.items() <= answer["error"].items()
    assert answer["error"]["message"]
    assert deployed.stream.taken == []
    assert deployed.metrics["ServerErrors"] == 0
    assert "Predictions" not in deployed.metrics


class TestAScoreThatIsNotFinite:
    """GIVEN a regression whose contract sets a number no limits."""

    @pytest.fixture
    def linear(self, deployed: Deployed) -> Deployed:
        self.serve(deployed, bias=1.0)
        return deployed

    def serve(self, deployed: Deployed, *, bias: float, missing: float = 0.0) -> None:
        contract = small_contract(
            problem_type="regression",
            numbers=(NumberField("distance", median=120.0), NumberField("wind", missing="allow", median=3.0)),
            categories=(),
        )
        model = linear_model([10.0, 10.0], bias=bias, missing=missing, sigmoid=False)
        deployed.stored = StoredArtifact(contract, model)
        deployed.s3.objects = deployed.stored.objects
        deployed.variables["EVERLOOP_MANIFEST_SHA256"] = deployed.stored.manifest_sha256
        deployed.start()

    def numbers(self, key: str, distance: float, wind: float | None = 3.0) -> dict[str, Any]:
        return {"train_id": key, "distance": distance, "wind": wind}

    def test_is_the_rows_fault_where_its_numbers_overflow(self, linear: Deployed) -> None:
        rows = [self.numbers("t1", 100), self.numbers("t2", 1e308, None), self.numbers("t3", 100, None)]
        # WHEN one row of several overflows
        status, document = linear.post({"instances": rows})
        # THEN the caller learns which and why, nothing is captured, and no server error counts against the version
        assert (status, document["error"]["code"]) == (400, "out_of_range")
        assert (document["error"]["index"], document["error"]["field"]) == (1, "distance")
        assert "'distance' is 1e+308 (in training the median was 120.0)" in document["error"]["message"]
        assert (linear.metrics["ServerErrors"], linear.stream.taken) == (0, [])
        assert "Predictions" not in linear.metrics
        # AND the other rows are answered
        assert linear.post({"instances": [rows[0], rows[2]]})[0] == 200

    def test_is_nobodys_number_alone_where_two_are_needed_to_mend_it(self, linear: Deployed) -> None:
        status, document = linear.post({"instances": [self.numbers("t1", 1e308, -1e308)]})
        assert (status, document["error"]["code"]) == (400, "out_of_range")
        assert (document["error"]["index"], document["error"]["field"]) == (0, None)

    @pytest.mark.parametrize("distance", [100.0, 1e308])
    def test_is_the_models_fault_where_ordinary_numbers_get_none_either(
        self, deployed: Deployed, distance: float
    ) -> None:
        self.serve(deployed, bias=math.inf)
        status, document = deployed.post({"instances": [self.numbers("t1", distance), self.numbers("t2", 100)]})
        assert (status, document["error"]["code"], document["error"]["index"]) == (500, "no_score", 0)
        assert (deployed.metrics["ServerErrors"], deployed.metrics["UnusableScores"], deployed.metrics["Faults"]) == (
            1,
            2,
            1,
        )
        assert deployed.stream.taken == []

    def test_is_the_models_fault_where_its_contract_lets_the_value_be_missing(self, deployed: Deployed) -> None:
        """GIVEN a version from before all that a contract admits was probed."""
        self.serve(deployed, bias=1.0, missing=math.nan)
        rows = [self.numbers("t1", 100), self.numbers("t2", 100, None)]
        # WHEN one instance of two has null where it may
        status, document = deployed.post({"instances": rows})
        # THEN the caller is told which one, that it is right, and what to do
        assert (status, document["error"]["code"]) == (500, "no_score")
        assert (document["error"]["index"], document["error"]["field"]) == (1, "wind")
        message = document["error"]["message"]
        assert "nan for instance 1, where 'wind' is missing, as its contract allows" in message
        assert "the model is at fault" in message
        # AND the version's errors and its owner's log say so
        assert (deployed.metrics["ServerErrors"], deployed.metrics["UnusableScores"], deployed.metrics["Faults"]) == (
            1,
            1,
            1,
        )
        assert deployed.logged[-1]["message"] == "no_score"
        assert deployed.stream.taken == []
        # AND what is left is answered
        assert deployed.post({"instances": rows[:1]})[0] == 200


class TestWhileAModelChanges:
    """GIVEN a champion and a candidate whose contracts differ, each under the declaration of today."""

    SEATS = NumberField("seats", min=0, missing="allow")

    def serve(self, deployed: Deployed, contract: ServingContract, weights: list[float]) -> None:
        deployed.stored = StoredArtifact(contract, linear_model(weights))
        deployed.s3.objects = deployed.stored.objects
        deployed.variables["EVERLOOP_MANIFEST_SHA256"] = deployed.stored.manifest_sha256
        deployed.start()

    @pytest.mark.parametrize("version", ["champion", "candidate"])
    @pytest.mark.parametrize("caller", ["old", "new"])
    def test_an_optional_feature_is_added_and_nobody_is_refused(
        self, deployed: Deployed, version: str, caller: str
    ) -> None:
        distance = NumberField("distance", min=0)
        deployed.declared = (replace(distance, missing="allow"), self.SEATS)
        new = (distance, self.SEATS) if version == "candidate" else (distance,)
        self.serve(deployed, small_contract(numbers=new, categories=()), [0.001] * len(new))
        sent = {"train_id": "t1", "distance": 100.0} | ({"seats": 300.0} if caller == "new" else {})
        status, answer = deployed.post({"instances": [sent]})
        # THEN only the version that uses it answers otherwise for it
        z = 0.1 + (0.3 if (version, caller) == ("candidate", "new") else 0.0)
        assert status == 200
        assert answer["predictions"][0]["probability"] == pytest.approx(1 / (1 + math.exp(-z)))
        # AND the lake has it from the first caller who sends it, whoever answers
        assert deployed.stream.taken[0]["seats"] == (300.0 if caller == "new" else None)

    @pytest.mark.parametrize("caller", ["old", "new"])
    def test_a_feature_that_is_used_no_more_may_still_be_sent_while_it_is_declared(
        self, deployed: Deployed, caller: str
    ) -> None:
        deployed.declared = (NumberField("distance", missing="allow"), self.SEATS)
        self.serve(deployed, small_contract(numbers=(NumberField("distance"),), categories=()), [0.001])
        sent = {"train_id": "t1", "distance": 100.0} | ({"seats": 300.0} if caller == "old" else {})
        assert deployed.post({"instances": [sent]})[0] == 200

    def test_what_a_version_refuses_is_counted_by_it_with_the_cause(self, deployed: Deployed) -> None:
        assert deployed.post({"instances": [row(), row("t2", seats=3)]})[0] == 400
        metrics = deployed.metrics
        assert (metrics["RequestsRefused"], metrics["ClientErrors"], metrics["ServerErrors"]) == (1, 1, 0)
        assert (metrics["cause"], metrics["lambda_version"]) == ("unknown_feature", "4")
        by_cause = metrics["_aws"]["CloudWatchMetrics"][1]
        assert [m["Name"] for m in by_cause["Metrics"]] == ["ClientErrors"]
        assert ["model", "lambda_version", "cause"] in by_cause["Dimensions"]

    def test_nonsense_is_no_contracts_refusal(self, deployed: Deployed) -> None:
        """GIVEN a body that no version takes; THEN it is counted, and says nothing about the version."""
        assert deployed.post("{")[0] == 400
        assert (deployed.metrics["RequestsRefused"], deployed.metrics["ClientErrors"]) == (0, 1)
        assert deployed.post({"instances": [row()]})[0] == 200
        assert "ClientErrors" not in deployed.metrics


def test_without_a_version_there_is_no_champion(deployed: Deployed) -> None:
    deployed.variables.update(EVERLOOP_VERSION="", EVERLOOP_ARTIFACT_PREFIX="", EVERLOOP_MANIFEST_SHA256="")
    deployed.start()
    status, document = deployed.post({"instances": [row()]})
    assert (status, document["error"]["code"]) == (503, "no_champion")
    assert deployed.metrics["ServerErrors"] == 1


def test_altered_bytes_are_refused_until_they_are_healed(deployed: Deployed) -> None:
    # GIVEN a model that is not the evaluated one
    whole = deployed.s3.objects[PREFIX + "model.onnx"]
    deployed.s3.objects[PREFIX + "model.onnx"] = linear_model([9.0, 9.0], [{}, {}, {}])
    # THEN every request is refused, counted and logged with file and hashes
    for _ in range(2):
        status, document = deployed.post({"instances": [row()]})
        assert (status, document["error"]["code"]) == (503, "artifact_refused")
        assert (deployed.metrics["ArtifactRefused"], deployed.metrics["ServerErrors"], deployed.metrics["Faults"]) == (
            1,
            1,
            1,
        )
        log = deployed.logged[-1]
        assert (log["level"], log["message"], log["file"]) == ("ERROR", "artifact_refused", "model.onnx")
        assert log["expected"].startswith("sha256 ")
        assert log["found"].startswith("sha256 ")
    assert deployed.stream.taken == []
    # WHEN it is put right, the next request is answered
    deployed.s3.objects[PREFIX + "model.onnx"] = whole
    assert deployed.post({"instances": [row()]})[0] == 200


CALIBRATED = Calibration("log_odds", (Part(1.0, -3.0, 1.0),), 5.0)


def test_a_calibration_moves_what_is_served_and_leaves_what_the_model_said(deployed: Deployed) -> None:
    # GIVEN answers without a calibration
    _, before = deployed.post({"instances": [row("t1")]})
    assert before["calibration"] is None
    # WHEN the function version has one
    deployed.variables["EVERLOOP_CALIBRATION"] = CALIBRATED.to_text()
    deployed.start()
    status, document = deployed.post({"instances": [row("t1")]})
    # THEN the answer has both scores and names version and calibration; the served one decides
    assert status == 200
    assert (document["version"], document["calibration"]) == (7, CALIBRATED.sha256[:12])
    (plain,), (served,) = before["predictions"], document["predictions"]
    assert plain["raw_score"] == plain["probability"] == served["raw_score"]
    assert served["probability"] == CALIBRATED.apply(np.array([plain["probability"]]))[0]
    assert (plain["prediction"], served["prediction"]) == (1, 0)
    # AND both are captured, with the calibration
    first, second = deployed.stream.taken
    assert (first["raw_score"], first["probability"], first["calibration_sha256"]) == (
        plain["probability"], plain["probability"], None,
    )  # fmt: skip
    assert (second["raw_score"], second["probability"]) == (plain["probability"], served["probability"])
    assert (second["prediction"], second["calibration_sha256"]) == (0.0, CALIBRATED.sha256)


OWN = (Part(1.0, 2.0, 1.0),)
BY_OPERATOR = replace(CALIBRATED, by=GroupBy("operator", values=("a", "b")), groups=(OWN, None))
BY_WIND = replace(CALIBRATED, by=GroupBy("wind", edges=(5.0,)), groups=(None, OWN))


@pytest.mark.parametrize(
    ("calibration", "own", "shared"),
    [
        (BY_OPERATOR, {"operator": "a"}, {"operator": "b"}),
        (BY_OPERATOR, {"operator": "a"}, {"operator": "unseen"}),
        (BY_OPERATOR, {"operator": "a"}, {"operator": None}),
        (BY_WIND, {"wind": 5.0}, {"wind": 4.99}),
        (BY_WIND, {"wind": 99.0}, {"wind": None}),
    ],
)
def test_a_group_is_served_by_its_own_calibration_and_all_others_by_the_shared_one(
    deployed: Deployed, calibration: Calibration, own: dict[str, Any], shared: dict[str, Any]
) -> None:
    deployed.variables["EVERLOOP_CALIBRATION"] = calibration.to_text()
    deployed.start()
    status, document = deployed.post({"instances": [row("t1", **own), row("t2", **shared), row("t3", **own)]})
    assert (status, document["calibration"]) == (200, calibration.sha256[:12])
    for place, (answered, captured) in enumerate(zip(document["predictions"], deployed.stream.taken, strict=True)):
        raw, served = np.array([answered["raw_score"]]), answered["probability"]
        mine = present(calibration.by).names.index("a" if calibration is BY_OPERATOR else "5 and above")
        expected = calibration.apply(raw, np.array([mine])) if place != 1 else CALIBRATED.apply(raw)
        assert (served, captured["probability"]) == (expected[0], expected[0])
        assert (served > CALIBRATED.apply(raw)[0]) == (place != 1)
        assert captured["calibration_sha256"] == calibration.sha256


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", "an object of"),
        (BY_OPERATOR.to_text().replace("operator", "platform"), "'platform'"),
        (BY_OPERATOR.to_text().replace("operator", "wind"), "'wind'"),
        (CALIBRATED.to_text().replace("log_odds", "value"), "kind 'value'"),
    ],
)
def test_what_is_no_calibration_of_the_model_is_refused(deployed: Deployed, text: str, found: str) -> None:
    deployed.variables["EVERLOOP_CALIBRATION"] = text
    deployed.start()
    status, document = deployed.post({"instances": [row()]})
    assert (status, document["error"]["code"]) == (503, "artifact_refused")
    log = deployed.logged[-1]
    assert "calibration" in log["file"]
    assert found in log["found"]
    assert deployed.stream.taken == []


VALUES = small_contract(problem_type="regression", interval=Interval(0.9, 0.25, 2.0))
WIDER = Calibration("value", (Part(1.0, 10.0, 1.0),), 20.0, spread=(0.5, 2.0))


def test_a_version_with_an_interval_says_between_what_its_values_lie(deployed: Deployed) -> None:
    deployed.serve(StoredArtifact(VALUES))
    _, before = deployed.post({"instances": [row("t1"), row("t2")]})
    assert before["coverage"] == 0.9
    for plain in before["predictions"]:
        assert (plain["low"], plain["high"]) == (plain["prediction"] - 0.25, plain["prediction"] + 2.0)
    # WHEN it is recalibrated, THEN bounds follow the level, and their distance the spread
    deployed.variables["EVERLOOP_CALIBRATION"] = WIDER.to_text()
    deployed.start()
    _, after = deployed.post({"instances": [row("t1"), row("t2")]})
    for plain, served in zip(before["predictions"], after["predictions"], strict=True):
        assert served["prediction"] == plain["raw_score"] + 10.0
        assert (served["low"], served["high"]) == (served["prediction"] - 0.125, served["prediction"] + 4.0)
    # AND the lake has what was answered
    answered = [*before["predictions"], *after["predictions"]]
    found = [(taken["prediction_low"], taken["prediction_high"]) for taken in deployed.stream.taken]
    assert found == [(each["low"], each["high"]) for each in answered]


def test_a_spread_of_a_version_without_an_interval_is_refused(deployed: Deployed) -> None:
    deployed.serve(StoredArtifact(replace(VALUES, interval=None)))
    status, document = deployed.post({"instances": [row("t1")]})
    assert status == 200
    assert document.keys() == {"model", "version", "calibration", "predictions"}
    assert "prediction_low" not in deployed.stream.taken[0]
    deployed.variables["EVERLOOP_CALIBRATION"] = WIDER.to_text()
    deployed.start()
    status, document = deployed.post({"instances": [row("t1")]})
    assert (status, document["error"]["code"]) == (503, "artifact_refused")


def test_another_version_than_the_bound_one_is_refused(deployed: Deployed) -> None:
    deployed.variables["EVERLOOP_VERSION"] = "8"
    deployed.start()
    assert deployed.post({"instances": [row()]})[0] == 503


def test_a_stream_that_is_down_costs_no_answer_and_no_record(deployed: Deployed) -> None:
    deployed.stream.down = True
    status, _ = deployed.post({"instances": [row("t1"), row("t2")]})
    assert status == 200
    assert (deployed.metrics["CaptureFallback"], deployed.metrics["Faults"]) == (2, 1)
    assert {entry["message"] for entry in deployed.logged} == {"capture_fallback"}
    assert [entry["record"]["key"] for entry in deployed.logged] == ["t1", "t2"]
    assert deployed.logged[0]["record"]["distance"] == 120.0
    assert (deployed.logged[0]["level"], deployed.logged[0]["timestamp"]) == ("ERROR", "2013-03-01T05:00:00.007+00:00")


class TestAfterTheAnswer:
    """GIVEN a function that Lambda lets work on after its answers."""

    @pytest.fixture
    def after(self, deployed: Deployed) -> Deployed:
        deployed.deadline = Deadline(lambda: 0.0)
        deployed.start()
        return deployed

    def test_the_answer_waits_for_no_stream(self, after: Deployed) -> None:
        status, document = after.post({"instances": [row("t1")]})
        assert (status, after.stream.calls) == (200, [])
        after.predictor.finish(Invocation("", 10.0))
        assert [taken["prediction_id"] for taken in after.stream.taken] == [document["predictions"][0]["prediction_id"]]
        after.read_log()
        assert (after.logged, after.metrics) == ([], {})

    def test_what_the_stream_does_not_take_is_logged_and_counted(self, after: Deployed) -> None:
        after.stream.down = True
        assert after.post({"instances": [row("t1"), row("t2")]})[0] == 200
        assert "CaptureFallback" not in after.metrics
        after.predictor.finish(Invocation("", 10.0))
        after.read_log()
        assert (after.metrics["CaptureFallback"], after.metrics["Faults"]) == (2, 1)
        assert (after.metrics["lambda_version"], after.metrics["_aws"]["Timestamp"]) == ("4", EPOCH_MS)
        assert [entry["record"]["key"] for entry in after.logged] == ["t1", "t2"]

    @pytest.mark.parametrize("event", [{}, {"requestContext": {"timeEpoch": "x"}}])
    def test_an_event_of_another_kind_holds_nothing_up(self, after: Deployed, event: dict[str, Any]) -> None:
        with pytest.raises((KeyError, ValueError)):
            after.predictor.handle(event, "4", "id")
        after.predictor.finish(Invocation("id", 10.0))
        assert after.stream.calls == []


def test_trouble_in_the_store_is_counted_and_raised(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.s3.failing = "SlowDown"
    with pytest.raises(ClientError, match="SlowDown"):
        deployed.post({"instances": [row()]})
    assert json.loads(capsys.readouterr().out)["ServerErrors"] == 1
    deployed.s3.failing = ""
    assert deployed.post({"instances": [row()]})[0] == 200


@pytest.mark.parametrize("name", ["EVERLOOP_MODEL", "EVERLOOP_MANIFEST_SHA256", "EVERLOOP_ARTIFACT_PREFIX"])
def test_a_missing_setting_is_named(deployed: Deployed, name: str) -> None:
    del deployed.variables[name]
    with pytest.raises(MissingSettingError, match=name):
        Environment.read(deployed.variables)


IMPORT_BUDGET = {
    "aws_lambda_powertools",
    "awswrangler",
    "boto3",
    "botocore",
    "onnx",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy",
    "sklearn",
    "yaml",
}


@pytest.mark.slow
def test_importing_the_handler_brings_in_nothing_heavy() -> None:
    program = "import sys, everloop.functions.predict.handler; print(*{n.split('.')[0] for n in sys.modules})"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert IMPORT_BUDGET & set(run.stdout.split()) == set()


def test_requirements_are_the_pins_of_the_whole_project() -> None:
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    for name in ("predict", "labels", "snapshot"):
        for line in (ROOT / "functions" / name / "requirements.txt").read_text().split():
            assert line.lower() in constraints
