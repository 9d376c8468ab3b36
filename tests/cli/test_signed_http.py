"""A request that can't be said in JSON is refused before it is sent, and its place named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from everloop.cli.account import Account, DeployedModel
from everloop.cli.exceptions import ApiRefusedError, CommandError, CredentialsError
from everloop.cli.signed_http import SignedHttpClient, remedy
from everloop.typed_json import JsonObject

OPEN = DeployedModel("late_train", "", "", "", "", "", "", "", "none", "")
TOKENS = replace(OPEN, authorization="jwt")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"instances": [{"distance": 1.0}, {"distance": math.nan}]}, r"instances\[1\]\.distance"),
        ({"labels": [{"key": "k", "label": math.inf}]}, r"labels\[0\]\.label"),
        ({"a": {"b": [0, [-math.inf]]}}, r"a\.b\[1\]\[0\]"),
    ],
)
def test_a_number_that_is_not_finite_is_named(body: dict[str, Any], place: str) -> None:
    http = SignedHttpClient(Account(), OPEN)
    with pytest.raises(CommandError, match=f"^{place} of the request is not finite") as refused:
        http.post("http://nowhere.invalid/", body)
    assert "null" in refused.value.remedy


@pytest.mark.parametrize(("status", "said"), [(400, "fix the request"), (500, "not the cause"), (503, "champion")])
def test_a_caller_is_told_to_mend_what_the_caller_can_mend(status: int, said: str) -> None:
    assert said in remedy(status, "late_train")
    assert ("fix" in remedy(status, "late_train")) == (status == 400)


@contextmanager
def answering(
    status: int, content: bytes, heard: list[str] | None = None, *, retry_after: str | None = None
) -> Iterator[str]:
    """An endpoint that answers every POST so, and keeps whom it ``heard``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if heard is not None:
                heard.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("token", [None, "", " ", "Bearer a.b", "é", "a\r\nx: y"])
def test_a_route_that_asks_for_a_token_is_not_asked_without_one(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVERLOOP_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("EVERLOOP_TOKEN", token)
    with pytest.raises(CredentialsError, match=r"\$EVERLOOP_TOKEN"):
        SignedHttpClient(Account(), TOKENS).post("http://nowhere.invalid/", {})


def test_the_token_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLOOP_TOKEN", " a.b.c\n")
    heard: list[str] = []
    with answering(200, b"{}", heard) as url:
        SignedHttpClient(Account(), TOKENS).post(url, {})
    assert heard == ["Bearer a.b.c"]


@pytest.mark.parametrize("content", [b"[]", b"null", b"<html>", b"[" * 100_000, b"9" * 5000, b"\xff", b""])
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_no_object_is_told_with_its_status(status: int, content: bytes) -> None:
    with (
        answering(status, content) as url,
        pytest.raises(CommandError, match=f"answered {status} without a JSON") as told,
    ):
        SignedHttpClient(Account(), OPEN).post(url, {})
    assert len(str(told.value)) < 500


@pytest.mark.parametrize("content", [b'{"error": "odd"}', b'{"error": [1]}', b'{"message": "Internal Server Error"}'])
def test_a_refusal_of_any_form_is_told(content: bytes) -> None:
    with answering(502, content) as url, pytest.raises(ApiRefusedError, match="the API answered 502"):
        SignedHttpClient(Account(), OPEN).post(url, {})


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, None), ("1", 1.0), ("", None), ("soon", None), ("-1", None), ("\u0661", None)]
)
def test_a_refusal_tells_when_to_come_back(said: str | None, seconds: float | None) -> None:
    content = b'{"error": {"code": "overloaded", "message": "Too Many Requests", "field": null, "index": null}}'
    told = None if said is None else said.encode().decode("latin-1")
    with answering(429, content, retry_after=told) as url, pytest.raises(ApiRefusedError) as refused:
        SignedHttpClient(Account(), OPEN).post(url, {})
    assert refused.value.retry_after == seconds
    assert "the API answered 429: Too Many Requests" in str(refused.value)


def test_what_api_gateway_could_not_have_answered_is_sent_again() -> None:
    assert "send it again" in remedy(503, "late_train", {"error": {"code": "unavailable"}})


def test_rows_nested_too_deeply_are_not_sent() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CommandError, match="nested too deeply"):
        SignedHttpClient(Account(), OPEN).post("http://nowhere.invalid/", {"instances": deep})


def test_the_row_of_a_request_is_counted_as_everywhere() -> None:
    body: JsonObject = {
        "error": {"code": "wrong_type", "message": "'wind' is a string; send a number", "field": "wind", "index": 0}
    }
    assert ApiRefusedError(400, body, "mend it").message.endswith("send a number (wind, row 1 of the request)")
    body = {"error": {"code": "no_instances", "message": "'instances' is empty", "field": "instances", "index": None}}
    assert ApiRefusedError(400, body, "mend it").message == "the API answered 400: 'instances' is empty"
