"""A replay asks within the API's limits, and one row's refusal costs the others nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.cli.exceptions import ApiRefusedError
from everloop.cli.replay.asking import Instance, Refusal, ask, batches
from everloop.cli.replay.summary import refusals
from everloop.serving.protocols.predictions import Prediction, PredictionsDocument


def rows(count: int, text: str = "north") -> list[dict[str, Any]]:
    return [{"id": f"k{i:04}", "line": text} for i in range(count)]


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=60),
    most_rows=st.integers(1, 20),
    most_bytes=st.integers(60, 900),
)
def test_parts_keep_the_order_and_fit_a_request(texts: list[str], most_rows: int, most_bytes: int) -> None:
    instances: list[Instance] = [{"id": str(i), "line": text} for i, text in enumerate(texts)]
    parts = list(batches(instances, most_rows, most_bytes))
    assert [row for part in parts for row in part] == instances
    for part in parts:
        assert 1 <= len(part) <= most_rows
        body = json.dumps({"instances": part}, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(body) <= most_bytes or len(part) == 1


def test_wide_rows_make_more_requests_than_their_number_asks_for() -> None:
    """340 rows of 120 long numbers at midnight: within max_rows, and more than a megabyte."""
    wide = [
        {"id": str(i), **{f"sensor_reading_{n:03}": -1.2345678901234567e-300 for n in range(120)}} for i in range(340)
    ]
    parts = list(batches(wide, 340))
    assert len(parts) == 2
    assert max(len(json.dumps({"instances": part}, separators=(",", ":"))) for part in parts) <= 1024 * 1024


class Endpoint:
    """Refuses some rows: by name, or as too much at once, or by failing."""

    def __init__(
        self, bad: frozenset[str] = frozenset(), *, most: int = 10**6, fails: bool = False, names: bool = True
    ) -> None:
        self.bad, self.most, self.fails, self.names = bad, most, fails, names
        self.requests = 0

    def post(self, instances: list[Instance]) -> PredictionsDocument:
        self.requests += 1
        if self.fails:
            raise ApiRefusedError(500, {"message": "Internal Server Error"}, "see the log")
        if len(instances) > self.most:
            raise ApiRefusedError(413, {"error": {"code": "too_large", "message": "send less", "index": None}}, "less")
        for index, row in enumerate(instances):
            if row["id"] in self.bad:
                told = {
                    "code": "out_of_range",
                    "message": f"{row['id']} is bad",
                    "index": index if self.names else None,
                }
                raise ApiRefusedError(400, {"error": told}, "fix the request")
        predictions: list[Prediction] = [
            {"prediction_id": str(row["id"]), "prediction": 1.0, "probability": 0.9} for row in instances
        ]
        return {"model": "m", "version": 1, "calibration": None, "predictions": predictions}


def asked(endpoint: Endpoint, count: int = 100) -> tuple[list[str], list[Refusal]]:
    answered, refused = [], []
    for part, answer in ask(endpoint.post, rows(count), "id"):
        if isinstance(answer, Refusal):
            assert [row["id"] for row in part] == [answer.key]
            refused.append(answer)
        else:
            ids = [one["prediction_id"] for one in answer["predictions"]]
            assert ids == [row["id"] for row in part]
            answered += ids
    return answered, refused


def test_all_answered_is_one_request() -> None:
    endpoint = Endpoint()
    assert asked(endpoint) == ([row["id"] for row in rows(100)], [])
    assert endpoint.requests == 1


@pytest.mark.parametrize("names", [True, False])
def test_refused_rows_are_told_and_the_others_answered(names: bool) -> None:
    bad = frozenset({"k0000", "k0041", "k0099"})
    answered, refused = asked(Endpoint(bad, names=names))
    assert {refusal.key for refusal in refused} == bad
    assert {(refusal.status, refusal.code) for refusal in refused} == {(400, "out_of_range")}
    assert sorted(answered) == [row["id"] for row in rows(100) if row["id"] not in bad]


def test_too_much_at_once_is_asked_in_halves() -> None:
    answered, refused = asked(Endpoint(most=30))
    assert (answered, refused) == ([row["id"] for row in rows(100)], [])


def test_a_failing_service_refuses_all_of_them_once() -> None:
    endpoint = Endpoint(fails=True)
    answered, refused = asked(endpoint)
    assert (answered, len(refused), endpoint.requests) == ([], 100, 1)


class Shedding:
    """Answers every request after so many that it sheds, counted anew after each answer."""

    def __init__(self, sheds: int, status: int = 429, retry_after: float | None = None) -> None:
        self.sheds, self.shed, self.requests = sheds, 0, 0
        self.status, self.retry_after = status, retry_after
        self.slept: list[float] = []

    def post(self, instances: list[Instance]) -> PredictionsDocument:
        self.requests += 1
        if self.shed < self.sheds:
            self.shed += 1
            raise ApiRefusedError(self.status, {"message": "Too Many Requests"}, "wait", retry_after=self.retry_after)
        self.shed = 0
        return Endpoint().post(instances)


def test_what_was_shed_is_asked_again_after_a_wait_that_grows() -> None:
    endpoint = Shedding(6)
    ((part, answer),) = ask(endpoint.post, rows(3), "id", sleep=endpoint.slept.append)
    assert (part, isinstance(answer, Refusal), endpoint.requests) == (rows(3), False, 7)
    assert endpoint.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]


@pytest.mark.parametrize("status", [429, 503])
def test_what_says_when_to_come_back_is_not_asked_sooner(status: int) -> None:
    endpoint = Shedding(6, status, 1.0)
    ((part, answer),) = ask(endpoint.post, rows(3), "id", sleep=endpoint.slept.append)
    assert (part, isinstance(answer, Refusal)) == (rows(3), False)
    assert endpoint.slept == [1.0, 1.0, 1.0, 1.0, 1.6, 2.0]


def test_a_failure_that_does_not_say_so_is_one() -> None:
    endpoint = Shedding(1, 503)
    refused = [answer for _, answer in ask(endpoint.post, rows(3), "id", sleep=endpoint.slept.append)]
    assert ([type(answer) for answer in refused], endpoint.slept) == ([Refusal] * 3, [])


def test_what_is_shed_for_long_is_refused_and_no_row_is_asked_by_itself() -> None:
    endpoint = Shedding(10**6)
    refused = [answer for _, answer in ask(endpoint.post, rows(3), "id", sleep=endpoint.slept.append)]
    assert [(one.key, one.status, one.message) for one in refused if isinstance(one, Refusal)] == [
        (row["id"], 429, "the API answered 429: Too Many Requests") for row in rows(3)
    ]
    assert 60 <= sum(endpoint.slept) < 62
    assert endpoint.requests == len(endpoint.slept) + 1


def test_who_may_not_ask_is_no_refused_row() -> None:
    def post(_: list[Instance]) -> PredictionsDocument:
        raise ApiRefusedError(403, {"message": "Forbidden"}, "credentials")

    with pytest.raises(ApiRefusedError):
        list(ask(post, rows(3), "id"))


def test_refusals_are_counted_by_kind() -> None:
    found = refusals([Refusal("a", 400, "x", "m"), Refusal("b", 500, "", "n"), Refusal("c", 500, "", "o")])
    assert found == [
        {"status": 500, "code": "", "rows": 2, "key": "b", "message": "n"},
        {"status": 400, "code": "x", "rows": 1, "key": "a", "message": "m"},
    ]
