"""The HTTP API that predictions and labels come in by. Models add their routes to it."""

from __future__ import annotations

import json

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_logs as logs
from constructs import Construct

RATE_PER_SECOND = 1000
BURST = 2000

_LOGGED = {
    "requestId": "requestId",
    "ip": "identity.sourceIp",
    "caller": "identity.userArn",
    "time": "requestTime",
    "route": "routeKey",
    "status": "status",
    "responseLength": "responseLength",
    "latency": "responseLatency",
    "integrationError": "integrationErrorMessage",
}


class HttpApi(Construct):
    """The API and its one stage: throttled, every request logged, callers signed in by IAM by default."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.api = apigateway.HttpApi(
            self,
            "Api",
            api_name="everloop",
            description="Everloop: predictions and labels",
            create_default_stage=False,
            default_authorizer=authorizers.HttpIamAuthorizer(),
        )
        log_group = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name="/aws/vendedlogs/everloop/api",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log_group.log_group_arn,
                format=json.dumps({name: f"$context.{field}" for name, field in _LOGGED.items()}),
            ),
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=RATE_PER_SECOND,
                throttling_burst_limit=BURST,
            ),
        )
