"""Answers prediction requests, by whichever protocol, with the artefact this function version is bound to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from everloop.emf import MetricValue, emf_line
from everloop.environment import Settings, require
from everloop.instants import from_epoch_ms
from everloop.names import FAULTS, SERVER_ERRORS, ModelNames
from everloop.serving.artifact import Artifact, load_artifact
from everloop.serving.capture import CaptureWriter
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.declared import declared_features
from everloop.serving.exceptions import NoChampionError, UnknownRouteError
from everloop.serving.exchange import HttpRequest
from everloop.serving.response import HttpResponse, http_reply
from everloop.serving.service import Answer, PredictionService

logger = Logger(service="predict")

DIMENSION_SETS = (("model",), ("model", "lambda_version"))
BY_CAUSE = (*DIMENSION_SETS, ("model", "lambda_version", "cause"))

# A caller is waiting, so a stream that hangs is given up early; the rows then go to the log.
_CAPTURE_CONFIG = Config(connect_timeout=1, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack and the rollout set; ``version`` is None while no model version is bound."""

    artifact_bucket: str
    predictions_stream: str
    version: int | None = None
    artifact_prefix: str = ""
    manifest_sha256: str = ""
    calibration: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Self:
        """Read the function's environment variables; where a version is bound, all that binds it must be there."""
        environment = super().read(variables)
        if environment.version is not None:
            require(variables, "artifact_prefix", "manifest_sha256")
        return environment


class Predictor:
    """The function's life: its environment, its clients, and the artefact once loaded."""

    def __init__(
        self,
        environment: Environment,
        *,
        s3_client: Any,
        firehose_client: Any,
        declared: Sequence[NumberField | CategoryField] = (),
    ) -> None:
        self._environment = environment
        self._base = ModelNames(environment.model).path("")
        self._s3 = s3_client
        writer = CaptureWriter(firehose_client, environment.predictions_stream)
        self._service = PredictionService(environment.model, self._load, writer, time.perf_counter, declared)

    def handle(self, event: Mapping[str, Any], lambda_version: str) -> HttpResponse:
        """Answer an HTTP API event; log and count what happened."""
        request = event["requestContext"]
        epoch_ms = int(request["timeEpoch"])
        try:
            answer = self._service.answer(
                self._path(event),
                HttpRequest(
                    method=request["http"]["method"],
                    headers=event.get("headers") or {},
                    body=event.get("body"),
                    is_base64=bool(event.get("isBase64Encoded")),
                ),
                request_id=request["requestId"],
                at=from_epoch_ms(epoch_ms),
            )
        except Exception:
            # Counted, then raised: the caller gets API Gateway's 500, and the function's own error count rises.
            self._count([MetricValue(SERVER_ERRORS, 1)], epoch_ms, lambda_version)
            raise
        self._log(answer, request["requestId"])
        counted = [MetricValue(SERVER_ERRORS, int(answer.status >= 500)), *answer.metrics]
        if answer.is_faulty:
            counted.append(MetricValue(FAULTS, 1))
        self._count(counted, epoch_ms, lambda_version, cause=answer.cause)
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

    def _log(self, answer: Answer, request_id: str) -> None:
        for failure in answer.lost:
            logger.error("capture_fallback", extra={"reason": failure.reason, "record": failure.record})
        if answer.no_score is not None:
            found = answer.no_score
            logger.error("no_score", extra={"reason": found.message, "field": found.field, "request_id": request_id})
        if answer.refused is not None:
            refused = answer.refused
            logger.error(
                "artifact_refused",
                extra={
                    "file": refused.file,
                    "expected": refused.expected,
                    "found": refused.found,
                    "artifact": f"s3://{self._environment.artifact_bucket}/{self._environment.artifact_prefix}",
                    "request_id": request_id,
                },
            )

    def _count(
        self, metrics: list[MetricValue], epoch_ms: int, lambda_version: str, *, cause: str | None = None
    ) -> None:
        dimensions = {"model": self._environment.model, "lambda_version": lambda_version}
        if cause is not None:
            dimensions |= {"cause": cause}
        line = emf_line(
            metrics,
            dimensions=dimensions,
            dimension_sets=DIMENSION_SETS,
            epoch_ms=epoch_ms,
            apart=(([MetricValue("ClientErrors", 1)], BY_CAUSE),) if cause is not None else (),
        )
        print(line)


@cache
def predictor() -> Predictor:
    """The predictor of this process, from its environment; made at the first request."""
    document = json.loads((Path(__file__).parent / "declaration.json").read_text(encoding="utf-8"))
    return Predictor(
        Environment.read(os.environ),
        s3_client=boto3.client("s3"),
        firehose_client=boto3.client("firehose", config=_CAPTURE_CONFIG),
        declared=declared_features(document),
    )


def handle(event: Mapping[str, Any], context: Any) -> HttpResponse:
    """Lambda's entry point."""
    return predictor().handle(event, context.function_version)
