"""A version of several classes, from its contract to the answer of each protocol, the captured row and the label."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from everloop.serving.capture import capture_records
from everloop.serving.contract import NumberField, ServingContract
from everloop.serving.exceptions import (
    ArtifactRefusedError,
    ContractFormatError,
    RequestError,
    ScorerError,
    UnusableScoreError,
)
from everloop.serving.exchange import HttpRequest
from everloop.serving.invocations import CSV
from everloop.serving.invocations import answer as invocation_answer
from everloop.serving.labels import LabelRules, parse_labels
from everloop.serving.openapi import openapi_document
from everloop.serving.protocols import PROTOCOLS, ServedModel
from everloop.serving.request import RequestParser
from everloop.serving.response import decide, output_rows
from everloop.serving.scorer import Scorer
from everloop.serving.scores import Scores
from tests.helpers.artifacts import small_contract

CLASSES = ("on_time", "late", "cancelled")
CHANCES = np.array([[0.2, 0.7, 0.1], [0.4, 0.4, 0.2]])
EMPTY = np.empty((2, 0), dtype=object)


def contract(**changes: object) -> ServingContract:
    facts = {"problem_type": "multiclass_classification", "classes": CLASSES, "categories": ()}
    return small_contract(**{**facts, "numbers": (NumberField("distance"),), **changes})


def softmax_model(classes: int = 3, *, scale: float = 1.0) -> bytes:
    """Of the one number x, the probabilities of x times 0, 1, 2, ... by softmax, times ``scale``."""
    constants = [
        numpy_helper.from_array(np.arange(classes, dtype=np.float64).reshape(1, -1), "weights"),
        numpy_helper.from_array(np.array(scale), "scale"),
    ]
    nodes = [
        helper.make_node("MatMul", ["num", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["chances"], axis=1),
        helper.make_node("Mul", ["chances", "scale"], ["score"]),
    ]
    given = helper.make_tensor_value_info("num", TensorProto.DOUBLE, ["N", 1])
    score = helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["N", classes])
    graph = helper.make_graph(nodes, "softmax", [given], [score], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())


def served() -> ServedModel:
    return ServedModel(3, RequestParser(contract()))


def test_the_contract_keeps_its_classes_and_others_have_none() -> None:
    ours = contract()
    assert ServingContract.from_json(ours.to_json()) == ours
    assert "classes" not in small_contract().to_dict()
    whole = contract(classes=(3, 1, 2))
    assert ServingContract.from_json(whole.to_json()).classes == (3, 1, 2)


@pytest.mark.parametrize("classes", [[], ["a", "b"], ["a", "b", "a"], ["a", "b", 3], [True, 1, 2], "abc", [1.5, 2, 3]])
def test_a_contract_of_other_classes_is_refused(classes: object) -> None:
    with pytest.raises(ContractFormatError, match="classes"):
        ServingContract.from_dict({**contract().to_dict(), "classes": classes})


def test_a_binary_contract_with_classes_is_refused() -> None:
    with pytest.raises(ContractFormatError, match="3 classes"):
        ServingContract.from_dict({**small_contract().to_dict(), "classes": list(CLASSES)})


def test_the_scorer_gives_a_probability_of_each_class() -> None:
    scores = Scorer.from_bytes(softmax_model(), contract()).score(np.array([[0.0], [1.0]]), EMPTY)
    np.testing.assert_allclose(scores[0], [1 / 3] * 3)
    assert decide(contract(), scores) == [0, 2]


def test_scores_that_are_no_probabilities_together_are_refused() -> None:
    scorer = Scorer.from_bytes(softmax_model(scale=0.9), contract())
    with pytest.raises(UnusableScoreError, match="1 together"):
        scorer.score(np.array([[0.0], [1.0]]), EMPTY)
    assert scorer.usable(np.array([[0.0], [1.0]]), EMPTY).tolist() == [False, False]


def test_a_model_of_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ScorerError, match="shape"):
        Scorer.from_bytes(softmax_model(4), contract()).score(np.array([[0.0]]), EMPTY[:1])
    with pytest.raises(ScorerError, match="1 axis"):
        Scorer.from_bytes(softmax_model(), replace(contract(), problem_type="regression", classes=()))


def test_answers_say_the_class_by_name_with_all_probabilities() -> None:
    rows = output_rows(contract(), Scores.of(CHANCES, None), "r")
    assert rows[0] == {
        "prediction_id": "r-0",
        "prediction": "late",
        "probability": 0.7,
        "probabilities": {"on_time": 0.2, "late": 0.7, "cancelled": 0.1},
    }
    # Of equally likely classes the first one declared.
    assert rows[1]["prediction"] == "on_time"
    numbered = output_rows(contract(classes=(3, 1, 2)), Scores.of(CHANCES, None), "r")
    named: Any = numbered[0]["probabilities"]
    assert (numbered[0]["prediction"], list(named)) == (1, ["3", "1", "2"])


def test_v2_has_a_tensor_of_rows_by_classes() -> None:
    asked: dict[str, Any] = {"inputs": [{"name": "train_id", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]}
    asked["inputs"].append({"name": "distance", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]})
    request = HttpRequest("POST", "models/late_train/infer", {}, b"", False)
    protocol = PROTOCOLS.load("v2")
    question = protocol.question(request, json.dumps(asked).encode(), served())
    outputs = {
        o["name"]: o for o in json.loads(question.answer(Scores.of(CHANCES, None), request_id="r").body)["outputs"]
    }
    assert outputs["prediction"] == {
        "name": "prediction", "shape": [2], "datatype": "BYTES", "data": ["late", "on_time"]
    }  # fmt: skip
    each = outputs["probabilities"]
    assert (each["shape"], each["datatype"]) == ([2, 3], "FP64")
    assert each["data"] == CHANCES.ravel().tolist()
    assert json.loads(each["parameters"]["classes"]) == list(CLASSES)
    asked["outputs"] = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    in_bytes = protocol.question(request, json.dumps(asked).encode(), served())
    reply = in_bytes.answer(Scores.of(CHANCES, None), request_id="r")
    tail = reply.body[int(reply.headers["inference-header-content-length"]) :]
    np.testing.assert_array_equal(np.frombuffer(tail, "<f8").reshape(2, 3), CHANCES)
    page = protocol.page(HttpRequest("GET", "models/late_train", {}, b"", False), served)
    described = {o["name"]: o["shape"] for o in json.loads(page.body)["outputs"]}
    assert described["probabilities"] == [-1, 3]


def test_csv_has_a_column_for_each_class() -> None:
    reply = invocation_answer(served(), Scores.of(CHANCES, None), "r", CSV, header=True)
    first = next(csv.DictReader(reply.body.decode().splitlines()))
    assert next(iter(first)) == "prediction"
    assert first["prediction"] == "late"
    assert [first[f"probabilities.{name}"] for name in CLASSES] == ["0.2", "0.7", "0.1"]


def test_the_openapi_document_names_the_classes() -> None:
    document = openapi_document(contract(), 3)
    answer = document["paths"]["/predictions"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    row = answer["properties"]["predictions"]["items"]["anyOf"][0]["properties"]
    assert row["prediction"] == {"enum": list(CLASSES)}
    assert row["probabilities"]["required"] == list(CLASSES)


def test_the_captured_row_has_the_place_of_the_class_and_all_probabilities() -> None:
    rows = RequestParser(contract()).rows([{"train_id": "a", "distance": 1}, {"train_id": "b", "distance": 2}])
    (first, _) = capture_records(
        contract(),
        rows,
        Scores.of(CHANCES, None),
        version=3,
        request_id="r",
        at=datetime(2013, 1, 1, tzinfo=UTC),
        latency_ms=1.0,
    )
    assert (first["prediction"], first["probability"], first["raw_score"]) == (1.0, 0.7, 0.7)
    assert first["probabilities"] == [0.2, 0.7, 0.1]


def labels(*values: object) -> bytes:
    return json.dumps({"labels": [{"key": f"k{i}", "label": v} for i, v in enumerate(values)]}).encode()


RULES = LabelRules.from_declaration(
    {"problem": {"type": "multiclass_classification", "classes": list(CLASSES)}, "data": {"features": []}}
)


def test_labels_are_named_and_kept_as_places() -> None:
    assert [one.label for one in parse_labels(labels("cancelled", "on_time"), RULES)] == [2.0, 0.0]
    numbered = replace(RULES, classes=(3, 1, 2))
    assert [one.label for one in parse_labels(labels(2, 3, 1.0), numbered)] == [2.0, 0.0, 1.0]


@pytest.mark.parametrize("value", ["Late", "", 1, 1.0, True, None, ["late"], "late "])
def test_a_label_that_is_no_class_is_refused_by_name(value: object) -> None:
    with pytest.raises(RequestError, match="not one of the classes on_time, late, cancelled") as caught:
        parse_labels(labels("late", value), RULES)
    assert (caught.value.code, caught.value.index) == ("unknown_class", 1)


@pytest.mark.parametrize("value", [0, 1.5, "3", True, float(10**30)])
def test_a_number_that_is_no_class_is_refused_by_name(value: object) -> None:
    with pytest.raises(RequestError, match="not one of the classes 3, 1, 2"):
        parse_labels(labels(value), replace(RULES, classes=(3, 1, 2)))


def test_a_calibration_is_refused() -> None:
    from everloop.serving.artifact import _calibration

    with pytest.raises(ArtifactRefusedError, match="several classes"):
        _calibration('{"kind": "log_odds"}', contract())
