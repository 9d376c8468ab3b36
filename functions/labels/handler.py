"""Takes ``POST /models/<model>/labels``: outcomes that arrive later, on their way to the lake."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from everloop.emf import MetricValue, emf_line
from everloop.environment import Settings
from everloop.instants import from_epoch_ms
from everloop.names import FAULTS
from everloop.numbers_of import number_of
from everloop.serving.body import read_body
from everloop.serving.capture import CaptureWriter
from everloop.serving.exceptions import RequestError
from everloop.serving.labels import LabelRules, parse_labels
from everloop.serving.response import (
    STATUS_OF_CODE,
    HttpResponse,
    error_document,
    http_response,
    request_error_document,
)
from everloop.serving.rest_event import as_http_event

logger = Logger(service="labels")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    labels_stream: str


@dataclass(frozen=True)
class Services:
    """What the function works with."""

    model: str
    rules: LabelRules
    writer: CaptureWriter


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first request."""
    environment = Environment.read(os.environ)
    declaration = json.loads((Path(__file__).parent / "declaration.json").read_text(encoding="utf-8"))
    return Services(
        model=environment.model,
        rules=LabelRules.from_declaration(declaration),
        writer=CaptureWriter(boto3.client("firehose"), environment.labels_stream),
    )


def handle(event: Mapping[str, Any], context: Any) -> HttpResponse:
    """Lambda's entry point."""
    return act(event, services())


def act(event: Mapping[str, Any], using: Services) -> HttpResponse:
    """Put the labels of an event of an HTTP API, or of a REST API, on the stream and answer.

    202 means that every label is on the stream. A stream that does not take all of them is a 503: sending the
    same labels again changes nothing about those that arrived.
    """
    if "httpMethod" in event:
        event = as_http_event(event)
    epoch_ms = int(event["requestContext"]["timeEpoch"])
    try:
        is_base64, headers = bool(event.get("isBase64Encoded")), event.get("headers") or {}
        body = read_body(event.get("body"), is_base64=is_base64, headers=headers)
        labels = parse_labels(body, using.rules)
    except RequestError as error:
        return http_response(STATUS_OF_CODE[error.code], request_error_document(error))
    failures = using.writer.write([label.to_record(from_epoch_ms(epoch_ms)) for label in labels])
    stored, lost = len(labels) - len(failures), ("LabelsNotStored", FAULTS) if failures else ()
    print(
        emf_line(
            [MetricValue("LabelsAccepted", stored), *(MetricValue(name, len(failures)) for name in lost)],
            dimensions={"model": using.model},
            dimension_sets=[["model"]],
            epoch_ms=epoch_ms,
        )
    )
    if failures:
        logger.error("labels_not_stored", extra={"count": len(failures), "reason": failures[0].reason})
        message = f"{len(failures)} of {number_of(len(labels), 'label')} could not be stored; send all of them again"
        return http_response(STATUS_OF_CODE["labels_not_stored"], error_document("labels_not_stored", message))
    return http_response(202, {"accepted": len(labels)})
