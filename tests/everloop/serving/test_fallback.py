"""What answers where a model can't: marked in every protocol, captured as no version's, and counted."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from everloop.problem_types import MULTICLASS
from everloop.recalibration.calibration import Calibration, calibration_name
from everloop.recalibration.written import Part
from everloop.serving.answer import Answer
from everloop.serving.artifact import Artifact, verified_artifact
from everloop.serving.capture import Record, RecordFailure
from everloop.serving.contract import NumberField, ServingContract
from everloop.serving.declared import Declared, DeclaredFallback
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import HttpRequest
from everloop.serving.fallback import Fallback, Previous, Source, TimeLimit, TooSlowError
from everloop.serving.passed_on import decode_answer, encode_answer
from everloop.serving.response import CUSTOM_ATTRIBUTES, FALLBACK_HEADER
from everloop.serving.service import PredictionService
from everloop.serving.standby import Standby, StandbyFormatError
from tests.helpers.artifacts import MODEL, PREFIX, VERSION, StoredArtifact, small_contract, small_model
from tests.helpers.artifacts import row as whole_row
from tests.helpers.declarations import binary_document, declare

AT = datetime(2013, 3, 1, 5, tzinfo=UTC)
VALUE: DeclaredFallback = {"use": "value", "value": 0.2, "after_ms": None}
PREVIOUS: DeclaredFallback = {"use": "previous_champion", "value": None, "after_ms": None}
BASELINE: DeclaredFallback = {"use": "baseline", "value": None, "after_ms": None}


def row(key: str, **changes: object) -> dict[str, object]:
    """A row of the features that are declared as well."""
    return {name: value for name, value in whole_row(key, **changes).items() if name != "day"}


class Kept:
    """Keeps what is captured."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, records: Any) -> list[RecordFailure]:
        self.records.extend(records)
        return []


class Failing:
    """A model whose run fails as onnxruntime's does: with an error of no class that is known."""

    def score(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION")


def stored(learned: dict[str, Any] | None = None) -> StoredArtifact:
    record = None if learned is None else json.dumps({"baseline": learned}).encode()
    return StoredArtifact(record=record)


class Served:
    """A version behind the data plane, with its fallback."""

    def __init__(
        self,
        declared: DeclaredFallback | None,
        files: StoredArtifact | None = None,
        *,
        broken: str = "",
        model: Any = None,
        contract: ServingContract | None = None,
        previous: Previous | None = None,
    ) -> None:
        self.files, self.kept = files or stored(), Kept()
        objects = dict(self.files.objects)
        if broken:
            objects[PREFIX + broken] = b"something else"

        def read(name: str) -> bytes:
            return objects[PREFIX + name]

        def load() -> Artifact:
            artifact = verified_artifact(read, self.files.manifest_sha256)
            artifact = artifact if contract is None else replace(artifact, contract=contract)
            return artifact if model is None else replace(artifact, scorer=model)

        fallback = None
        if declared is not None:
            document: Declared = json.loads(declare(binary_document()).model_dump_json())
            source = Source(read, self.files.manifest_sha256)
            fallback = Fallback(MODEL, declared, document, version=VERSION, source=source, previous=previous)
        self.service = PredictionService(MODEL, load, self.kept, lambda: 0.0, (), fallback)

    def ask(self, path: str = "predictions", body: Any = None, *, unseen: bool = False, **headers: str) -> Answer:
        document = {"instances": [row("t1"), row("t2")]} if body is None else body
        sent = document if isinstance(document, str) else json.dumps(document)
        request = HttpRequest(body=sent, headers=headers)
        return self.service.answer(path, request, request_id="req-1", at=AT, unseen=unseen)


def counts(answer: Answer) -> dict[str, float]:
    return {metric.name: metric.value for metric in answer.metrics}


def test_a_model_whose_run_fails_is_stood_in_for() -> None:
    served = Served(VALUE, model=Failing())
    answer = served.ask()
    document = json.loads(answer.reply.body)
    # THEN callers have an answer that says what it is, in body and header
    assert answer.status == 200
    assert (document["version"], document["fallback"]) == (VERSION, "value")
    assert [(p["prediction"], p["probability"]) for p in document["predictions"]] == [(0, 0.2), (0, 0.2)]
    assert answer.reply.headers[FALLBACK_HEADER] == "value"
    # AND it is captured with the mark, as no version's
    assert [(r["version"], r["fallback"], r["probability"]) for r in served.kept.records] == [(None, "value", 0.2)] * 2
    # AND counted, and somebody's to look at
    assert counts(answer)["FallbackAnswers"] == 2
    assert "Predictions" not in counts(answer)
    assert answer.is_faulty
    assert answer.is_models_failure
    assert answer.fell_back is not None
    assert (answer.fell_back.reason, answer.fell_back.failed) == ("model_failed", "")
    assert "RUNTIME_EXCEPTION" in answer.fell_back.detail


@pytest.mark.parametrize("broken", ["model.onnx", "contract.json", "manifest.json"])
def test_a_version_that_is_not_the_judged_one_is_stood_in_for_by_a_value(broken: str) -> None:
    answer = Served(VALUE, broken=broken).ask()
    assert answer.status == 200
    assert answer.fell_back is not None
    assert answer.fell_back.reason == "artifact_refused"
    assert counts(answer)["ArtifactRefused"] == 1
    assert answer.refused is not None


LEARNED = {
    "prior": {"kind": "prior", "value": 0.3, "by": None, "groups": {}},
    "group_mean": {"kind": "group_mean", "value": 0.3, "by": "line", "groups": {"north": 0.7}},
    "expression": {
        "kind": "expression",
        "value": 0.3,
        "by": None,
        "groups": {},
        "numbers": {"true": 0.4, "false": 0.1},
        "expression": "distance > 100",
    },
}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("prior", [(0, 0.3), (0, 0.3)]),
        ("group_mean", [(1, 0.7), (0, 0.3)]),
        # A rule that decides by itself does, whatever the threshold.
        ("expression", [(1, 0.4), (0, 0.1)]),
    ],
)
def test_the_baseline_answers_what_it_learned(kind: str, expected: list[tuple[int, float]]) -> None:
    served = Served(BASELINE, stored(LEARNED[kind]), broken="model.onnx")
    answer = served.ask(body={"instances": [row("t1"), row("t2", line="south", distance=3)]})
    document = json.loads(answer.reply.body)
    assert document["fallback"] == "baseline"
    assert [(p["prediction"], p["probability"]) for p in document["predictions"]] == expected
    assert [record["prediction"] for record in served.kept.records] == [float(first) for first, _ in expected]


@pytest.mark.parametrize("broken", ["contract.json", "training.json", "manifest.json"])
def test_a_baseline_of_other_files_answers_nothing(broken: str) -> None:
    served = Served(BASELINE, stored(LEARNED["prior"]), broken=broken, model=Failing())
    if broken == "training.json":
        with pytest.raises(RuntimeError, match="RUNTIME_EXCEPTION"):
            served.ask()
        return
    answer = served.ask()
    assert answer.status == 503
    assert answer.fell_back is not None
    assert "ArtifactRefusedError" in answer.fell_back.failed
    assert served.kept.records == []
    assert FALLBACK_HEADER not in answer.reply.headers


def test_every_protocol_marks_it() -> None:
    served = Served(VALUE, model=Failing())
    rows = [row("t1"), row("t2")]
    tensors = [
        {"name": name, "shape": [2], "datatype": kind, "data": [each[name] for each in rows]}
        for name, kind in {
            "train_id": "BYTES", "distance": "FP64", "wind": "FP64", "line": "BYTES", "operator": "BYTES",
        }.items()
    ]  # fmt: skip
    v2 = json.loads(served.ask(f"v2/models/{MODEL}/infer", {"inputs": tensors}).reply.body)
    assert v2["parameters"]["fallback"] == "value"
    assert json.loads(served.ask("mlflow/invocations").reply.body)["fallback"] == "value"
    sagemaker = served.ask("sagemaker/invocations", accept="application/jsonlines")
    assert [json.loads(line)["fallback"] for line in sagemaker.reply.body.splitlines()] == ["value", "value"]
    assert sagemaker.reply.headers[CUSTOM_ATTRIBUTES] == "fallback=value"
    table = served.ask("sagemaker/invocations", accept="text/csv; header=present").reply.body.decode().splitlines()
    assert table[0].endswith(",fallback")
    assert table[1].endswith(",value")


def test_the_models_own_answers_bear_no_mark() -> None:
    served = Served(VALUE)
    answer = served.ask()
    assert "fallback" not in json.loads(answer.reply.body)
    assert FALLBACK_HEADER not in answer.reply.headers
    assert "fallback" not in served.kept.records[0]
    assert not answer.is_models_failure


def test_what_the_caller_did_wrong_is_still_refused() -> None:
    for served in (Served(VALUE), Served(VALUE, broken="model.onnx"), Served(VALUE, broken="contract.json")):
        answer = served.ask(body={"instances": [{"train_id": "t1", "distance": "far"}]})
        assert (answer.status, answer.fell_back) == (400, None)
        assert served.kept.records == []


def test_without_one_a_failure_is_one() -> None:
    with pytest.raises(RuntimeError, match="RUNTIME_EXCEPTION"):
        Served(None, model=Failing()).ask()
    assert Served(None, broken="model.onnx").ask().status == 503


def test_a_page_is_no_prediction() -> None:
    assert Served(VALUE, broken="model.onnx").service.answer(
        "sagemaker/ping", HttpRequest("GET"), request_id="r", at=AT
    ).status == 503  # fmt: skip


def test_a_container_tells_the_function_of_it() -> None:
    answer = Served(VALUE, model=Failing()).ask()
    assert decode_answer(encode_answer(answer), "v").fell_back == answer.fell_back


def test_a_late_run_is_given_up_and_does_not_hold_up_the_next() -> None:
    # GIVEN a model that stops at some rows until it is let go on
    let_go, waiting = threading.Event(), threading.Event()

    class Slow:
        def score(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
            if num[0, 0] == 666:
                waiting.set()
                let_go.wait()
            return np.full(len(num), 0.9)

    served = Served({**VALUE, "after_ms": 50.0}, model=Slow())
    late = served.ask(body={"instances": [row("t1", distance=666)]})
    assert late.fell_back is not None
    assert (late.status, late.fell_back.reason, waiting.is_set()) == (200, "too_slow", True)
    # WHEN it is still at it, THEN the next request is answered in its own time too
    assert json.loads(served.ask().reply.body)["fallback"] == "value"
    # AND once it has ended the model answers again, none of the rows that were given up
    let_go.set()
    deadline = threading.Event()
    for _ in range(200):
        if "fallback" not in json.loads(served.ask().reply.body):
            break
        deadline.wait(0.01)
    assert json.loads(served.ask().reply.body)["predictions"][0]["probability"] == 0.9


def test_an_error_in_time_is_the_callers() -> None:
    def refuse(*_: Any) -> np.ndarray:
        raise RequestError("out_of_range", "too far")

    limited = TimeLimit(refuse, 5.0)
    with pytest.raises(RequestError, match="too far"):
        limited(*[None] * 3)  # type: ignore[arg-type]  # scores nothing
    assert issubclass(TooSlowError, Exception)


def test_of_several_classes_each_has_its_probability() -> None:
    contract = small_contract(problem_type=MULTICLASS, classes=("a", "b", "c"))
    fallback: DeclaredFallback = {"use": "value", "value": {"a": 0.2, "b": 0.7, "c": 0.1}, "after_ms": None}
    answer = Served(fallback, model=Failing(), contract=contract).ask()
    (first, _) = json.loads(answer.reply.body)["predictions"]
    assert (first["prediction"], first["probabilities"]) == ("b", {"a": 0.2, "b": 0.7, "c": 0.1})


def before(*, refused_until: datetime | None = None, broken: str = "", calibration: str = "") -> Previous:
    """What served before: a model of the same contract, and not of the same scores."""
    files = StoredArtifact(model=small_model(bias=-1.0))
    objects = dict(files.objects) | ({PREFIX + broken: b"something else"} if broken else {})
    standby = Standby(VERSION, PREFIX, files.manifest_sha256, refused_until, calibration)
    return Previous(standby, lambda name: objects[PREFIX + name])


NARROW = small_contract(numbers=(NumberField("distance", min=0, max=100), NumberField("wind", missing="allow")))
DURING, OVER = AT + timedelta(hours=1), AT
REFUSING = {"instances": [row("t1", distance=120)]}


def test_the_previous_champion_answers_where_the_version_fails() -> None:
    own = json.loads(Served(None, StoredArtifact(model=small_model(bias=-1.0))).ask().reply.body)["predictions"]
    served = Served(PREVIOUS, model=Failing(), previous=before())
    for _ in range(2):
        answer = served.ask()
        document = json.loads(answer.reply.body)
        assert (answer.status, document["version"], document["fallback"]) == (200, VERSION, "previous_champion")
        assert [p["probability"] for p in document["predictions"]] == [p["probability"] for p in own]
        assert answer.is_models_failure
    assert {record["version"] for record in served.kept.records} == {None}


def test_the_previous_champion_answers_with_the_calibration_it_served_with() -> None:
    calibration = Calibration("log_odds", (Part(1.0, -0.7, 1.0),), 3.0)
    bare = json.loads(Served(PREVIOUS, model=Failing(), previous=before()).ask().reply.body)
    served = Served(PREVIOUS, model=Failing(), previous=before(calibration=calibration.to_text()))
    document = json.loads(served.ask().reply.body)
    assert (bare["calibration"], document["calibration"]) == (None, calibration_name(calibration.sha256))
    for plain, calibrated in zip(bare["predictions"], document["predictions"], strict=True):
        odds = calibrated["probability"] / (1 - calibrated["probability"])
        assert np.log(odds) == pytest.approx(np.log(plain["probability"] / (1 - plain["probability"])) - 0.7)
        assert calibrated["raw_score"] == plain["raw_score"]
    assert {record["calibration_sha256"] for record in served.kept.records} == {calibration.sha256}


def test_a_calibration_of_another_kind_is_no_substitute() -> None:
    with pytest.raises(RuntimeError, match="RUNTIME_EXCEPTION"):
        Served(PREVIOUS, model=Failing(), previous=before(calibration="no calibration")).ask()


def test_the_first_champion_has_none_before_it() -> None:
    with pytest.raises(RuntimeError, match="RUNTIME_EXCEPTION"):
        Served(PREVIOUS, model=Failing()).ask()


@pytest.mark.parametrize("broken", ["model.onnx", "manifest.json"])
def test_a_previous_champion_of_other_files_answers_nothing(broken: str) -> None:
    served = Served(PREVIOUS, contract=NARROW, previous=before(refused_until=DURING, broken=broken))
    answer = served.ask(body=REFUSING)
    # THEN callers get what the version itself said, and somebody is told
    assert (answer.status, answer.cause) == (400, "out_of_range")
    assert answer.fell_back is not None
    assert "ArtifactRefusedError" in answer.fell_back.failed
    assert answer.is_faulty
    assert not answer.is_models_failure


def test_what_a_candidate_refuses_the_champion_before_answers_while_the_rollout_lasts() -> None:
    served = Served(PREVIOUS, contract=NARROW, previous=before(refused_until=DURING))
    answer = served.ask(body=REFUSING)
    assert (answer.status, json.loads(answer.reply.body)["fallback"]) == (200, "previous_champion")
    # AND it counts as refused, and not as failed
    assert (counts(answer)["RequestsRefused"], counts(answer)["FallbackAnswers"]) == (1, 1)
    assert answer.fell_back is not None
    assert answer.fell_back.reason == "refused"
    assert not answer.is_models_failure
    assert answer.is_faulty
    again = decode_answer(encode_answer(answer), "v")
    assert not again.is_models_failure
    # AND what asks unseen learns what the candidate says
    assert served.ask(body=REFUSING, unseen=True).status == 400


@pytest.mark.parametrize(
    ("until", "body", "code"),
    [
        (OVER, REFUSING, "out_of_range"),
        (None, REFUSING, "out_of_range"),
        # The version that follows says so, in its own words.
        (DURING, {"instances": [row("t1", distance=6000)]}, "out_of_range"),
        (DURING, {"instances": [row("t1", line="east", distance=3)]}, "unseen_category"),
        (DURING, "{", "malformed_json"),
        (DURING, {"instances": []}, "no_instances"),
    ],
)
def test_what_is_refused_by_both_or_after_the_rollout_stays_refused(
    until: datetime | None, body: Any, code: str
) -> None:
    answer = Served(PREVIOUS, contract=NARROW, previous=before(refused_until=until)).ask(body=body)
    document = json.loads(answer.reply.body)
    assert (answer.status, answer.cause, document["error"]["code"]) == (400, code, code)
    assert answer.fell_back is None
    assert "5000" not in document["error"]["message"]


@pytest.mark.parametrize(
    "standby",
    [
        Standby(3, "a/b/", "hash"),
        Standby(3, "s3://b/ü/", "hash", AT),
        Standby(3, "a/b/", "hash", calibration='{"by":"ü"}'),
    ],
)
def test_what_stands_by_crosses_as_text(standby: Standby) -> None:
    assert Standby.from_text(standby.to_text()) == standby


@pytest.mark.parametrize("wrong", ["x", "[]", "{}", '[1,"p","h"]', '["v","p","h",""]', '[1,"p","h","soon"]', "null"])
def test_another_text_is_refused(wrong: str) -> None:
    assert Standby.from_text("") is None
    with pytest.raises(StandbyFormatError):
        Standby.from_text(wrong)


def test_where_the_model_fails_on_a_requests_good_rows_its_wrong_row_is_told_as_the_fallback_reads_it() -> None:
    body = {"on_row_error": "report", "instances": [row("t1"), row("t2", wind="x")]}
    answer = Served(VALUE, model=Failing()).ask(body=body)
    assert (answer.status, json.loads(answer.reply.body)["error"]["index"]) == (400, 1)
