"""Signatures are those that botocore makes, and nothing else passes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.core.http_server import HttpRequest
from localcloud.iam.signature_chunks import SIGNED, SIGNED_WITH_TRAILER, UNSIGNED_WITH_TRAILER
from localcloud.iam.signatures import Secret, SignatureError, claim_of, verify

SECRETS = {"KEY": Secret("secret"), "SESSION": Secret("other", "token")}
HOST = "127.0.0.1:8080"


def credentials(key: str) -> Credentials:
    secret = SECRETS.get(key, Secret("unknown"))
    return Credentials(key, secret.secret_access_key, secret.session_token)


def signed(
    method: str = "POST",
    target: str = "/models/m/predictions",
    body: bytes = b"{}",
    *,
    key: str = "KEY",
    service: str = "execute-api",
    headers: Mapping[str, str] | None = None,
) -> HttpRequest:
    request = AWSRequest(method, f"http://{HOST}{target}", data=body, headers=headers)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    kind(credentials(key), service, "us-east-1").add_auth(request)
    return HttpRequest(method, target, (("Host", HOST), *request.headers.items()), body)


def presigned(
    target: str = "/bucket/key", *, key: str = "KEY", service: str = "s3", expires: int = 60, body: bytes = b""
) -> HttpRequest:
    request = AWSRequest("GET", f"http://{HOST}{target}", data=body)
    kind = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
    kind(credentials(key), service, "us-east-1", expires=expires).add_auth(request)
    return HttpRequest("GET", str(request.url).removeprefix(f"http://{HOST}"), (("Host", HOST),), body)


def check(request: HttpRequest, *times: datetime) -> str:
    claim = claim_of(request)
    verify(request, claim, SECRETS.get, times or (datetime.now(UTC),))
    return claim.key


@pytest.mark.parametrize(
    "target", ["/", "/a/b?x=1&y=2&x=0", "/a%20b/č?q=%C3%A9&empty=&none", "/models/m/predictions", "/~x/-_."]
)
@pytest.mark.parametrize("key", ["KEY", "SESSION"])
def test_what_botocore_signs_is_accepted(target: str, key: str) -> None:
    assert check(signed(target=target, key=key, headers={"Content-Type": "application/json"})) == key


KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    name=KEYS, values=st.lists(KEYS, max_size=3), body=st.binary(max_size=40), service=st.sampled_from(["s3", "sts"])
)
def test_any_name_and_body_that_botocore_signs_is_accepted(
    name: str, values: list[str], body: bytes, service: str
) -> None:
    query = "&".join(f"p={quote(value, safe='-_.~')}" for value in values)
    target = f"/bucket/{quote(name, safe='/~')}" + (f"?{query}" if query else "")
    assert check(signed("PUT", target, body, service=service)) == "KEY"


def without(request: HttpRequest, name: str) -> HttpRequest:
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0].lower() != name))


def with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    return replace(without(request, name.lower()), headers=(*without(request, name.lower()).headers, (name, value)))


def in_query(request: HttpRequest, old: str, new: str) -> HttpRequest:
    assert old in request.target
    return replace(request, target=request.target.replace(old, new))


@pytest.mark.parametrize(
    ("made", "kind", "reason"),
    [
        (lambda: replace(signed(), body=b"{ }"), "mismatch", "does not match"),
        (lambda: replace(signed(), target="/models/other/predictions"), "mismatch", "does not match"),
        (lambda: replace(signed(), method="PUT"), "mismatch", "does not match"),
        (lambda: replace(signed(), target="/models/m/predictions?x=1"), "mismatch", "does not match"),
        (lambda: with_header(signed(), "Host", "elsewhere"), "mismatch", "does not match"),
        (lambda: signed(key="NOBODY"), "unknown key", "not known"),
        (lambda: without(signed(), "authorization"), "missing", "not signed"),
        (lambda: with_header(signed(), "Authorization", "Bearer x"), "missing", "not signed"),
        (lambda: with_header(signed(), "Authorization", "AWS4-HMAC-SHA256 Credential=KEY"), "malformed", "needs"),
        (lambda: without(signed(), "x-amz-date"), "malformed", "X-Amz-Date"),
        (
            lambda: with_header(without(signed(), "x-amz-date"), "Date", "Fri, 31 Dec 9999 23:59:59 -2359"),
            "malformed",
            "X-Amz-Date",
        ),
        (lambda: without(signed(key="SESSION"), "x-amz-security-token"), "token", "session token"),
        (lambda: with_header(signed(), "X-Amz-Security-Token", "made up"), "token", "session token"),
        (lambda: without(signed(headers={"X-Extra": "1"}), "x-extra"), "mismatch", "x-extra"),
        (lambda: replace(signed(service="s3"), body=b"other"), "payload", "SHA-256"),
        (lambda: with_header(signed(service="s3"), "X-Amz-Acl", "x"), "unsigned headers", "x-amz-acl"),
        (lambda: replace(presigned(), method="DELETE"), "mismatch", "does not match"),
        (lambda: in_query(presigned(), "/key", "/other"), "mismatch", "does not match"),
        (lambda: in_query(presigned(), "Expires=60", "Expires=61"), "mismatch", "does not match"),
        (lambda: in_query(presigned(), "Expires=60", "Expires=604801"), "malformed", "604800"),
        (lambda: in_query(presigned(), "Credential=KEY", "Credential=SESSION"), "token", "session token"),
        (lambda: in_query(presigned(), "?", "?X-Amz-Credential=SESSION&"), "malformed", "twice"),
        (
            lambda: with_header(presigned(), "Authorization", dict(signed().headers)["Authorization"]),
            "malformed",
            "twi",
        ),
        (lambda: replace(presigned(service="sts"), body=b"Action=Other"), "mismatch", "does not match"),
    ],
)
def test_anything_else_is_refused(made: Callable[[], HttpRequest], kind: str, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason) as refused:
        check(made())
    assert refused.value.kind == kind


@pytest.mark.parametrize("service", ["s3", "sts"])
@pytest.mark.parametrize("key", ["KEY", "SESSION"])
def test_a_presigned_url_is_accepted_until_it_expires(service: str, key: str) -> None:
    request = presigned("/bucket/a%20key", service=service, key=key)

    assert check(request) == key
    assert check(request, datetime.now(UTC) + timedelta(seconds=50)) == key
    with pytest.raises(SignatureError, match="expired") as refused:
        check(request, datetime.now(UTC) + timedelta(seconds=70))
    assert refused.value.kind == "expired"


def test_an_old_signature_is_refused() -> None:
    with pytest.raises(SignatureError, match="more than"):
        check(signed(), datetime.now(UTC) + timedelta(minutes=6))


def test_a_signature_is_recent_by_either_clock() -> None:
    moved = datetime(2013, 1, 1, tzinfo=UTC)

    assert check(signed(), moved, datetime.now(UTC)) == "KEY"
    assert check(signed(), datetime.now(UTC), moved) == "KEY"


def test_an_unsigned_payload_is_for_s3_only() -> None:
    def unsigned(service: str) -> HttpRequest:
        request = AWSRequest("PUT", f"http://{HOST}/bucket/key", data=b"x")
        request.context["payload_signing_enabled"] = False
        request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
        SigV4Auth(credentials("KEY"), service, "us-east-1").add_auth(request)
        return HttpRequest("PUT", "/bucket/key", (("Host", HOST), *request.headers.items()), b"anything")

    assert check(unsigned("s3")) == "KEY"
    with pytest.raises(SignatureError, match="S3 only"):
        check(unsigned("dynamodb"))


# --- uploads in chunks -------------------------------------------------------------------------------------------

CRC = ("x-amz-checksum-crc32", "AAAAAA==")


class PayloadOfKind(S3SigV4Auth):
    """Signs a kind of payload, which botocore would choose by the request."""

    def __init__(self, kind: str) -> None:
        super().__init__(credentials("KEY"), "s3", "us-east-1")
        self.kind = kind

    def _should_sha256_sign_payload(self, request: AWSRequest) -> bool:
        return True

    def payload(self, request: AWSRequest) -> str:
        return self.kind


def chunked(parts: list[bytes], kind: str = SIGNED, trailer: tuple[str, str] | None = None) -> HttpRequest:
    """An upload as SDKs other than botocore make it, by the documented calculation."""
    content = b"".join(parts)
    headers = {
        "X-Amz-Content-SHA256": kind,
        "Content-Encoding": "gzip, aws-chunked",
        "X-Amz-Decoded-Content-Length": str(len(content)),
        **({"X-Amz-Trailer": trailer[0]} if trailer else {}),
    }
    request = AWSRequest("PUT", f"http://{HOST}/bucket/key", headers=headers)
    auth = PayloadOfKind(kind)
    auth.add_auth(request)
    request.headers.replace_header("X-Amz-Content-SHA256", kind)
    stamp, scope = request.context["timestamp"], auth.credential_scope(request)
    previous = request.headers["Authorization"].rpartition("=")[2]
    key = b"AWS4secret"
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()

    def sign(algorithm: str, *digests: str) -> str:
        text = "\n".join([algorithm, stamp, scope, previous, *digests])
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    body = b""
    for part in [*parts, b""]:
        if kind == UNSIGNED_WITH_TRAILER:
            body += f"{len(part):x}\r\n".encode()
        else:
            digests = (hashlib.sha256(b"").hexdigest(), hashlib.sha256(part).hexdigest())
            previous = sign("AWS4-HMAC-SHA256-PAYLOAD", *digests)
            body += f"{len(part):x};chunk-signature={previous}\r\n".encode()
        body += part + b"\r\n" if part else b""
    if trailer:
        body += f"{trailer[0]}:{trailer[1]}\r\n".encode()
    if kind == SIGNED_WITH_TRAILER and trailer:
        digest = hashlib.sha256(f"{trailer[0]}:{trailer[1]}\n".encode()).hexdigest()
        body += f"x-amz-trailer-signature:{sign('AWS4-HMAC-SHA256-TRAILER', digest)}\r\n".encode()
    return HttpRequest("PUT", "/bucket/key", (("Host", HOST), *request.headers.items()), body + b"\r\n")


UPLOADS = [(SIGNED, None), (SIGNED_WITH_TRAILER, CRC), (UNSIGNED_WITH_TRAILER, CRC)]


@pytest.mark.parametrize(("kind", "trailer"), UPLOADS)
@pytest.mark.parametrize("parts", [[b"one;", b"\r\ntwo"], [b"x" * 70_000], []])
def test_an_upload_in_chunks_is_put_together(kind: str, trailer: tuple[str, str] | None, parts: list[bytes]) -> None:
    request = chunked(parts, kind, trailer)

    plain = verify(request, claim_of(request), SECRETS.get, (datetime.now(UTC),))

    headers = {name.lower(): value for name, value in plain.headers}
    assert plain.body == b"".join(parts)
    assert headers["content-encoding"] == "gzip"
    assert headers.get(CRC[0]) == (CRC[1] if trailer else None)
    assert not headers.keys() & {"x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer"}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"two", b"TWO"),
        lambda body: body.replace(b"chunk-signature=", b"chunk-signature=0", 1),
        lambda body: body[: body.index(b"8;")] + b"0\r\n\r\n",
        lambda body: body.replace(b"AAAAAA==", b"BBBBBB=="),
        lambda body: body.replace(b"x-amz-checksum-crc32", b"x-amz-acl"),
        lambda body: body[:20],
        lambda body: b"",
    ],
)
def test_a_changed_upload_is_refused(change: Callable[[bytes], bytes]) -> None:
    request = chunked([b"one-one-one", b"two-two8"], SIGNED_WITH_TRAILER, CRC)

    with pytest.raises(SignatureError, match="chunk"):
        check(replace(request, body=change(request.body)))


def test_an_unsigned_trailer_is_only_what_was_announced() -> None:
    request = chunked([b"one"], UNSIGNED_WITH_TRAILER, CRC)

    with pytest.raises(SignatureError, match="announces"):
        check(replace(request, body=request.body.replace(b"x-amz-checksum-crc32", b"x-amz-acl")))
    with pytest.raises(SignatureError, match="decoded-content-length"):
        check(replace(request, body=b"1\r\no\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"))
