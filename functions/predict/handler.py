"""Answers prediction requests, by whichever protocol, with the artefact this function version is bound to."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from everloop.aws.firehose import FirehoseStreams
from everloop.aws.s3 import S3Reader
from everloop.aws.signing import Credentials
from everloop.aws.transport import Service, endpoint_of
from everloop.emf import MetricValue, emf_line
from everloop.environment import Settings, require
from everloop.instants import from_epoch_ms
from everloop.log_lines import log_line
from everloop.names import FAULTS, SERVER_ERRORS, UNSEEN, ModelNames
from everloop.serving.after_answer import AfterAnswer, Deadline, Invocation, follow, registered
from everloop.serving.artifact import Artifact, files_below, load_artifact
from everloop.serving.capture import CAPTURE_FALLBACK, CaptureWriter, RecordFailure, RecordWriter
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.declared import Declared, declared_fallback, declared_features
from everloop.serving.exceptions import NoChampionError, UnknownRouteError
from everloop.serving.exchange import HttpRequest
from everloop.serving.response import HttpResponse, http_reply
from everloop.serving.service import Answer, PredictionService

if TYPE_CHECKING:
    from everloop.serving.fallback import Fallback
    from everloop.serving.passed_on import PassingOn

DIMENSION_SETS = (("model",), ("model", "lambda_version"))
BY_CAUSE = (*DIMENSION_SETS, ("model", "lambda_version", "cause"))

TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""The caller's own trace, as W3C's Trace Context writes it (https://www.w3.org/TR/trace-context/)."""

# Registered while the function initialises: afterwards Lambda takes no extension.
_EXTENSION = registered(os.environ, "everloop-capture")
_MAKING = Lock()


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack and the rollout set; ``version`` is None while no model version is bound.

    With an ``endpoint`` and no version, requests are passed on to that endpoint.
    """

    artifact_bucket: str
    predictions_stream: str
    version: int | None = None
    artifact_prefix: str = ""
    manifest_sha256: str = ""
    calibration: str = ""
    endpoint: str = ""

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
    passing_on : PassingOn, optional
        Answers in place of an artefact of this function's own.
    deadline : Deadline, optional
        Where rows are written after the answer: :meth:`finish` is called for each request then, by another thread.
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
    ) -> None:
        self._environment = environment
        self._base = ModelNames(environment.model).path("")
        self._s3 = s3_client
        self._lambda_version, self._epoch_ms, self._request_id, self._traceparent = "", 0, "", ""
        stream = environment.predictions_stream
        writer: RecordWriter
        if deadline is None:
            self._after, writer = None, CaptureWriter(firehose_client, stream)
        else:
            direct = CaptureWriter(firehose_client, stream, has_time=deadline.has_time)
            self._after = writer = AfterAnswer(direct, self._lost, deadline)
        own = PredictionService(environment.model, self._load, writer, time.perf_counter, declared, fallback)
        self._service: PredictionService | PassingOn = passing_on or own
        self._settle = own.settle

    def finish(self, invocation: Invocation) -> None:
        """Write the rows of a request once it is answered, where they were not written before; then make ready."""
        if self._after is not None:
            self._after.finish(invocation)
        self._settle()

    def handle(self, event: Mapping[str, Any], lambda_version: str, lambda_request_id: str = "") -> HttpResponse:
        """Answer an HTTP API event; log and count what happened."""
        self._lambda_version, self._epoch_ms, self._request_id, self._traceparent = lambda_version, 0, "", ""
        try:
            return self._answer(event, lambda_version)
        finally:
            if self._after is not None:
                self._after.answered(lambda_request_id, self._epoch_ms)

    def _answer(self, event: Mapping[str, Any], lambda_version: str) -> HttpResponse:
        request, unseen = event["requestContext"], event.get(UNSEEN) is True
        epoch_ms = self._epoch_ms = int(request["timeEpoch"])
        request_id = self._request_id = request["requestId"]
        headers = event.get("headers") or {}
        # A header is whatever a caller likes to send: nothing else of it than this gets into a log.
        traceparent = headers.get("traceparent", "")
        self._traceparent = traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else ""
        at = from_epoch_ms(epoch_ms)
        try:
            answer = self._service.answer(
                self._path(event),
                HttpRequest(
                    method=request["http"]["method"],
                    headers=headers,
                    body=event.get("body"),
                    is_base64=bool(event.get("isBase64Encoded")),
                ),
                request_id=request_id,
                at=at,
                unseen=unseen,
            )
        except Exception:
            # Counted, then raised: the caller gets API Gateway's 500, and the function's own error count rises.
            if not unseen:
                self._count([MetricValue(SERVER_ERRORS, 1)], epoch_ms, lambda_version)
            raise
        if answer.is_faulty:
            self._log(answer, request_id, at)
        if unseen:
            return http_reply(answer.status, answer.reply)
        counted = [MetricValue(SERVER_ERRORS, int(answer.is_models_failure)), *answer.metrics]
        if answer.is_faulty:
            counted.append(MetricValue(FAULTS, 1))
        self._count(counted, epoch_ms, answer.variant or lambda_version, cause=answer.cause)
        return http_reply(answer.status, answer.reply)

    def _path(self, event: Mapping[str, Any]) -> str:
        """The path below the model's data plane: that of the route, or what the greedy one took.

        The request's own path may have the name of a stage or of a mapped domain in front.
        """
        route = str(event.get("routeKey"))
        path = route.partition(" ")[2]
        if not path.startswith(self._base):
            raise UnknownRouteError(
                f"the route {route!r} is none of {self._environment.model}'s, whose routes begin with {self._base!r};"
                " deploy the stack again"
            )
        return str((event.get("pathParameters") or {}).get("proxy") or path.removeprefix(self._base))

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
        counted = [MetricValue("CaptureFallback", len(failures)), MetricValue(FAULTS, 1)]
        self._count(counted, epoch_ms, self._lambda_version)

    def _log_lost(self, failures: Sequence[RecordFailure], at: datetime) -> None:
        for failure in failures:
            _error(CAPTURE_FALLBACK, {"reason": failure.reason, "record": failure.record}, at)

    def _count(
        self, metrics: list[MetricValue], epoch_ms: int, lambda_version: str, *, cause: str | None = None
    ) -> None:
        dimensions = {"model": self._environment.model, "lambda_version": lambda_version}
        if cause is not None:
            dimensions |= {"cause": cause}
        # What is in no set of dimensions is a property: found in the log, and counted as no metric.
        dimensions |= {"request_id": self._request_id, "trace_id": os.environ.get("_X_AMZN_TRACE_ID", "")}
        if self._traceparent:
            dimensions["traceparent"] = self._traceparent
        line = emf_line(
            metrics,
            dimensions=dimensions,
            dimension_sets=DIMENSION_SETS,
            epoch_ms=epoch_ms,
            apart=(([MetricValue("ClientErrors", 1)], BY_CAUSE),) if cause is not None else (),
        )
        print(line)


def _error(message: str, facts: dict[str, object], at: datetime) -> None:
    print(log_line("ERROR", "predict", message, facts, at))


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
        passing_on = PassingOn(SageMakerEndpoint(runtime, environment.endpoint))
    return Predictor(
        environment,
        s3_client=s3_client,
        firehose_client=FirehoseStreams(firehose),
        declared=declared_features(document),
        deadline=deadline,
        passing_on=passing_on,
        fallback=fallback_of(environment, document, s3_client),
    )


def fallback_of(environment: Environment, document: Declared, s3_client: Any) -> Fallback | None:
    """What answers where the bound version can't; None where none is declared, or no version is bound."""
    declared = declared_fallback(document)
    if declared is None or environment.version is None:
        return None
    # Only a model that declares one needs it.
    from everloop.serving.fallback import Fallback, Source

    read = files_below(s3_client, environment.artifact_bucket, environment.artifact_prefix)
    source = Source(read, environment.manifest_sha256)
    return Fallback(environment.model, declared, document, version=environment.version, source=source)


def handle(event: Mapping[str, Any], context: Any) -> HttpResponse:
    """Lambda's entry point."""
    return predictor().handle(event, context.function_version, context.aws_request_id)


if _EXTENSION is not None:
    follow(_EXTENSION, lambda invocation: predictor().finish(invocation))
