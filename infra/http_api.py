"""HTTP APIs that predictions and labels come in by: all models' own one, or a model's that declares a rate."""

from __future__ import annotations

import json

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_logs as logs
from constructs import Construct

from everloop.infra.routes import Limit

# None of them is about a person: an address is, and so is the name of a role's session.
_LOGGED = {
    "requestId": "requestId",
    "time": "requestTime",
    "route": "routeKey",
    "status": "status",
    "responseLength": "responseLength",
    "latency": "responseLatency",
    "integrationError": "integrationErrorMessage",
}


class HttpApi(Construct):
    """An API and its one stage: limited, every request logged, callers signed in by IAM by default.

    Parameters
    ----------
    name, description : str
        Of the API.
    log_group : str
        The name of its access log. Below ``/aws/vendedlogs/`` the policy that lets API Gateway write is the same for
        any number of them.
    limit : Limit
        Of routes without a limit of their own. AWS does not say whether they share it or have as much each.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, description: str, log_group: str, limit: Limit
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = apigateway.HttpApi(
            self,
            "Api",
            api_name=name,
            description=description,
            create_default_stage=False,
            default_authorizer=authorizers.HttpIamAuthorizer(),
        )
        access_log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=log_group,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._stage = apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=access_log.log_group_arn,
                format=json.dumps({name: f"$context.{field}" for name, field in _LOGGED.items()}),
            ),
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=limit.per_second,
                throttling_burst_limit=limit.burst,
            ),
        )

    def limit_route(self, route: apigateway.CfnRoute, limit: Limit) -> None:
        """Give one route a limit of its own. The stage refuses settings of a route that does not exist yet."""
        settings = self._stage.route_settings or {}
        own = {"ThrottlingRateLimit": limit.per_second, "ThrottlingBurstLimit": limit.burst}
        self._stage.route_settings = {**settings, route.route_key: own}
        self._stage.add_resource_dependency(route)
