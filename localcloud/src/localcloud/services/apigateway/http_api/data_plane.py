"""An HTTP API (API Gateway v2) as a real HTTP server: routes, authorization, Lambda integrations.

Each API gets a port of its own on 127.0.0.1. A request goes straight to the Lambda invoker in this process.
What is not executed is refused when it is configured (see :mod:`localcloud.services.apigateway.http_api.hook`).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from localcloud.core.http_server import HttpRequest, HttpResponse
from localcloud.services.apigateway.caller import Caller, ForbiddenError
from localcloud.services.apigateway.functions import Functions, InvocationForbiddenError
from localcloud.services.apigateway.http_api.payload import Arrival, BadResultError, event_of, response_of
from localcloud.services.apigateway.http_api.tokens import Authorizer, Token, TokenRefusedError
from localcloud.services.apigateway.observing import Exchange, context_values, filled_in
from localcloud.services.apigateway.routes import Route, RouteTable
from localcloud.services.apigateway.servers import ApiServer
from localcloud.services.apigateway.throttling import Buckets, Limits
from localcloud.services.lambda_.seam import LambdaServiceError, TooManyRequestsError

log = logging.getLogger(__name__)

DEFAULT_STAGE = "$default"
_JSON = (("Content-Type", "application/json"),)


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


class Gate(Protocol):
    """Decides who may call what."""

    def caller(self, request: HttpRequest, api_id: str, stage: str, path: str) -> Caller:
        """Who signed the request, if allowed; raises ForbiddenError."""


class Tokens(Protocol):
    """Decides whose token passes."""

    def admit(self, header: str | None, authorizer: Authorizer, scopes: tuple[str, ...]) -> Token:
        """What the token in the header ``Authorization`` says, if it passes; raises TokenRefusedError."""


class HttpApi(ApiServer):
    """The server of one API.

    Parameters
    ----------
    define : callable
        The API's definition now; asked again after :meth:`changed`.
    observe : callable
        Told of every answered request: the exchange, its stage and the key of its route.
    """

    def __init__(
        self,
        api_id: str,
        *,
        account_id: str,
        region: str,
        define: Callable[[], ApiDefinition],
        now: Callable[[], datetime],
        functions: Functions,
        gate: Gate,
        tokens: Tokens,
        observe: Callable[[Exchange, Stage, str], None],
    ) -> None:
        self._api_id = api_id
        self._account_id = account_id
        self._region = region
        self._define = define
        self._now = now
        self._functions = functions
        self._gate = gate
        self._tokens = tokens
        self._observe = observe
        self._definition: ApiDefinition | None = None
        self._table = RouteTable(())
        self._buckets = Buckets()
        super().__init__(f"http-api-{api_id}")

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

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
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
                stage.name,
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
            ),
            stage,
            route.key,
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
                token = self._tokens.admit(request.header("Authorization"), authorizer, route.scopes)
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
        place = f"{request.method}{route.path}" if route.path else DEFAULT_STAGE
        source = f"arn:aws:execute-api:{self._region}:{self._account_id}:{self._api_id}/{arrival.stage}/{place}"
        event = json.dumps(event_of(request, arrival), separators=(",", ":")).encode()
        try:
            result = self._functions.invoke(integration.function_arn, source, event, integration.timeout_seconds)
        except (TooManyRequestsError, TimeoutError) as error:
            log.warning("%s: %s", integration.function_arn, error)
            return _message(503, "Service Unavailable")
        except InvocationForbiddenError as error:
            log.error("%s", error)
            return _message(500, "Internal Server Error")
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


def access_log_line(template: str, exchange: Exchange, route_key: str) -> str:
    """An access log format with its ``$context`` variables filled in; unknown ones become ``-``."""
    latency = f"{exchange.integration_ms or 0:.0f}"
    own = {"routeKey": route_key, "integrationLatency": latency, "integration.latency": latency}
    return filled_in(template, context_values(exchange) | own)


def _stage_of(definition: ApiDefinition, path: str) -> tuple[Stage | None, str]:
    first, _, rest = path.lstrip("/").partition("/")
    if first in definition.stages and first != DEFAULT_STAGE:
        return definition.stages[first], f"/{rest}"
    return definition.stages.get(DEFAULT_STAGE), path


def _message(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, json.dumps({"message": text}, separators=(",", ":")).encode(), _JSON)
