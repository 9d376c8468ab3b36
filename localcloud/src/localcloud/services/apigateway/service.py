"""API Gateway: HTTP APIs and REST APIs."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of

SERVICE = Service(
    package="localcloud.services.apigateway",
    signing_name="apigateway",
    backend="apigateway",  # moto's paths of version 2 are among those of version 1
    hooks=("http_api.hook", "rest_api.hook"),
    resources=("http_api.resource", "rest_api.resource", "rest_api.method_resource", "rest_api.stage_resource"),
    has_one_url=False,
    settings="apigatewayv2",
    metrics=metrics_of("AWS/ApiGateway", "Count 4xx 5xx 4XXError 5XXError Latency IntegrationLatency"),
)
