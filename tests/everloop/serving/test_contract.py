from __future__ import annotations

import copy
from typing import Any

import pytest

from everloop.recalibration.interval import Interval
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError
from tests.helpers.artifacts import small_contract


def test_a_contract_survives_its_json() -> None:
    contract = small_contract()
    assert ServingContract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("threshold",), "0.5"),
        (("max_rows",), 0),
        (("max_rows",), True),
        (("problem_type",), "ranking"),
        (("model",), ""),
        (("numbers",), {}),
        (("numbers", 0, "missing"), "perhaps"),
        (("numbers", 0, "min"), "low"),
        (("numbers", 0, "name"), "train_id"),
        (("categories", 0, "values"), [1]),
        (("categories", 0, "max_length"), None),
    ],
)
def test_a_wrong_value_is_refused(path: tuple[Any, ...], value: object) -> None:
    document = copy.deepcopy(small_contract().to_dict())
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ContractFormatError):
        ServingContract.from_dict(document)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"\xff"])
def test_what_is_no_contract_is_refused(data: bytes) -> None:
    with pytest.raises(ContractFormatError, match=r"contract\.json"):
        ServingContract.from_json(data)


INTERVAL = {"coverage": 0.9, "below": 2.0, "above": 3.5}


def test_a_regression_may_have_an_interval() -> None:
    contract = small_contract(problem_type="regression", interval=Interval(**INTERVAL))
    assert ServingContract.from_json(contract.to_json()) == contract
    assert contract.to_dict()["interval"] == INTERVAL
    assert "interval" not in small_contract().to_dict(), "contracts of earlier releases have the same bytes"


@pytest.mark.parametrize(
    "wrong",
    [
        {"coverage": 1.0},
        {"coverage": 0.4},
        {"below": 0.0},
        {"above": -1.0},
        {"above": "3"},
        {"below": True},
        {"below": 1e101},
        {"more": 1.0},
    ],
)
def test_a_wrong_interval_is_refused(wrong: dict[str, Any]) -> None:
    document = {**small_contract(problem_type="regression").to_dict(), "interval": INTERVAL}
    assert ServingContract.from_dict(document).interval == Interval(**INTERVAL)
    with pytest.raises(ContractFormatError):
        ServingContract.from_dict({**document, "interval": {**INTERVAL, **wrong}})


@pytest.mark.parametrize("wrong", [None, [], 0.9])
def test_what_is_no_interval_is_refused(wrong: object) -> None:
    with pytest.raises(ContractFormatError, match="interval"):
        ServingContract.from_dict({**small_contract(problem_type="regression").to_dict(), "interval": wrong})


def test_a_classification_has_no_interval() -> None:
    with pytest.raises(ContractFormatError, match="only a regression"):
        ServingContract.from_dict({**small_contract().to_dict(), "interval": INTERVAL})


def test_unknown_and_missing_keys_are_named() -> None:
    document = small_contract().to_dict()
    document["treshold"] = document.pop("threshold")
    with pytest.raises(ContractFormatError, match="missing keys 'threshold', unknown keys 'treshold'"):
        ServingContract.from_dict(document)


def test_a_contract_without_features_is_refused() -> None:
    with pytest.raises(ContractFormatError, match="no feature"):
        ServingContract.from_dict(small_contract(numbers=(), categories=()).to_dict())
