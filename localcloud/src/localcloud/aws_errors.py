"""Refusals in the words and format of the AWS service that was asked."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from localcloud.core.http_server import HttpRequest, HttpResponse
from localcloud.iam.signatures import SignatureError

_QUERY_SERVICES = frozenset({"iam", "sts", "sns", "cloudformation"})
_REST_JSON_SERVICES = frozenset({"lambda", "scheduler", "apigateway"})

_S3_CODES = {
    "missing": (403, "AccessDenied"),
    "malformed": (400, "AuthorizationHeaderMalformed"),
    "unknown key": (403, "InvalidAccessKeyId"),
    "token": (400, "InvalidToken"),
    "mismatch": (403, "SignatureDoesNotMatch"),
    "skew": (403, "RequestTimeTooSkewed"),
    "expired": (403, "AccessDenied"),
    "unsigned headers": (403, "AccessDenied"),
    "payload": (400, "XAmzContentSHA256Mismatch"),
}
_QUERY_CODES = {
    "missing": (403, "MissingAuthenticationToken"),
    "malformed": (400, "IncompleteSignature"),
    "unknown key": (403, "InvalidClientTokenId"),
    "token": (403, "InvalidClientTokenId"),
}
_JSON_CODES = {
    "missing": (403, "MissingAuthenticationTokenException"),
    "malformed": (400, "IncompleteSignatureException"),
    "unknown key": (400, "UnrecognizedClientException"),
    "token": (400, "UnrecognizedClientException"),
}
_SECURITY_TOKEN = "The security token included in the request is invalid."


def refuse_signature(request: HttpRequest, service: str | None, error: SignatureError) -> HttpResponse:
    """The answer to a request whose signature is missing or wrong, with the code that its service gives.

    Parameters
    ----------
    service : str or None
        What the request claims to be signed for, where that could be read.
    """
    message = str(error)
    if service == "s3":
        status, code = _S3_CODES[error.kind]
    elif service in _QUERY_SERVICES or (service is None and not _is_json(request, service)):
        status, code = _QUERY_CODES.get(error.kind, (403, "SignatureDoesNotMatch"))
    else:
        status, code = _JSON_CODES.get(error.kind, (400, "InvalidSignatureException"))
        status = 403 if service in _REST_JSON_SERVICES else status
    if error.kind in ("unknown key", "token") and service != "s3":
        message = f"{_SECURITY_TOKEN} ({message})"
    return refuse(request, status, code, message, service)


def refuse(request: HttpRequest, status: int, code: str, message: str, service: str | None) -> HttpResponse:
    """An error in the format that the client parses: JSON, CBOR, or XML for the query protocol and S3."""
    content_type = request.header("Content-Type") or ""
    if request.header("smithy-protocol") == "rpc-v2-cbor":
        body = b"\xa2" + b"".join(map(_cbor_text, ("__type", code, "message", message)))
        return HttpResponse(status, body, (("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")))
    if _is_json(request, service):
        document = json.dumps({"__type": code, "message": message})
        kind = content_type if "json" in content_type else "application/json"
        return HttpResponse(status, document.encode(), (("Content-Type", kind), ("x-amzn-ErrorType", code)))
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    is_query = content_type.startswith("application/x-www-form-urlencoded") or service in _QUERY_SERVICES
    xml = f"<ErrorResponse><Error>{error}</Error></ErrorResponse>" if is_query else f"<Error>{error}</Error>"
    return HttpResponse(status, xml.encode(), (("Content-Type", "text/xml"), ("x-amzn-ErrorType", code)))


def _is_json(request: HttpRequest, service: str | None) -> bool:
    if service == "s3":
        return False
    content_type = request.header("Content-Type") or ""
    return "json" in content_type or request.header("X-Amz-Target") is not None or service in _REST_JSON_SERVICES


def _cbor_text(text: str) -> bytes:
    """A text of CBOR (RFC 8949, major type 3)."""
    encoded = text.encode()
    return b"\x7a" + len(encoded).to_bytes(4, "big") + encoded
