"""A REST API (version 1 of API Gateway) as a real HTTP server: stages, methods, authorization, Lambda integrations.

Each API gets a port of its own on 127.0.0.1; the first part of a path is the stage, as on AWS. A stage serves the
deployment that it names: what was changed since is not served. What is not executed is refused when it is configured
(see :mod:`localcloud.services.apigateway.rest_api.hook`).

What becomes of an invocation that Lambda refuses (500), and of a function that fails or answers what is no response
(502): https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html. Which gateway response it is, AWS
says only of some.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qsl

from localcloud.core.http_server import HttpRequest, HttpResponse
from localcloud.services.apigateway.caller import Caller, ForbiddenError
from localcloud.services.apigateway.functions import Functions, InvocationForbiddenError
from localcloud.services.apigateway.observing import Exchange
from localcloud.services.apigateway.rest_api import gateway_responses
from localcloud.services.apigateway.rest_api.access_log import Details
from localcloud.services.apigateway.rest_api.definition import FunctionIntegration, MockIntegration, Snapshot, Stage
from localcloud.services.apigateway.rest_api.gateway_responses import RefusedError
from localcloud.services.apigateway.rest_api.proxy import (
    Arrival,
    BadEncodingError,
    BadResultError,
    event_of,
    response_of,
)
from localcloud.services.apigateway.routes import Route, RouteTable
from localcloud.services.apigateway.servers import MAX_BODY_BYTES, ApiServer
from localcloud.services.apigateway.throttling import Buckets
from localcloud.services.lambda_.seam import LambdaServiceError, RequestTooLargeError, TooManyRequestsError

log = logging.getLogger(__name__)

_FORBIDDEN = b'{"message":"Forbidden"}'
_JSON = ("Content-Type", "application/json")
_INTERNAL = "InternalServerErrorException"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
_UNKNOWN_KEY = "The security token included in the request is invalid."


class Gate(Protocol):
    """Decides who may call what."""

    def caller(self, request: HttpRequest, api_id: str, stage: str, path: str) -> Caller:
        """Who signed the request, if allowed; raises ForbiddenError."""


@dataclass
class _Course:
    """What is found out about a request on its way."""

    arrival: Arrival
    route_key: str = ""
    integration_ms: float | None = None
    integration_status: int | None = None
    error: tuple[str, str] | None = None


class RestApi(ApiServer):
    """The server of one REST API.

    Parameters
    ----------
    define : callable
        The API's stages now, by name; asked again after :meth:`changed`.
    observe : callable
        Told of every request to a stage that was answered: the exchange, its stage, the key of its route and more.
    """

    def __init__(
        self,
        api_id: str,
        *,
        account_id: str,
        region: str,
        define: Callable[[], Mapping[str, Stage]],
        now: Callable[[], datetime],
        functions: Functions,
        gate: Gate,
        observe: Callable[[Exchange, Stage, str, Details], None],
    ) -> None:
        self._api_id = api_id
        self._account_id = account_id
        self._region = region
        self._define = define
        self._now = now
        self._functions = functions
        self._gate = gate
        self._observe = observe
        self._served: Mapping[str, tuple[Stage, RouteTable]] | None = None
        self._buckets = Buckets()
        # A body that is too large has a gateway response of its own.
        super().__init__(f"rest-api-{api_id}", max_body=2 * MAX_BODY_BYTES)

    def changed(self) -> None:
        """Read the stages again before the next request."""
        self._served = None

    def _current(self) -> Mapping[str, tuple[Stage, RouteTable]]:
        served = self._served
        if served is None:
            stages = self._define().items()
            served = {name: (stage, RouteTable(stage.snapshot.routes)) for name, stage in stages}
            self._served = served
        return served

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        began = time.monotonic()
        request_id, extended = str(uuid.uuid4()), base64.urlsafe_b64encode(os.urandom(11)).decode()
        identified = (("x-amzn-RequestId", request_id), ("x-amz-apigw-id", extended))
        name, _, rest = request.path.lstrip("/").partition("/")
        served = self._current().get(name)
        if served is None:
            headers = (_JSON, ("x-amzn-ErrorType", "ForbiddenException"), *identified)
            return HttpResponse(403, _FORBIDDEN, headers)
        stage, table = served
        at = self._now()
        course = _Course(
            Arrival(
                resource_id="",
                resource_path="",
                path=f"/{rest}",
                path_parameters={},
                stage=stage.name,
                stage_variables=stage.variables,
                deployment_id=stage.deployment_id,
                api_id=self._api_id,
                account_id=self._account_id,
                request_id=request_id,
                extended_request_id=extended,
                trace_id=f"Root=1-{int(at.timestamp()):08x}-{os.urandom(12).hex()}",
                at=at,
                domain=request.header("Host") or "",
            )
        )
        try:
            response = self._answer(request, stage, table, course)
            response = replace(response, headers=(*response.headers, ("X-Amzn-Trace-Id", course.arrival.trace_id)))
        except RefusedError as refused:
            course.error = refused.kind, refused.message
            response = self._refuse(refused, request, stage, course)
        response = replace(response, headers=(*identified, *response.headers))
        self._tell(request, response, stage, course, (time.monotonic() - began) * 1000)
        return response

    def _answer(self, request: HttpRequest, stage: Stage, table: RouteTable, course: _Course) -> HttpResponse:
        snapshot = stage.snapshot
        found = table.match(request.method, course.arrival.path)
        if found is None:
            raise _missing_token()
        route, parameters = found
        method = snapshot.methods[route.key]
        course.route_key = route.key
        course.arrival = replace(
            course.arrival, resource_id=method.resource_id, resource_path=route.path, path_parameters=parameters
        )
        if len(request.body) > MAX_BODY_BYTES:
            raise _too_long()
        if not self._buckets.take(stage.name, stage.limits, route.key):
            raise RefusedError("THROTTLED", 429, "TooManyRequestsException", "Too Many Requests")
        if route.authorization == "AWS_IAM":
            course.arrival = replace(course.arrival, caller=self._caller(request, stage, course))
        match method.integration:
            case MockIntegration(status, headers):
                typed = any(name.lower() == "content-type" for name, _ in headers)
                return HttpResponse(status, b"", headers if typed else (*headers, _JSON))
            case FunctionIntegration() as integration:
                began = time.monotonic()
                try:
                    return self._integrate(integration, route, request, snapshot, course)
                finally:
                    course.integration_ms = (time.monotonic() - began) * 1000
        log.error("method %s has no integration", route.key)
        raise _internal("API_CONFIGURATION_ERROR", 500)

    def _caller(self, request: HttpRequest, stage: Stage, course: _Course) -> Caller:
        try:
            return self._gate.caller(request, self._api_id, stage.name, course.arrival.path)
        except ForbiddenError as error:
            log.info("%s %s is forbidden: %s", request.method, request.path, error)
            raise _forbidden(error) from error

    def _integrate(
        self, integration: FunctionIntegration, route: Route, request: HttpRequest, snapshot: Snapshot, course: _Course
    ) -> HttpResponse:
        arrival, function = course.arrival, integration.function_arn
        place = f"{self._api_id}/{arrival.stage}/{request.method}{route.path}"
        source = f"arn:aws:execute-api:{self._region}:{self._account_id}:{place}"
        event = json.dumps(event_of(request, arrival, snapshot.binary_media_types), separators=(",", ":")).encode()
        try:
            result = self._functions.invoke(function, source, event, integration.timeout_seconds)
        except TimeoutError as error:
            log.warning("%s", error)
            raise RefusedError("INTEGRATION_TIMEOUT", 504, _INTERNAL, "Endpoint request timed out") from error
        except TooManyRequestsError as error:
            # 500, not 429: https://repost.aws/questions/QUfI6bsdd0SOiPeyimzxSkfQ
            log.warning("%s: %s", function, error)
            course.integration_status = 429
            raise _internal("INTEGRATION_FAILURE", 500) from error
        except InvocationForbiddenError as error:
            log.error("%s", error)
            raise _internal("API_CONFIGURATION_ERROR", 500) from error
        except RequestTooLargeError as error:
            log.warning("%s: %s", function, error)
            course.integration_status = 413
            raise _too_long() from error
        except LambdaServiceError as error:
            log.error("%s can't be invoked: %s", function, error)
            raise _internal("INTEGRATION_FAILURE", 500) from error
        course.integration_status = 200
        if result.function_error is not None:
            log.warning("%s failed: %s", function, result.payload[:500])
            raise _internal("DEFAULT_5XX", 502)
        try:
            return response_of(result.payload, request.header("Accept"), snapshot.binary_media_types)
        except BadResultError as error:
            log.warning("%s answered with an invalid response: %s", function, error)
            raise _internal("DEFAULT_5XX", 502) from error
        except BadEncodingError as error:
            log.warning("%s answered with an invalid response: %s", function, error)
            raise _internal("API_CONFIGURATION_ERROR", 500) from error

    def _refuse(self, refused: RefusedError, request: HttpRequest, stage: Stage, course: _Course) -> HttpResponse:
        arrival = course.arrival
        query = dict(parse_qsl(request.query, keep_blank_values=True))

        def of_request(place: str, name: str) -> str | None:
            if place == "header":
                return request.header(name)
            return (query if place == "querystring" else arrival.path_parameters).get(name)

        at = arrival.at.astimezone(UTC)
        context = {
            "accountId": self._account_id,
            "apiId": self._api_id,
            "domainName": arrival.domain,
            "domainPrefix": arrival.domain.split(".")[0],
            "extendedRequestId": arrival.extended_request_id,
            "httpMethod": request.method,
            "identity.sourceIp": request.peer,
            "identity.userAgent": request.header("User-Agent") or "",
            "path": request.path,
            "protocol": "HTTP/1.1",
            "requestId": arrival.request_id,
            "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": str(int(at.timestamp() * 1000)),
            "resourceId": arrival.resource_id,
            "resourcePath": arrival.resource_path,
            "stage": arrival.stage,
        }
        return gateway_responses.answer(refused, stage.snapshot.gateway_responses, context, of_request)

    def _tell(
        self, request: HttpRequest, response: HttpResponse, stage: Stage, course: _Course, latency_ms: float
    ) -> None:
        arrival = course.arrival
        exchange = Exchange(
            self._api_id,
            stage.name,
            arrival.request_id,
            request.method,
            request.path,
            request.peer,
            request.header("User-Agent") or "",
            response.status,
            len(response.body),
            latency_ms,
            course.integration_ms,
            arrival.at,
        )
        details = Details(
            account_id=self._account_id,
            deployment_id=stage.deployment_id,
            extended_request_id=arrival.extended_request_id,
            resource_id=arrival.resource_id,
            resource_path=arrival.resource_path,
            domain=arrival.domain,
            trace_id=arrival.trace_id,
            caller=arrival.caller,
            error=course.error,
            integration_status=course.integration_status,
        )
        self._observe(exchange, stage, course.route_key, details)


def _missing_token() -> RefusedError:
    """Also what a path or a method that is not there is answered with."""
    error = "MissingAuthenticationTokenException"
    return RefusedError("MISSING_AUTHENTICATION_TOKEN", 403, error, "Missing Authentication Token")


def _too_long() -> RefusedError:
    return RefusedError("REQUEST_TOO_LARGE", 413, "RequestEntityTooLargeException", "Request Too Long")


def _internal(kind: str, status: int) -> RefusedError:
    return RefusedError(kind, status, _INTERNAL, "Internal server error")


def _forbidden(error: ForbiddenError) -> RefusedError:
    """How a caller is refused. AWS names the types; which one an unknown access key has, it does not say."""
    match error.kind:
        case "missing":
            return _missing_token()
        case "malformed":
            return RefusedError("INVALID_SIGNATURE", 403, "IncompleteSignatureException", str(error))
        case "unknown key" | "token":
            return RefusedError("INVALID_SIGNATURE", 403, "UnrecognizedClientException", _UNKNOWN_KEY)
        case "denied":
            # The one message that is written with a capital letter.
            return RefusedError("ACCESS_DENIED", 403, "AccessDeniedException", str(error), member="Message")
        case "mismatch":
            return RefusedError("INVALID_SIGNATURE", 403, "InvalidSignatureException", _MISMATCH)
    return RefusedError("INVALID_SIGNATURE", 403, "InvalidSignatureException", str(error))
