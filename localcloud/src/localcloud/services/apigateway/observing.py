"""What is told of an answered request: its line in the access log, and the metrics of API Gateway."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from localcloud.core.context import CloudContext
from localcloud.services.cloudwatch.seam import MetricName, metric_store
from localcloud.services.logs.seam import LogWriter

VARIABLE = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")


@dataclass(frozen=True)
class Exchange:
    """What both kinds of APIs say about an answered request.

    Attributes
    ----------
    integration_ms : float or None
        How long the integration took; None where it was not reached.
    """

    api_id: str
    stage: str
    request_id: str
    method: str
    path: str
    source_ip: str
    user_agent: str
    status: int
    response_bytes: int
    latency_ms: float
    integration_ms: float | None
    at: datetime


class Observer:
    """Writes access logs, and counts requests."""

    def __init__(self, context: CloudContext) -> None:
        self._log = LogWriter(context)
        self._metrics = metric_store(context)

    def log(self, group: str, line: str, exchange: Exchange) -> None:
        """Write a line of an access log."""
        self._log.write(group, exchange.api_id, [line], exchange.at)

    def count(self, exchange: Exchange, dimensions: Iterable[Mapping[str, str]], errors: tuple[str, str]) -> None:
        """Count a request under each of the dimensions; ``errors`` names those of clients and those of servers."""
        values = {
            "Count": 1.0,
            errors[0]: float(400 <= exchange.status < 500),
            errors[1]: float(exchange.status >= 500),
            "Latency": exchange.latency_ms,
        }
        if exchange.integration_ms is not None:
            values["IntegrationLatency"] = exchange.integration_ms
        for each in dimensions:
            for name, value in values.items():
                unit = "Milliseconds" if "Latency" in name else "Count"
                self._metrics.put(MetricName.of("AWS/ApiGateway", name, dict(each)), value, at=exchange.at, unit=unit)


def context_values(exchange: Exchange) -> dict[str, str]:
    """What ``$context`` variables stand for, of those that both kinds of APIs have."""
    at = exchange.at.astimezone(UTC)
    return {
        "requestId": exchange.request_id,
        "extendedRequestId": exchange.request_id,
        "apiId": exchange.api_id,
        "stage": exchange.stage,
        "httpMethod": exchange.method,
        "path": exchange.path,
        "protocol": "HTTP/1.1",
        "status": str(exchange.status),
        "responseLength": str(exchange.response_bytes),
        "responseLatency": f"{exchange.latency_ms:.0f}",
        "identity.sourceIp": exchange.source_ip,
        "identity.userAgent": exchange.user_agent,
        "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": str(int(at.timestamp() * 1000)),
    }


def filled_in(template: str, values: Mapping[str, str]) -> str:
    """An access log format with its ``$context`` variables filled in; those without a value become ``-``."""
    return VARIABLE.sub(lambda found: values.get(found[1]) or "-", template)
