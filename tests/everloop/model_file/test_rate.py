"""The rate of a model is one that API Gateway keeps, and lets its load test through."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        ({"rate": {"requests_per_second": 0}}, "serving.rate.requests_per_second\n  Input should be greater than 0"),
        (
            {"rate": {"requests_per_second": 10_000.5}},
            "serving.rate.requests_per_second\n  Input should be less than or equal to 10000",
        ),
        ({"rate": {"burst": 5}}, "serving.rate.requests_per_second\n  Field required"),
        (
            {"rate": {"requests_per_second": 5, "burst": 0}},
            "serving.rate.burst\n  Input should be greater than or equal to 1",
        ),
        (
            {"rate": {"requests_per_second": 5, "burst": 5_001}},
            "serving.rate.burst\n  Input should be less than or equal to 5000",
        ),
        ({"rate": {"requests_per_second": 5, "per": "caller"}}, "serving.rate.per"),
        (
            {"rate": {"requests_per_second": 39}, "peak": {"requests_per_second": 20}},
            "at least 40, which `everloop load` asks: twice the serving.peak of 20",
        ),
        (
            {"api": "rest", "rate": {"requests_per_second": 39}, "peak": {"requests_per_second": 20}},
            "at least 40, which `everloop load` asks: twice the serving.peak of 20",
        ),
        (
            {"api": "rest", "peak": {"requests_per_second": 500.5}},
            "at most 500: `everloop load` asks twice as much, and a REST API without a 'rate' lets 1000 requests",
        ),
    ],
)
def test_a_rate_that_is_not_kept_or_sheds_the_load_test_is_refused(serving: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        declare(binary_document(serving=serving))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rate", "at_once"),
    [
        ({"requests_per_second": 0.1}, 1),
        ({"requests_per_second": 5}, 5),
        ({"requests_per_second": 5.2}, 6),
        ({"requests_per_second": 8_000}, 5_000),
        ({"requests_per_second": 5, "burst": 100}, 100),
    ],
)
def test_a_second_s_worth_may_come_at_once_where_no_burst_is_declared(rate: dict[str, Any], at_once: int) -> None:
    assert present(declare(binary_document(serving={"rate": rate})).serving.rate).at_once == at_once


def test_a_rate_of_twice_the_peak_is_good() -> None:
    declared = {"rate": {"requests_per_second": 40}, "peak": {"requests_per_second": 20}}
    serving = declare(binary_document(serving=declared)).serving
    assert present(serving.rate).requests_per_second == 40


def test_a_rest_api_without_a_rate_lets_the_load_test_through_up_to_its_own_limit() -> None:
    declared = {"api": "rest", "peak": {"requests_per_second": 500}}
    assert present(declare(binary_document(serving=declared)).serving.peak).requests_per_second == 500


def test_a_rest_api_takes_no_tokens() -> None:
    jwt = {"issuer": "https://login.example.com", "audience": ["a"]}
    with pytest.raises(ValidationError) as caught:
        declare(binary_document(serving={"api": "rest", "authorization": "jwt", "jwt": jwt}))
    assert "'http' with authorization jwt: a REST API of API Gateway can't verify the tokens" in str(caught.value)
    for authorization in ("iam", "none"):
        assert declare(binary_document(serving={"api": "rest", "authorization": authorization})).serving.api == "rest"
