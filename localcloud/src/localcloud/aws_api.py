"""The AWS API of the local cloud: one port, every service that it executes.

Requests go to moto's response classes. For services with one URL the classes are called directly, without
Flask's routing, which costs more than the call itself. Services that the local cloud does not execute are
refused: moto would record the call and answer as if something had happened.

Every request must be signed, by the operator or by a role session; nothing of moto is reached otherwise.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_plus

import botocore.session
from botocore.model import OperationNotFoundError
from moto.moto_server.werkzeug_app import BackendRequest, create_backend_app
from werkzeug.exceptions import HTTPException

from localcloud.aws_errors import refuse, refuse_signature
from localcloud.core.context import CloudContext
from localcloud.core.http_server import HttpRequest, HttpResponse
from localcloud.core.json_text import nesting
from localcloud.core.wsgi import call_wsgi, wsgi_environ
from localcloud.iam.identities import secrets_of
from localcloud.iam.signatures import SignatureError, claim_of, verify
from localcloud.iam.signer import Signer, signed_by
from localcloud.reads import FAILURES, code_of_nothing, is_left_unanswered
from localcloud.services.service import Service

log = logging.getLogger(__name__)

Control = Callable[[HttpRequest], HttpResponse]

_NO_ROUTE = b"<!doctype html>"
"""How Flask's own page of a path that is not there begins."""

_DEEP = 100
"""No request that means something is nested deeper; DynamoDB's values are by 32 at most."""


class AwsApi:
    """Answers requests to the AWS API port.

    Parameters
    ----------
    control : callable
        Answers what is under the context's control path.
    context : CloudContext
        Its clock is the Date of every answer, from which clients know the time.
    services : iterable of Service
        Those that answer here; all others are refused.
    """

    def __init__(self, control: Control, context: CloudContext, services: Iterable[Service]) -> None:
        self._control = control
        self._control_path = context.control_path
        self._services = {service.signing_name: service for service in services}
        self._port = context.port
        self._now = context.clock.now
        self._secret_of = secrets_of(context)
        self._applications: dict[str, Any] = {}
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        answer = self._answer(request)
        headers = [(name, value) for name, value in answer.headers if not _is_left_out(name.lower())]
        date = format_datetime(self._now(), usegmt=True)
        return HttpResponse(answer.status, answer.body, (*headers, ("Date", date)))

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.target.startswith(self._control_path):
            return self._control(request)
        claim = None
        try:
            claim = claim_of(request)
            request = verify(request, claim, self._secret_of, (datetime.now(UTC), self._now()))
        except SignatureError as error:
            log.info("%s %s is refused: %s", request.method, request.path, error)
            return refuse_signature(request, claim.service if claim else None, error)
        if claim.region not in known_regions():
            message = f"Credential should be scoped to a valid region; found {claim.region!r}"
            return refuse(request, 403, "InvalidSignatureException", message, claim.service)
        service = self._services.get(claim.service)
        if service is None or not service.executes(request.path):
            return refuse(
                request,
                501,
                "NotExecutedLocally",
                f"the local cloud does not execute {claim.service} at {request.path}; it executes "
                f"{', '.join(sorted(self._services))}",
                claim.service,
            )
        action = action_of(request, claim.service)
        if action in service.refused:
            message = f"the local cloud does not execute {action} of {claim.service}: {service.refused[action]}"
            return refuse(request, 400, "UnknownOperationException", message, claim.service)
        with signed_by(Signer(claim.key, claim.region, claim.service)):
            try:
                return self._executed(request, service)
            except OperationNotFoundError as error:
                # Of another API that is signed for under the same name, such as DynamoDB's streams, or of none.
                message = f"the local cloud does not execute {error} of {claim.service}"
                return refuse(request, 400, "UnknownOperationException", message, claim.service)
            except NotImplementedError:
                message = f"the local cloud does not execute {action} of {claim.service}"
                return refuse(request, 400, "UnknownOperationException", message, claim.service)
            except RecursionError:
                depth = nesting(unquote_plus(request.body.decode("latin-1")))
                if depth < _DEEP:
                    raise
                message = f"the request is nested {depth:,} deep, which is more than can be read"
                return refuse(request, 400, "SerializationException", message, claim.service)
            except FAILURES as error:
                if not is_left_unanswered(action, error):
                    raise
                log.warning("%s of %s has no answer", action, claim.service, exc_info=True)
                message = (
                    f"{action} of {claim.service} finds nothing to answer with ({type(error).__name__}: {error}): check"
                    " the names and ARNs of the request; where they are right, the local cloud does not execute it"
                )
                return refuse(request, 400, code_of_nothing(claim.service, action), message, claim.service)

    def _executed(self, request: HttpRequest, service: Service) -> HttpResponse:
        environ = wsgi_environ(request, self._port)
        if service.has_one_url:
            return _direct(self._handler(service.backend), environ)
        answer = call_wsgi(self._application(service.backend), environ)
        if answer.status == 404 and answer.body.startswith(_NO_ROUTE):
            raise NotImplementedError  # moto has no such path: what it knows and does not find, it says in JSON or XML
        return answer

    def _handler(self, name: str) -> Callable[..., Any]:
        handler = self._handlers.get(name)
        if handler is None:
            with self._lock:
                importlib.import_module(f"moto.{name}.models")
                paths = importlib.import_module(f"moto.{name}.urls").url_paths
                handler = self._handlers.setdefault(name, next(iter(paths.values())))
        return handler

    def _application(self, name: str) -> Any:
        application = self._applications.get(name)
        if application is None:
            with self._lock:
                application = self._applications.setdefault(name, create_backend_app(cast(Any, name)))
        return application


def action_of(request: HttpRequest, service: str) -> str:
    """The API's action that a request asks for; of S3 method and subresource, of other REST APIs method and path."""
    if service == "s3":
        subresources = [name for name, value in parse_qsl(request.query, keep_blank_values=True) if not value]
        return " ".join((request.method, *(f"?{name}" for name in subresources)))
    target = request.header("X-Amz-Target")
    if target is not None:
        return target.rpartition(".")[2]
    if (request.header("Content-Type") or "").startswith("application/x-www-form-urlencoded"):
        form = parse_qsl(request.body.decode("latin-1"))
    else:
        form = parse_qsl(request.query)
    named = next((value for name, value in form if name == "Action"), None)
    operation = request.path.rpartition("/operation/")[2] if "/operation/" in request.path else None
    return named or operation or f"{request.method} {request.path}"


@cache
def known_regions() -> frozenset[str]:
    """AWS's regions, of all partitions; moto has no backends for another."""
    session = botocore.session.get_session()
    partitions = session.get_available_partitions()
    return frozenset(region for name in partitions for region in session.get_available_regions("sts", name))


def _is_left_out(header: str) -> bool:
    """The Date is the local clock's; and no page of another origin may read an answer, whatever moto grants."""
    return header == "date" or header.startswith("access-control-")


def _direct(handler: Callable[..., Any], environ: dict[str, Any]) -> HttpResponse:
    request = BackendRequest(environ)
    try:
        result = handler(request, request.raw_url, request.headers)
    except HTTPException as error:
        answer = error.get_response(environ)
        return HttpResponse(answer.status_code, answer.get_data(), tuple(answer.headers.items()))
    status, headers, body = result if len(result) == 3 else (200, {}, result)
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    return HttpResponse(int(status), content, tuple((name, str(value)) for name, value in headers.items()))
