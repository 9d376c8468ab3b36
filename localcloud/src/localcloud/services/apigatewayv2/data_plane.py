"""An HTTP API (API Gateway v2) as a real HTTP server: routes, authorization, Lambda integrations.

Each API gets a port of its own on 127.0.0.1. A request goes straight to the Lambda invoker in this process.
What is not executed is refused when it is configured (see :mod:`localcloud.services.apigatewayv2.hook`).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from localcloud.core.http_server import HttpRequest, HttpResponse, HttpServer, listen
from localcloud.services.apigatewayv2.payload import Arrival, BadResultError, Caller, event_of, response_of
from localcloud.services.apigatewayv2.routes import Route, RouteTable
from localcloud.services.apigatewayv2.throttling import Buckets, Limits
from localcloud.services.apigatewayv2.tokens import Authorizer, Token, TokenRefusedError
from localcloud.services.lambda_.seam import (
    FunctionStore,
    InvocationResult,
    Invoker,
    LambdaServiceError,
    Resolved,
    TooManyRequestsError,
    split_name,
)

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 10_485_760
DEFAULT_STAGE = "$default"
_JSON = (("Content-Type", "application/json"),)
_INVOCATION_ARN = re.compile(
    r"arn:[^:]+:apigateway:[^:]+:lambda:path/2015-03-31/functions/(?P<function>.+)/invocations\Z"
)
_slow_calls = ThreadPoolExecutor(32, thread_name_prefix="http-api-slow")


@dataclass(frozen=True)
class Integration:
    """A Lambda function behind a route."""

    function_arn: str
    timeout_seconds: float


@dataclass(frozen=True)
class Stage:
    """A stage; ``access_log`` is the log group and the format, or None; ``limits`` say how much it lets through."""

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    access_log: tuple[str, str] | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class ApiDefinition:
    """What an API is made of now."""

    api_id: str
    routes: tuple[Route, ...]
    integrations: Mapping[str, Integration]
    stages: Mapping[str, Stage]
    authorizers: Mapping[str, Authorizer] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange:
    """What metrics and access logs say about an answered request."""

    api_id: str
    stage: Stage
    route_key: str
    request_id: str
    method: str
    path: str
    source_ip: str
    user_agent: str
    status: int
    response_bytes: int
    latency_ms: float
    integration_ms: float
    at: datetime


class ForbiddenError(PermissionError):
    """The caller is unknown or not allowed."""


class Gate(Protocol):
    """Decides who may call what."""

    def caller(self, request: HttpRequest, api_id: str, stage: str, path: str) -> Caller:
        """Who signed the request, if allowed; raises ForbiddenError."""

    def bearer(self, request: HttpRequest, authorizer: Authorizer, scopes: tuple[str, ...]) -> Token:
        """What the request's token says, if it passes; raises TokenRefusedError."""

    def function_allows(self, function: str, qualifier: str | None, source_arn: str) -> bool:
        """Whether the function's resource policy lets API Gateway invoke it for this route."""


class HttpApi:
    """The server of one API.

    Parameters
    ----------
    define : callable
        The API's definition now; asked again after :meth:`changed`.
    observe : callable
        Told of every answered request.
    """

    def __init__(
        self,
        api_id: str,
        *,
        account_id: str,
        region: str,
        define: Callable[[], ApiDefinition],
        now: Callable[[], datetime],
        store: FunctionStore,
        invoker: Invoker,
        gate: Gate,
        observe: Callable[[Exchange], None],
    ) -> None:
        self._api_id = api_id
        self._account_id = account_id
        self._region = region
        self._define = define
        self._now = now
        self._store = store
        self._invoker = invoker
        self._gate = gate
        self._observe = observe
        self._definition: ApiDefinition | None = None
        self._table = RouteTable(())
        self._buckets = Buckets()
        self._server = HttpServer(listen(0), self._handle, name=f"http-api-{api_id}", max_body=MAX_BODY_BYTES)

    @property
    def endpoint(self) -> str:
        """The URL that clients call."""
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        """Answer requests from now on."""
        self._server.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.stop()

    def changed(self) -> None:
        """Read the definition again before the next request."""
        self._definition = None

    def _current(self) -> ApiDefinition:
        definition = self._definition
        if definition is None:
            definition = self._define()
            self._table = RouteTable(definition.routes)
            self._definition = definition
        return definition

    def _handle(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        definition = self._current()
        stage, path = _stage_of(definition, request.path)
        found = self._table.match(request.method, path) if stage else None
        if stage is None or found is None:
            return _message(404, "Not Found")
        route, parameters = found
        arrival = Arrival(
            route_key=route.key,
            path_parameters=parameters,
            path=request.path,
            stage=stage.name,
            stage_variables=stage.variables,
            api_id=self._api_id,
            account_id=self._account_id,
            request_id=base64.urlsafe_b64encode(os.urandom(11)).decode(),
            at=self._now(),
            domain=request.header("Host") or "",
            caller=None,
        )
        response, integration_ms = _message(429, "Too Many Requests"), 0.0
        if self._buckets.take(stage.name, stage.limits, route.key):
            response, integration_ms = self._answer(request, definition, route, arrival, path)
        response = replace(response, headers=(*response.headers, ("apigw-requestid", arrival.request_id)))
        self._observe(
            Exchange(
                self._api_id,
                stage,
                route.key,
                arrival.request_id,
                request.method,
                request.path,
                request.peer,
                request.header("User-Agent") or "",
                response.status,
                len(response.body),
                (time.monotonic() - began) * 1000,
                integration_ms,
                arrival.at,
            )
        )
        return response

    def _answer(
        self, request: HttpRequest, definition: ApiDefinition, route: Route, arrival: Arrival, path: str
    ) -> tuple[HttpResponse, float]:
        if route.authorization == "AWS_IAM":
            try:
                caller = self._gate.caller(request, self._api_id, arrival.stage, path)
            except ForbiddenError as error:
                log.info("%s %s is forbidden: %s", request.method, request.path, error)
                return _message(403, "Forbidden"), 0.0
            arrival = replace(arrival, caller=caller)
        elif route.authorization == "JWT":
            authorizer = definition.authorizers.get(route.authorizer_id)
            if authorizer is None:
                log.error("route %s has no authorizer %s", route.key, route.authorizer_id)
                return _message(500, "Internal Server Error"), 0.0
            try:
                token = self._gate.bearer(request, authorizer, route.scopes)
            except TokenRefusedError as error:
                log.info("%s %s is refused: %s", request.method, request.path, error)
                answer = _message(error.status, "Unauthorized" if error.status == 401 else "Forbidden")
                return replace(answer, headers=(*answer.headers, ("www-authenticate", error.challenge))), 0.0
            arrival = replace(arrival, token=token)
        integration = definition.integrations.get(route.integration_id)
        if integration is None:
            log.error("route %s has no integration %s", route.key, route.integration_id)
            return _message(500, "Internal Server Error"), 0.0
        began = time.monotonic()
        response = self._integrate(integration, route, arrival, request)
        return response, (time.monotonic() - began) * 1000

    def _integrate(
        self, integration: Integration, route: Route, arrival: Arrival, request: HttpRequest
    ) -> HttpResponse:
        function, qualifier = split_name(integration.function_arn, None)
        place = f"{request.method}{route.path}" if route.path else DEFAULT_STAGE
        source = f"arn:aws:execute-api:{self._region}:{self._account_id}:{self._api_id}/{arrival.stage}/{place}"
        if not self._gate.function_allows(function, qualifier, source):
            log.error("%s does not let API Gateway invoke it for %s", integration.function_arn, source)
            return _message(500, "Internal Server Error")
        event = json.dumps(event_of(request, arrival), separators=(",", ":")).encode()
        try:
            resolved = self._store.resolve(function, qualifier)
            result = self._invoke(resolved, event, arrival.request_id, integration.timeout_seconds)
        except (TooManyRequestsError, TimeoutError) as error:
            log.warning("%s: %s", integration.function_arn, error or "the integration timed out")
            return _message(503, "Service Unavailable")
        except LambdaServiceError as error:
            log.error("%s can't be invoked: %s", integration.function_arn, error)
            return _message(500, "Internal Server Error")
        if result.function_error is not None:
            log.warning("%s failed: %s", integration.function_arn, result.payload[:500])
            return _message(500, "Internal Server Error")
        try:
            return response_of(result.payload)
        except BadResultError as error:
            log.warning("%s answered with an invalid response: %s", integration.function_arn, error)
            return _message(500, "Internal Server Error")

    def _invoke(self, resolved: Resolved, event: bytes, request_id: str, timeout: float) -> InvocationResult:
        if resolved.version.timeout < timeout:
            return self._invoker.run(resolved, event, _invocation_id())
        # the function may go on for longer than the client is kept waiting
        return _slow_calls.submit(self._invoker.run, resolved, event, _invocation_id()).result(timeout)


def function_of(integration_uri: str) -> str:
    """The function or alias ARN of an integration URI, given plain or as an invocation ARN."""
    match = _INVOCATION_ARN.match(integration_uri)
    return match["function"] if match else integration_uri


def access_log_line(template: str, exchange: Exchange) -> str:
    """An access log format with its ``$context`` variables filled in; unknown ones become ``-``."""
    at = exchange.at.astimezone(UTC)
    values = {
        "requestId": exchange.request_id,
        "extendedRequestId": exchange.request_id,
        "apiId": exchange.api_id,
        "stage": exchange.stage.name,
        "routeKey": exchange.route_key,
        "httpMethod": exchange.method,
        "path": exchange.path,
        "protocol": "HTTP/1.1",
        "status": str(exchange.status),
        "responseLength": str(exchange.response_bytes),
        "responseLatency": f"{exchange.latency_ms:.0f}",
        "integrationLatency": f"{exchange.integration_ms:.0f}",
        "integration.latency": f"{exchange.integration_ms:.0f}",
        "identity.sourceIp": exchange.source_ip,
        "identity.userAgent": exchange.user_agent,
        "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": str(int(at.timestamp() * 1000)),
    }
    return re.sub(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)", lambda found: values.get(found[1], "-"), template)


def _stage_of(definition: ApiDefinition, path: str) -> tuple[Stage | None, str]:
    first, _, rest = path.lstrip("/").partition("/")
    if first in definition.stages and first != DEFAULT_STAGE:
        return definition.stages[first], f"/{rest}"
    return definition.stages.get(DEFAULT_STAGE), path


def _invocation_id() -> str:
    raw = os.urandom(16).hex()
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def _message(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, json.dumps({"message": text}, separators=(",", ":")).encode(), _JSON)
