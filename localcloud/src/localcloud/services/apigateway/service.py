"""API Gateway: its HTTP APIs."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of

SERVICE = Service(
    package="localcloud.services.apigateway",
    signing_name="apigateway",
    backend="apigatewayv2",
    hooks=("http_api.hook",),
    resources=("http_api.resource",),
    has_one_url=False,
    settings="apigatewayv2",
    executes=lambda path: path.startswith("/v2/"),  # REST APIs have the same signing name
    metrics=metrics_of("AWS/ApiGateway", "Count 4xx 5xx Latency IntegrationLatency"),
)
