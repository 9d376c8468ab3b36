"""Signatures are those that botocore makes, and nothing else passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.http_server import HttpRequest
from local.sigv4 import Secret, SignatureError, verify

SECRETS = {"KEY": Secret("secret"), "SESSION": Secret("other", "token")}


def signed(
    method: str = "POST",
    target: str = "/models/m/predictions",
    body: bytes = b"{}",
    *,
    key: str = "KEY",
    service: str = "execute-api",
    **headers: str,
) -> HttpRequest:
    secret = SECRETS.get(key, Secret("unknown"))
    request = AWSRequest(method, f"http://127.0.0.1:8080{target}", data=body, headers=headers)
    credentials = Credentials(key, secret.secret_access_key, secret.session_token)
    SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    return HttpRequest(method, target, (("Host", "127.0.0.1:8080"), *request.headers.items()), body)


def check(request: HttpRequest, now: datetime | None = None) -> str:
    return verify(
        request,
        service="execute-api",
        region="us-east-1",
        secret_of=SECRETS.get,
        now=now or datetime.now(UTC),
    )


@pytest.mark.parametrize(
    "target", ["/", "/a/b?x=1&y=2&x=0", "/a%20b/č?q=%C3%A9&empty=&none", "/models/m/predictions", "/~x/-_."]
)
@pytest.mark.parametrize("key", ["KEY", "SESSION"])
def test_what_botocore_signs_is_accepted(target: str, key: str) -> None:
    assert check(signed(target=target, key=key, **{"Content-Type": "application/json"})) == key


def without(request: HttpRequest, name: str) -> HttpRequest:
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0].lower() != name))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: replace(signed(), body=b"{ }"), "does not match"),
        (lambda: replace(signed(), target="/models/other/predictions"), "does not match"),
        (lambda: replace(signed(), method="PUT"), "does not match"),
        (lambda: replace(signed(), target="/models/m/predictions?x=1"), "does not match"),
        (lambda: signed(service="lambda"), "signed for lambda"),
        (lambda: signed(key="NOBODY"), "not known"),
        (lambda: without(signed(), "authorization"), "no AWS4-HMAC-SHA256"),
        (lambda: without(signed(), "x-amz-date"), "X-Amz-Date"),
        (lambda: without(signed(key="SESSION"), "x-amz-security-token"), "session token"),
        (lambda: without(signed(**{"X-Extra": "1"}), "x-extra"), "x-extra"),
    ],
)
def test_anything_else_is_refused(made: Callable[[], HttpRequest], reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        check(made())


def test_an_old_signature_is_refused() -> None:
    with pytest.raises(SignatureError, match="more than"):
        check(signed(), datetime.now(UTC) + timedelta(minutes=6))
