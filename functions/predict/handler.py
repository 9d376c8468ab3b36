"""Answers prediction requests, by whichever protocol, with the artefact this function version is bound to."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from everloop.aws.firehose import FirehoseStreams
from everloop.aws.s3 import S3Reader
from everloop.aws.signing import Credentials
from everloop.aws.transport import Service, endpoint_of
from everloop.emf import EmfLines, MetricValue
from everloop.environment import Settings, require
from everloop.instants import from_epoch_ms
from everloop.log_lines import log_line
from everloop.names import COLD_START, FAULTS, SERVER_ERRORS, UNSEEN, ModelNames
from everloop.serving.after_answer import AfterAnswer, Deadline, Invocation, follow, registered
from everloop.serving.answer import USUAL_METRICS, Answer, answer_metrics
from everloop.serving.artifact import Artifact, files_below, load_artifact
from everloop.serving.capture import CAPTURE_FALLBACK, CaptureWriter, RecordFailure, RecordWriter
from everloop.serving.cold_start import ColdStart
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.declared import (
    WHOLE,
    Capturing,
    Declared,
    declared_capturing,
    declared_fallback,
    declared_features,
)
from everloop.serving.exceptions import NoChampionError, UnknownRouteError
from everloop.serving.exchange import JSON, HttpRequest, Reply, whole
from everloop.serving.protocols import NATIVE
from everloop.serving.request import MAX_BODY_BYTES
from everloop.serving.response import HttpResponse, http_reply
from everloop.serving.service import PredictionService
from everloop.trace_context import traceparent_of

if TYPE_CHECKING:
    from everloop.serving.direct import Step
    from everloop.serving.fallback import Fallback
    from everloop.serving.passed_on import PassingOn

DIMENSION_SETS = (("model",), ("model", "lambda_version"))
MODELS_FAILURE, NO_FAILURE = MetricValue(SERVER_ERRORS, 1), MetricValue(SERVER_ERRORS, 0)
FAULT = MetricValue(FAULTS, 1)
BY_CAUSE = (*DIMENSION_SETS, ("model", "lambda_version", "cause"))

# Registered while the function initialises: afterwards Lambda takes no extension.
_EXTENSION = registered(os.environ, "everloop-capture")
_MAKING = Lock()


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack and the rollout set; ``version`` is None while no model version is bound.

    With an ``endpoint`` and no version, requests are passed on to that endpoint. ``standby`` names the version that
    answers where this one can't.
    """

    artifact_bucket: str
    predictions_stream: str
    version: int | None = None
    artifact_prefix: str = ""
    manifest_sha256: str = ""
    calibration: str = ""
    endpoint: str = ""
    standby: str = ""
    signer: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Self:
        """Read the function's environment variables; where a version is bound, all that binds it must be there."""
        environment = super().read(variables)
        if environment.version is not None:
            require(variables, "artifact_prefix", "manifest_sha256")
        return environment


class Predictor:
    """The function's life: its environment, its clients, and the artefact once loaded.

    Parameters
    ----------
    fallback : Fallback, optional
        Answers where the version can't.
    capturing : Capturing
        What of the rows the stream gets.
    passing_on : PassingOn, optional
        Answers in place of an artefact of this function's own.
    deadline : Deadline, optional
        Where rows are written after the answer: :meth:`finish` is called for each request then, by another thread.
    cold_start : ColdStart, optional
        What the first request waits, where it waits for the process.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        s3_client: Any,
        firehose_client: Any,
        declared: Sequence[NumberField | CategoryField] = (),
        deadline: Deadline | None = None,
        passing_on: PassingOn | None = None,
        fallback: Fallback | None = None,
        capturing: Capturing = WHOLE,
        cold_start: ColdStart | None = None,
    ) -> None:
        self._environment = environment
        self._cold_start = cold_start
        self._s3 = s3_client
        self._lambda_version, self._epoch_ms, self._request_id, self._traceparent = "", 0, "", ""
        self._native_route = f"POST {ModelNames(environment.model).path(NATIVE)}"
        stream = environment.predictions_stream
        writer: RecordWriter
        if deadline is None:
            self._after, writer = None, CaptureWriter(firehose_client, stream)
        else:
            direct = CaptureWriter(firehose_client, stream, has_time=deadline.has_time)
            self._after = writer = AfterAnswer(direct, self._lost, deadline)
        own = PredictionService(environment.model, self._load, writer, time.perf_counter, declared, fallback, capturing)
        self._own = own
        self._service: PredictionService | PassingOn = passing_on or own

    def finish(self, invocation: Invocation) -> None:
        """Write the rows of a request once it is answered, where they were not written before; then make ready."""
        if self._after is not None:
            self._after.finish(invocation)
        self._own.settle()

    def handle(self, event: Mapping[str, Any], lambda_version: str, lambda_request_id: str = "") -> HttpResponse:
        """Answer an event of an HTTP API, or of a REST API; log and count what happened."""
        if "httpMethod" in event:
            event = _of_rest()(event)
        self._lambda_version, self._epoch_ms, self._request_id, self._traceparent = lambda_version, 0, "", ""
        try:
            step = self._own.step
            response = None if step is None else self._in_one_step(event, lambda_version, step)
            return self._answer(event, lambda_version) if response is None else response
        finally:
            if self._after is not None:
                self._after.answered(lambda_request_id, self._epoch_ms)

    def _in_one_step(self, event: Mapping[str, Any], lambda_version: str, step: Step) -> HttpResponse | None:
        """The answer to a plain request of the native protocol: most are such. None, with nothing done, to all else."""
        headers, body = event.get("headers"), event.get("body")
        if not body or not headers or event.get("isBase64Encoded") or UNSEEN in event:
            return None
        if event.get("routeKey") != self._native_route and not _is_native(event):
            return None
        if headers.get("content-type") != JSON or "content-encoding" in headers or "traceparent" in headers:
            return None
        started, data, context = time.perf_counter(), body.encode("utf-8", "surrogatepass"), event["requestContext"]
        if len(data) > MAX_BODY_BYTES:
            return None
        epoch_ms = self._epoch_ms = int(context["timeEpoch"])
        request_id = self._request_id = context["requestId"]
        try:
            found = step(data, request_id, from_epoch_ms(epoch_ms), started)
        except Exception as error:  # whatever it is, the steps say what comes of it
            return self._answer(event, lambda_version, error)
        if found is None:
            return None
        answered, rows, latency_ms, lost = found
        if lost or rows.unseen:
            metrics = answer_metrics(rows, latency_ms, lost)
            return self._told(Answer(200, Reply(answered), metrics, lost), lambda_version)
        # A line of EmfLines, without a call for each of its parts.
        a, b, c, d, e, f, end = _usual_line(self._environment.model, lambda_version)
        trace = quoted(os.environ.get("_X_AMZN_TRACE_ID", ""))
        line = f"{a}{epoch_ms}{b}{quoted(request_id)}{c}{trace}{d}0{e}{len(rows.keys)}{f}{latency_ms}{end}\n"
        sys.stdout.write(line)
        return {
            "statusCode": 200,
            "headers": {"content-type": JSON},
            "body": answered.decode(),
            "isBase64Encoded": False,
        }

    def _answer(self, event: Mapping[str, Any], lambda_version: str, failed: Exception | None = None) -> HttpResponse:
        context, unseen = event["requestContext"], event.get(UNSEEN) is True
        epoch_ms = self._epoch_ms = int(context["timeEpoch"])
        request_id = self._request_id = context["requestId"]
        headers = event.get("headers") or {}
        if "traceparent" in headers:
            self._traceparent = traceparent_of(headers)
        at = from_epoch_ms(epoch_ms)
        # The first request of a process comes by here: what answers in one step is made after it.
        begun, self._cold_start = self._cold_start, None
        waited = begun if begun is not None and begun.is_waited_for() else None
        try:
            method, in_base64 = context["http"]["method"], bool(event.get("isBase64Encoded"))
            request = whole(HttpRequest, (method, "", headers, event.get("body"), in_base64))
            path = self._path(event)
            if failed is None:
                answer = self._service.answer(path, request, request_id=request_id, at=at, unseen=unseen)
            else:
                answer = self._own.answer(path, request, request_id=request_id, at=at, failed=failed)
        except Exception:
            # Counted, then raised: the caller gets API Gateway's 500, and the function's own error count rises.
            if not unseen:
                self._count([MODELS_FAILURE], epoch_ms, lambda_version)
            raise
        return self._told(answer, lambda_version, unseen=unseen, waited=waited)

    def _told(
        self, answer: Answer, lambda_version: str, *, unseen: bool = False, waited: ColdStart | None = None
    ) -> HttpResponse:
        """The response, once what there is to say of the request under way is logged and counted."""
        if faulty := answer.is_faulty:
            self._log(answer, self._request_id, from_epoch_ms(self._epoch_ms))
        status, reply, metrics = answer[:3]
        if unseen:
            return http_reply(status, reply)
        # Of what is answered with 200 only what is faulty can be the model's failure.
        failed = (faulty or status != 200) and answer.is_models_failure
        counted = [MODELS_FAILURE if failed else NO_FAILURE, *metrics]
        if faulty:
            counted.append(FAULT)
        if waited is not None and (milliseconds := waited.milliseconds()) is not None:
            counted.append(MetricValue(COLD_START, milliseconds, "Milliseconds"))
        self._count(counted, self._epoch_ms, answer.variant or lambda_version, answer.cause)
        return http_reply(status, reply)

    def _path(self, event: Mapping[str, Any]) -> str:
        """The path below the model's data plane: that of the route, or what the greedy one took.

        The request's own path may have the name of a stage or of a mapped domain in front.
        """
        given, route = event.get("pathParameters"), _below(event.get("routeKey"), self._environment.model)
        return str(given.get("proxy") or route) if given else route

    def _load(self) -> Artifact:
        environment = self._environment
        if environment.version is None:
            raise NoChampionError(
                f"no version of {environment.model} serves: train one, or, if the model was removed and deployed"
                f" again,  `everloop rollout start {environment.model}`"
            )
        return load_artifact(
            self._s3,
            environment.artifact_bucket,
            environment.artifact_prefix,
            environment.manifest_sha256,
            model=environment.model,
            version=environment.version,
            calibration=environment.calibration,
            signer=environment.signer,
        )

    def _log(self, answer: Answer, request_id: str, at: datetime) -> None:
        self._log_lost(answer.lost, at)
        if answer.no_score is not None:
            found = answer.no_score
            _error("no_score", {"reason": found.message, "field": found.field, "request_id": request_id}, at)
        fell_back = answer.fell_back
        if fell_back is not None:
            said = {"fallback": fell_back.use, "reason": fell_back.reason, "error": fell_back.detail}
            more = {"failed": fell_back.failed} if fell_back.failed else {}
            _error("fell_back", {**said, **more, "request_id": request_id}, at)
        if answer.failed:
            _error("endpoint_failed", {"answer": answer.failed, "request_id": request_id}, at)
        if answer.refused is not None:
            refused = answer.refused
            _error(
                "artifact_refused",
                {
                    "file": refused.file,
                    "expected": refused.expected,
                    "found": refused.found,
                    "artifact": f"s3://{self._environment.artifact_bucket}/{self._environment.artifact_prefix}",
                    "request_id": request_id,
                },
                at,
            )

    def _lost(self, failures: list[RecordFailure], epoch_ms: int) -> None:
        """The rows that the stream did not take after the answer."""
        self._log_lost(failures, from_epoch_ms(epoch_ms))
        counted = [MetricValue("CaptureFallback", len(failures)), FAULT]
        self._count(counted, epoch_ms, self._lambda_version)

    def _log_lost(self, failures: Sequence[RecordFailure], at: datetime) -> None:
        for failure in failures:
            _error(CAPTURE_FALLBACK, {"reason": failure.reason, "record": failure.record}, at)

    def _count(self, metrics: list[MetricValue], epoch_ms: int, lambda_version: str, cause: str | None = None) -> None:
        texts = [self._request_id, os.environ.get("_X_AMZN_TRACE_ID", "")]
        if traced := bool(self._traceparent):
            texts.append(self._traceparent)
        lines = _lines(self._environment.model, lambda_version, cause, traced)
        _print(lines.line(metrics, texts, epoch_ms))


@lru_cache(maxsize=64)
def _lines(model: str, lambda_version: str, cause: str | None, traced: bool) -> EmfLines:
    """The lines of requests that are counted alike."""
    constants = {"model": model, "lambda_version": lambda_version, **({} if cause is None else {"cause": cause})}
    return EmfLines(
        constants,
        ("request_id", "trace_id", *(("traceparent",) if traced else ())),
        dimension_sets=DIMENSION_SETS,
        apart=() if cause is None else (((MetricValue("ClientErrors", 1),), BY_CAUSE),),
    )


@lru_cache(maxsize=64)
def _usual_line(model: str, lambda_version: str) -> tuple[str, ...]:
    """What stands around the values in the line of a request of which nothing else is told."""
    names, units = zip((NO_FAILURE.name, NO_FAILURE.unit), *USUAL_METRICS, strict=True)
    return _lines(model, lambda_version, None, False).pieces(names, units)


@lru_cache(maxsize=64)
def _below(route: object, model: str) -> str:
    """The path of a route below the model's data plane."""
    path, base = str(route).partition(" ")[2], ModelNames(model).path("")
    if not path.startswith(base):
        raise UnknownRouteError(
            f"the route {route!r} is none of {model}'s, whose routes begin with {base!r}; deploy the stack again"
        )
    return path.removeprefix(base)


def _is_native(event: Mapping[str, Any]) -> bool:
    """Whether what came by the greedy route is the native protocol's: of an API of its own, that route takes all."""
    given = event.get("pathParameters") or {}
    return given.get("proxy") == NATIVE and event["requestContext"]["http"]["method"] == "POST"


@cache
def _of_rest() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What reads the events of a REST API: only a model that declares one imports it."""
    from everloop.serving.rest_event import as_http_event

    return as_http_event


def _print(line: str) -> None:
    """Log a line by one write: ``print`` makes two, of which Lambda's runtime passes on each by itself."""
    sys.stdout.write(f"{line}\n")


def _error(message: str, facts: dict[str, object], at: datetime) -> None:
    _print(log_line("ERROR", "predict", message, facts, at))


def predictor() -> Predictor:
    """The predictor of this process; made at the first request, of which two threads hear."""
    with _MAKING:
        return _made()


@cache
def _made() -> Predictor:
    document = json.loads((Path(__file__).parent / "declaration.json").read_text(encoding="utf-8"))
    variables, region = os.environ, os.environ["AWS_REGION"]
    credentials = Credentials.read(variables)
    deadline = None if _EXTENSION is None else Deadline()
    # Where a caller waits, a stream that hangs is given up early; the rows then go to the log.
    seconds = (lambda: 3.0) if deadline is None else deadline.call_seconds
    s3 = Service("s3", region, endpoint_of("s3", region, variables), credentials)
    firehose = Service(
        "firehose", region, endpoint_of("firehose", region, variables), credentials, attempts=2, seconds=seconds
    )
    environment = Environment.read(os.environ)
    s3_client = S3Reader(s3)
    passing_on = None
    if environment.endpoint and environment.version is None:
        # Only a function that passes requests on needs them.
        from everloop.aws.endpoint_runtime import SIGNED_AS, SageMakerEndpoint, address
        from everloop.serving.passed_on import PassingOn

        runtime = Service(SIGNED_AS, region, address(region, variables), credentials, seconds=lambda: 25.0)
        shared = environment.endpoint == ModelNames(environment.model).endpoint
        passing_on = PassingOn(SageMakerEndpoint(runtime, environment.endpoint), by_variant=shared)
    return Predictor(
        environment,
        s3_client=s3_client,
        firehose_client=FirehoseStreams(firehose),
        declared=declared_features(document),
        deadline=deadline,
        passing_on=passing_on,
        fallback=fallback_of(environment, document, s3_client),
        capturing=declared_capturing(document),
        cold_start=_READY,
    )


def fallback_of(environment: Environment, document: Declared, s3_client: Any) -> Fallback | None:
    """What answers where the bound version can't; None where none is declared, or no version is bound."""
    declared = declared_fallback(document)
    if declared is None or environment.version is None:
        return None
    # Only a model that declares one needs it.
    from everloop.serving.fallback import Fallback, Previous, Source
    from everloop.serving.standby import Standby

    read = files_below(s3_client, environment.artifact_bucket, environment.artifact_prefix)
    source, previous = Source(read, environment.manifest_sha256, environment.signer), None
    standby = Standby.from_text(environment.standby)
    if standby is not None:
        previous = Previous(standby, files_below(s3_client, environment.artifact_bucket, standby.prefix))
    version = environment.version
    return Fallback(environment.model, declared, document, version=version, source=source, previous=previous)


def handle(event: Mapping[str, Any], context: Any) -> HttpResponse:
    """Lambda's entry point."""
    return predictor().handle(event, context.function_version, context.aws_request_id)


_READY = ColdStart.of(os.environ)

if _EXTENSION is not None:
    follow(_EXTENSION, lambda invocation: predictor().finish(invocation))
