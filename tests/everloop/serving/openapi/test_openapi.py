"""A model's OpenAPI document: one of OpenAPI's, whose rows are the contract's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from openapi_spec_validator import validate

from everloop.recalibration.interval import Interval
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import HttpRequest
from everloop.serving.openapi import DESCRIPTIONS, openapi_document, schemas
from everloop.serving.protocols import PROTOCOLS, ServedModel, protocol_at
from everloop.serving.request import RequestParser
from everloop.serving.scores import Scores
from tests.everloop.serving.protocols.test_protocols_contract import FORMS, Form
from tests.helpers.artifacts import MODEL, row, small_contract

CONTRACT = small_contract()
REGRESSION = small_contract(problem_type="regression", interval=Interval(0.9, 1.0, 2.0))
DOCUMENT = openapi_document(CONTRACT, 7)


def content(path: str, status: str = "200", document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path]["post"]["responses"][status]["content"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("contract", [CONTRACT, REGRESSION, small_contract(categories=()), small_contract(numbers=())])
def test_it_is_an_openapi_document(contract: Any) -> None:
    validate(openapi_document(contract, 7))


@pytest.mark.slow
def test_so_it_is_without_a_version() -> None:
    validate(openapi_document(CONTRACT, None))


def test_every_protocol_has_a_description_and_every_path_is_the_protocols_own() -> None:
    assert DESCRIPTIONS.names == PROTOCOLS.names
    for path, item in DOCUMENT["paths"].items():
        if path == "/openapi.json":
            continue
        name, rest = protocol_at(path)
        for method, operation in item.items():
            predicts = PROTOCOLS.load(name).predicts(HttpRequest(method.upper(), rest), MODEL)
            assert predicts == ("requestBody" in operation)


JSON_FORMS = [
    (name, form)
    for name, forms in FORMS.items()
    for form in forms
    if form.headers.get("content-type", "application/json") == "application/json" and "features" not in repr(form.body)
]


@pytest.mark.parametrize(("name", "form"), JSON_FORMS)
@pytest.mark.parametrize("contract", [CONTRACT, REGRESSION], ids=["classification", "regression"])
def test_a_request_and_its_answer_are_as_described(name: str, form: Form, contract: Any) -> None:
    rows = [row("t1"), row("t2", wind=None, operator=None)]
    body, path = form.body(rows), f"/{name}/{form.path}".rstrip("/")
    document = openapi_document(contract, 7)
    asked = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    if b'"features"' not in body:
        jsonschema.validate(json.loads(body), asked)
    question = PROTOCOLS.load(name).question(form.request(body), body, ServedModel(7, RequestParser(contract)))
    scores = Scores.of(np.array([0.25, 0.75]), None, interval=contract.interval)
    answered = json.loads(question.answer(scores, request_id="r").body)
    jsonschema.validate(answered, content(path, document=document)["application/json"]["schema"])


@pytest.mark.parametrize("name", PROTOCOLS.names)
def test_a_refusal_is_as_described(name: str) -> None:
    path = next(p for p in DOCUMENT["paths"] if protocol_at(p)[0] == name and "post" in DOCUMENT["paths"][p])
    refusal = PROTOCOLS.load(name).refusal("wrong_type", "no", field="wind", index=1)
    jsonschema.validate(json.loads(refusal.body), content(path, "400")["application/json"]["schema"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"wind": None},
        {"operator": None},
        {"operator": ""},
        {"operator": "never seen"[:8]},
        {"distance": 0},
        {"distance": 5000.0},
        {"distance": -1},
        {"distance": 5001},
        {"distance": None},
        {"distance": "1"},
        {"line": "east"},
        {"line": None},
        {"line": ""},
        {"operator": "x" * 9},
        {"seats": 1},
    ],
)
def test_a_row_is_described_as_it_is_taken(changes: dict[str, Any]) -> None:
    given = row("t1", **changes)
    try:
        RequestParser(CONTRACT).rows([given])
        taken = True
    except RequestError:
        taken = False
    assert jsonschema.Draft202012Validator(schemas.row(CONTRACT)).is_valid(given) == taken


def test_what_may_be_left_out_may_be_left_out() -> None:
    required = schemas.row(replace(CONTRACT))["required"]
    assert required == ["train_id", "distance", "line"]
