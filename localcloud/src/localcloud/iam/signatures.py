"""Verifies AWS Signature Version 4 on a request as it arrived: in the header, or in the query of a presigned URL.

Own code rather than botocore's signer, since a verifier must read what was claimed, and at a quarter of its time;
tests hold it against what botocore signs. Source: the AWS General Reference, "Signature Version 4 signing process", and
the Amazon S3 API Reference, "Authenticating requests".
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import quote, unquote

from localcloud.core.http_server import HttpRequest
from localcloud.iam.signature_chunks import STREAMING, ChunkSigner, decode

MAX_SKEW = timedelta(minutes=5)
MAX_SKEW_S3 = timedelta(minutes=15)
MAX_PRESIGNED_SECONDS = 7 * 86400
_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[\w-]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request"
    r"\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*$"
)
_CREDENTIAL = re.compile(r"(?P<key>[\w-]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request\Z")
_CONTENT_HASH = "x-amz-content-sha256"
_UNSIGNED = "UNSIGNED-PAYLOAD"


class SignatureError(PermissionError):
    """The request is not signed, or not by whom it claims; the message says what is wrong.

    Attributes
    ----------
    kind : str
        ``missing``, ``malformed``, ``unknown key``, ``token``, ``mismatch``, ``skew``, ``expired``,
        ``unsigned headers`` or ``payload``: what each service has an error code of its own for.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Secret:
    """What belongs to an access key."""

    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Claim:
    """A signature as the request states it, not verified yet.

    Attributes
    ----------
    key, region, service : str
        The access key, and what the signature is for.
    stamp, date : str
        When it was made, as ``20130101T000000Z``, and the day of its scope.
    headers : tuple of str
        Names of the signed headers, lower-cased.
    expires : int or None
        For how many seconds a presigned URL is good; None for a signed header.
    """

    key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    stamp: str
    token: str | None
    expires: int | None = None

    @property
    def scope(self) -> str:
        """What the signing key was derived for."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def claim_of(request: HttpRequest) -> Claim:
    """What a request says of its signature.

    Raises
    ------
    SignatureError
        When it has none, two, or one that can not be read.
    """
    authorization = request.header("authorization")
    is_presigned = "X-Amz-Signature=" in request.query
    if authorization is None and not is_presigned:
        raise SignatureError("missing", "the request is not signed with AWS4-HMAC-SHA256")
    if authorization is not None and is_presigned:
        raise SignatureError("malformed", "the request is signed twice: in a header and in its query")
    return _claim_of_query(request.query) if authorization is None else _claim_of_header(request, authorization)


def verify(
    request: HttpRequest,
    claim: Claim,
    secret_of: Callable[[str], Secret | None],
    times: Sequence[datetime],
) -> HttpRequest:
    """Check a request's signature.

    Parameters
    ----------
    claim : Claim
        Of :func:`claim_of` for this request.
    secret_of : callable
        Access key id → its secret, or None for an unknown key.
    times : sequence of datetime
        Clocks, one of which the signature must be recent by: clients sign with the computer's clock whatever a
        moved clock shows, but some correct theirs by the Date of the answers, which is the moved clock's.

    Returns
    -------
    HttpRequest
        The request with its body as it was meant: uploads in signed chunks are put together.

    Raises
    ------
    SignatureError
    """
    secret = secret_of(claim.key)
    if secret is None:
        raise SignatureError("unknown key", f"access key {claim.key} is not known")
    if not _same(claim.token or "", secret.session_token or ""):
        raise SignatureError("token", "the session token is missing or wrong")
    _check_time(claim, times)
    headers = joined_headers(request)
    _check_signed_headers(claim, headers)
    payload = _payload_hash(request, claim, headers)
    canonical = _canonical_request(request, claim, headers, payload)
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()  # as the head's bytes arrived
    key = _signing_key(secret.secret_access_key, claim.date, claim.region, claim.service)
    to_sign = f"{_ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{digest}"
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not _same(expected, claim.signature):
        raise SignatureError("mismatch", "the signature does not match: check the secret access key and how it signs")
    if payload not in STREAMING:
        return request
    return _decoded(request, payload, headers, ChunkSigner(key, claim.stamp, claim.scope, claim.signature))


def joined_headers(request: HttpRequest) -> dict[str, str]:
    """Values by lower-cased name, those of repeated headers joined by commas."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return headers


def _claim_of_header(request: HttpRequest, authorization: str) -> Claim:
    match = _AUTHORIZATION.match(authorization)
    if match is None:
        if not authorization.startswith(_ALGORITHM + " "):
            raise SignatureError("missing", "the request is not signed with AWS4-HMAC-SHA256")
        raise SignatureError(
            "malformed", "the Authorization header needs Credential, SignedHeaders and Signature, in this order"
        )
    return Claim(
        key=match["key"],
        date=match["date"],
        region=match["region"],
        service=match["service"],
        headers=tuple(match["headers"].split(";")),
        signature=match["signature"],
        stamp=_stamp(request),
        token=request.header("x-amz-security-token"),
    )


def _stamp(request: HttpRequest) -> str:
    stamp = request.header("x-amz-date")
    if stamp is not None:
        return stamp
    date = request.header("date") or ""
    if re.fullmatch(r"\d{8}T\d{6}Z", date):
        return date
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError):  # the last year of the calendar has hours that UTC has not
        raise SignatureError("malformed", "the X-Amz-Date header is missing or malformed") from None


def _claim_of_query(query: str) -> Claim:
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = unquote(name)
        if name.lower().startswith("x-amz-"):
            if name in found:
                raise SignatureError("malformed", f"the query has {name} twice")
            found[name] = unquote(value)
    match = _CREDENTIAL.match(found.get("X-Amz-Credential", ""))
    signature, expires = found.get("X-Amz-Signature", ""), found.get("X-Amz-Expires", "")
    if found.get("X-Amz-Algorithm") != _ALGORITHM or match is None or not re.fullmatch("[0-9a-f]{64}", signature):
        raise SignatureError(
            "malformed",
            f"a presigned URL needs X-Amz-Algorithm={_ALGORITHM}, X-Amz-Credential, X-Amz-Date, X-Amz-SignedHeaders, "
            "X-Amz-Expires and X-Amz-Signature",
        )
    if not expires.isdecimal() or not 0 < int(expires) <= MAX_PRESIGNED_SECONDS:
        raise SignatureError("malformed", f"X-Amz-Expires is {expires!r}, not 1 to {MAX_PRESIGNED_SECONDS} seconds")
    return Claim(
        key=match["key"],
        date=match["date"],
        region=match["region"],
        service=match["service"],
        headers=tuple(found.get("X-Amz-SignedHeaders", "").split(";")),
        signature=signature,
        stamp=found.get("X-Amz-Date", ""),
        token=found.get("X-Amz-Security-Token"),
        expires=int(expires),
    )


def _check_time(claim: Claim, times: Sequence[datetime]) -> None:
    try:
        signed_at = _instant(claim.stamp)
    except ValueError:
        raise SignatureError("malformed", f"X-Amz-Date is {claim.stamp!r}, not like 20130101T000000Z") from None
    if not claim.stamp.startswith(claim.date):
        raise SignatureError("mismatch", f"signed at {claim.stamp}, which is not the date of the scope {claim.scope}")
    skew = MAX_SKEW_S3 if claim.service == "s3" else MAX_SKEW
    good_for = skew if claim.expires is None else timedelta(seconds=claim.expires)
    if any(-skew <= now - signed_at <= good_for for now in times):
        return
    shown = " and ".join(now.strftime("%Y%m%dT%H%M%SZ") for now in times)
    if claim.expires is not None:
        raise SignatureError("expired", f"the request has expired: signed at {claim.stamp}, it is {shown}")
    raise SignatureError("skew", f"signed at {claim.stamp}: more than {skew} from now, {shown}")


@lru_cache(maxsize=64)
def _instant(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _check_signed_headers(claim: Claim, headers: Mapping[str, str]) -> None:
    missing = [name for name in claim.headers if name not in headers]
    if missing:
        raise SignatureError("mismatch", f"signed headers are missing: {', '.join(missing)}")
    if "host" not in claim.headers:
        raise SignatureError("unsigned headers", "the host header is not signed")
    if claim.service == "s3":
        free = [name for name in headers if name.startswith("x-amz-") and name not in claim.headers]
        if claim.expires is not None and _CONTENT_HASH in free:
            free.remove(_CONTENT_HASH)  # a presigned URL does not know it
        if free:
            raise SignatureError("unsigned headers", f"headers are present that are not signed: {', '.join(free)}")


def _payload_hash(request: HttpRequest, claim: Claim, headers: Mapping[str, str]) -> str:
    """What stands for the body in the canonical request, once it is known to be true of it."""
    if claim.expires is not None and claim.service == "s3":
        return _UNSIGNED
    claimed = headers.get(_CONTENT_HASH)
    if claimed is not None and (claimed == _UNSIGNED or claimed in STREAMING):
        if claim.service != "s3":
            raise SignatureError("payload", f"{_CONTENT_HASH} {claimed} is for Amazon S3 only")
        return claimed
    actual = hashlib.sha256(request.body).hexdigest()
    if claimed is not None and not _same(claimed, actual):
        raise SignatureError("payload", f"the body is not the one that was signed: {_CONTENT_HASH} is not its SHA-256")
    return actual


def _canonical_request(request: HttpRequest, claim: Claim, headers: Mapping[str, str], payload: str) -> str:
    path = _canonical_s3_path(request.path) if claim.service == "s3" else _canonical_path(request.path)
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in claim.headers]
    query = _canonical_query(request.query) if request.query else ""
    return "\n".join([request.method, path, query, "".join(lines), ";".join(claim.headers), payload])


@lru_cache(maxsize=1024)
def _canonical_path(path: str) -> str:
    normal = posixpath.normpath(path) if path else "/"
    normal = "/" + normal.lstrip("/")
    if path.endswith("/") and not normal.endswith("/"):
        normal += "/"
    return quote(normal, safe="/~-._")


def _canonical_s3_path(path: str) -> str:
    """Keys are names, not paths: neither normalised nor encoded twice."""
    return quote(unquote(path, errors="surrogateescape").encode(errors="surrogateescape"), safe="/~-._")


def _canonical_query(query: str) -> str:
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name != "X-Amz-Signature":
            pairs.append((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _decoded(request: HttpRequest, payload: str, headers: Mapping[str, str], signer: ChunkSigner) -> HttpRequest:
    """An upload in chunks as the plain upload that it means."""
    try:
        body, trailers = decode(request.body, payload, headers, signer)
    except ValueError as error:
        raise SignatureError("mismatch", f"the upload in chunks ({payload}): {error}") from None
    kept = []
    for name, value in request.headers:
        key = name.lower()
        if key == "content-encoding":
            value = ", ".join(part for part in map(str.strip, value.split(",")) if part and part != "aws-chunked")
        if key in (_CONTENT_HASH, "x-amz-decoded-content-length", "x-amz-trailer", "content-length") or not value:
            continue
        kept.append((name, value))
    return replace(request, headers=(*kept, *trailers), body=body)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
