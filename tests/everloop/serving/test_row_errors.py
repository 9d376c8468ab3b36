"""The good rows of a request are answered where its caller asked for that, and each other one has its error."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from everloop.serving.answer import Answer
from everloop.serving.artifact import Artifact
from everloop.serving.exchange import HttpRequest
from everloop.serving.service import PredictionService
from tests.everloop.serving.test_direct import AT, BINARY, JSON, Kept, artifact
from tests.helpers.artifacts import MODEL, row, small_contract

GOOD = [row("t1"), row("t2", operator="new"), row("t3", wind=None)]
WRONG: dict[str, Any] = {
    "wrong_type": row("w1", wind="x"),
    "missing_feature": {"train_id": "w2"},
    "out_of_range": row("w3", distance=-1),
    "unknown_feature": row("w4", colour="red"),
    "duplicate_key": row("t1", wind=2.0),
}


def service(of: Artifact = BINARY, writer: Kept | None = None, *, settled: bool = True) -> PredictionService:
    made = PredictionService(MODEL, lambda: of, writer, time.perf_counter)
    first = HttpRequest(body=json.dumps({"instances": [row("t0")]}))
    made.answer("predictions", first, request_id="first", at=AT)
    if settled:
        made.settle()
    if writer is not None:
        writer.lines.clear()
    return made


def asked(by: PredictionService, *rows: object, path: str = "predictions", **more: object) -> tuple[Answer, Any]:
    body = json.dumps({"on_row_error": "report", "instances": rows, **more})
    answer = by.answer(path, HttpRequest(headers=JSON, body=body), request_id="r", at=AT)
    return answer, json.loads(answer.reply.body)


@pytest.mark.parametrize("settled", [True, False], ids=["compiled", "field by field"])
@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_row_has_its_error_and_the_others_are_answered_as_without_it(code: str, settled: bool) -> None:
    kept, alone = Kept(), Kept()
    with_it, document = asked(service(writer=kept, settled=settled), *GOOD[:2], WRONG[code], GOOD[2])
    without, expected = asked(service(writer=alone, settled=settled), *GOOD)
    # THEN the others have what they have without it
    assert (with_it.status, without.status) == (200, 200)
    good = [*document["predictions"][:2], document["predictions"][3]]
    assert good == expected["predictions"]
    assert (document["row_errors"], expected["row_errors"]) == (1, 0)
    # AND its error says what and where
    error = document["predictions"][2]["error"]
    assert (error["code"], error["index"]) == (code, 2)
    # AND what was answered is captured, and nothing else
    assert [{**line, "latency_ms": 0} for line in kept.lines] == [{**line, "latency_ms": 0} for line in alone.lines]
    counted = {metric.name: metric.value for metric in with_it.metrics}
    assert (counted["Predictions"], counted["RowsRefused"]) == (3, 1)
    assert not with_it.is_models_failure
    assert not with_it.is_faulty


def test_all_that_is_wrong_is_told_at_its_place() -> None:
    answer, document = asked(service(), GOOD[0], *WRONG.values(), "no object", GOOD[1])
    codes = [entry.get("error", {}).get("code") for entry in document["predictions"]]
    assert codes == [None, *WRONG, "wrong_type", None]
    assert [entry["error"]["index"] for entry in document["predictions"] if "error" in entry] == [1, 2, 3, 4, 5, 6]
    assert document["row_errors"] == 6
    assert [entry["prediction_id"] for entry in document["predictions"] if "error" not in entry] == ["r-0", "r-1"]
    assert answer.status == 200


def test_a_request_without_a_good_row_is_refused_by_its_first_error() -> None:
    answer, document = asked(service(), WRONG["out_of_range"], WRONG["wrong_type"])
    assert (answer.status, document["error"]["code"], document["error"]["index"]) == (400, "out_of_range", 0)


@pytest.mark.parametrize("value", ["refuse", None])
def test_a_request_is_refused_whole_unless_its_caller_says_so(value: str | None) -> None:
    document: dict[str, Any] = {"instances": [*GOOD, WRONG["out_of_range"]]}
    if value is not None:
        document["on_row_error"] = value
    request = HttpRequest(headers=JSON, body=json.dumps(document))
    answer = service().answer("predictions", request, request_id="r", at=AT)
    assert (answer.status, json.loads(answer.reply.body)["error"]["index"]) == (400, 3)
    request = request._replace(body=json.dumps({**document, "instances": GOOD}))
    assert "row_errors" not in json.loads(service().answer("predictions", request, request_id="r", at=AT).reply.body)


@pytest.mark.parametrize(
    ("value", "shown"), [("ignore", "'ignore'"), (1, "a number"), (None, "null"), ([], "a list"), ({}, "an object")]
)
def test_what_becomes_of_wrong_rows_is_one_of_two(value: object, shown: str) -> None:
    answer, document = asked(service(), *GOOD, on_row_error=value)
    assert (answer.status, document["error"]["field"]) == (400, "on_row_error")
    assert document["error"]["message"] == f"'on_row_error' is {shown}; send 'refuse' or 'report'"


def test_what_is_wrong_with_the_request_refuses_it_whole() -> None:
    many = small_contract().max_rows + 1
    answer, document = asked(service(), *[row(f"t{n}") for n in range(many)])
    assert (answer.status, document["error"]["code"]) == (400, "too_many_instances")


def test_a_row_that_the_model_has_no_score_for_costs_no_other_row_and_is_the_models_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = BINARY.scorer._run_session

    def failing(outputs: Any, feed: Any, options: Any) -> Any:
        scores = run(outputs, feed, options)
        scores[0][(feed["cat"] == "new").any(axis=1)] = np.nan
        return scores

    by = service(writer=(kept := Kept()))
    monkeypatch.setattr(BINARY.scorer, "_run_session", failing)
    answer, document = asked(by, GOOD[0], GOOD[1], WRONG["wrong_type"], GOOD[2])
    assert answer.status == 200
    assert [entry.get("error", {}).get("code") for entry in document["predictions"]] == [
        None,
        "no_score",
        "wrong_type",
        None,
    ]
    assert (answer.is_models_failure, answer.is_faulty) == (True, True)
    counted = {metric.name: metric.value for metric in answer.metrics}
    assert (counted["Predictions"], counted["RowsRefused"], counted["UnusableScores"]) == (2, 2, 1)
    assert [line["key"] for line in kept.lines] == ["t1", "t3"]
    # AND where no row has a score, the request fails
    assert asked(by, GOOD[1])[0].status == 500


@pytest.mark.parametrize("problem", ["regression", "binary_classification"])
def test_many_rows_with_many_errors_are_read_once_each(problem: str) -> None:
    contract = small_contract(problem_type=problem)
    rows = [row(f"t{n}") if n % 3 else row(f"t{n}", wind="x") for n in range(contract.max_rows)]
    answer, document = asked(service(artifact(contract)), *rows)
    assert answer.status == 200
    assert document["row_errors"] == len(range(0, contract.max_rows, 3))
    assert all(("error" in entry) == (n % 3 == 0) for n, entry in enumerate(document["predictions"]))


def test_the_first_request_waits_for_nothing_that_makes_ready_for_many() -> None:
    made = PredictionService(MODEL, lambda: BINARY, None, time.perf_counter)
    answer, document = asked(made, GOOD[0], WRONG["wrong_type"])
    assert (answer.status, document["row_errors"]) == (200, 1)
    assert made.step is None
