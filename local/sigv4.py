"""Verifies AWS Signature Version 4 on a request as it arrived."""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote

from local.http_server import HttpRequest

MAX_SKEW = timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
    r"\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*$"
)
_UNSIGNED = "UNSIGNED-PAYLOAD"


class SignatureError(PermissionError):
    """The request is not signed, or not by whom it claims; the message says what is wrong."""


@dataclass(frozen=True)
class Secret:
    """What belongs to an access key."""

    secret_access_key: str
    session_token: str | None = None


def verify(
    request: HttpRequest,
    *,
    service: str,
    region: str,
    secret_of: Callable[[str], Secret | None],
    now: datetime,
) -> str:
    """The access key id that signed a request.

    Parameters
    ----------
    secret_of : callable
        Access key id → its secret, or None for an unknown key.
    now : datetime
        Real time: clients sign with the computer's clock, whatever a moved clock shows.

    Raises
    ------
    SignatureError
    """
    headers = {name.lower(): value for name, value in request.headers}
    match = _AUTHORIZATION.match(headers.get("authorization", ""))
    if match is None:
        raise SignatureError("the request has no AWS4-HMAC-SHA256 Authorization header")
    if (match["service"], match["region"]) != (service, region):
        raise SignatureError(f"signed for {match['service']} in {match['region']}, not for {service} in {region}")
    secret = secret_of(match["key"])
    if secret is None:
        raise SignatureError(f"access key {match['key']} is not known")
    if secret.session_token is not None and headers.get("x-amz-security-token") != secret.session_token:
        raise SignatureError("the session token is missing or wrong")
    stamp = headers.get("x-amz-date", "")
    _check_time(stamp, match["date"], now)
    signed = match["headers"].split(";")
    if "host" not in signed:
        raise SignatureError("the host header is not signed")
    canonical = _canonical_request(request, headers, signed)
    scope = f"{match['date']}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = _signing_key(secret.secret_access_key, match["date"], region, service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, match["signature"]):
        raise SignatureError("the signature does not match")
    return match["key"]


def _check_time(stamp: str, date: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("the X-Amz-Date header is missing or malformed") from None
    if not stamp.startswith(date) or abs(now - signed_at) > MAX_SKEW:
        raise SignatureError(f"signed at {stamp}: more than {MAX_SKEW} from now, or not on the scope's date")


def _canonical_request(request: HttpRequest, headers: dict[str, str], signed: list[str]) -> str:
    missing = [name for name in signed if name not in headers]
    if missing:
        raise SignatureError(f"signed headers are missing: {', '.join(missing)}")
    actual = hashlib.sha256(request.body).hexdigest()
    claimed = headers.get("x-amz-content-sha256", actual)
    if claimed not in (actual, _UNSIGNED):
        raise SignatureError("the body is not the one that was signed")
    if claimed == _UNSIGNED and "x-amz-content-sha256" not in signed:
        raise SignatureError("an unsigned payload must be declared in a signed header")
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in signed]
    return "\n".join(
        [
            request.method,
            _canonical_path(request.path),
            _canonical_query(request.query),
            "".join(lines),
            ";".join(signed),
            claimed,
        ]
    )


@lru_cache(maxsize=1024)
def _canonical_path(path: str) -> str:
    normal = posixpath.normpath(path) if path else "/"
    normal = "/" + normal.lstrip("/")
    if path.endswith("/") and not normal.endswith("/"):
        normal += "/"
    return quote(normal, safe="/~-._")


def _canonical_query(query: str) -> str:
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        pairs.append((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
