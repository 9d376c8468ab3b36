"""The prediction endpoint: the alias that rollouts move, and the model's routes."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.platform_reference import Platform
from everloop.model_file import ModelDeclaration
from everloop.names import ALIAS, ModelNames
from everloop.serving.protocols import PROTOCOLS

ALIAS_LOGICAL_ID = "PredictAliasLive"


class Serving(Construct):
    """Routes to the alias ``live`` of the prediction function, and to the labels function.

    The alias is created pointing at ``$LATEST``, which has no artifact and answers ``no_champion``. Its properties
    never change, whatever is deployed, so CloudFormation never touches it again: only the rollout function moves
    it, through the API. For the same reason nothing here makes an ``AWS::Lambda::Version``: versions are published
    by rollouts, each with the environment that names its artifact. New code reaches live traffic with the next
    rollout.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        declaration: ModelDeclaration,
        platform: Platform,
        predict: lambda_.IFunction,
        labels: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        self._platform, self._declaration = platform, declaration
        alias = lambda_.CfnAlias(
            self,
            "Alias",
            function_name=predict.function_name,
            function_version="$LATEST",
            name=ALIAS,
            description="What callers reach. Moved by rollouts only",
        )
        alias.override_logical_id(ALIAS_LOGICAL_ID)
        model = declaration.model
        urls = {
            name: self._route(_title(name), PROTOCOLS.load(name).path(model), alias.ref) for name in PROTOCOLS.names
        }
        self.predictions_url = urls["predictions"]
        self.labels_url = self._route("Labels", ModelNames(model).path("labels"), labels.function_arn)

    def _route(self, construct_id: str, path: str, function_arn: str) -> str:
        part = Construct(self, construct_id)
        integration = apigateway.CfnIntegration(
            part,
            "Integration",
            api_id=self._platform.api_id,
            integration_type="AWS_PROXY",
            integration_uri=function_arn,
            payload_format_version="2.0",
            timeout_in_millis=30_000,
        )
        signed = self._declaration.serving.authorization == "iam"
        route = apigateway.CfnRoute(
            part,
            "Route",
            api_id=self._platform.api_id,
            route_key=f"POST {path}",
            authorization_type="AWS_IAM" if signed else "NONE",
            target=f"integrations/{integration.ref}",
        )
        if not signed:
            acknowledge(
                route,
                "AwsSolutions-APIG4",
                reason="The model's declaration says serving.authorization: none; its owner opened the route.",
            )
        lambda_.CfnPermission(
            part,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=function_arn,
            principal="apigateway.amazonaws.com",
            source_arn=Stack.of(self).format_arn(
                service="execute-api",
                resource=f"{self._platform.api_id}/*/POST{path}",
                arn_format=ArnFormat.NO_RESOURCE_NAME,
            ),
        )
        return f"{self._platform.api_endpoint}{path}"


def _title(name: str) -> str:
    return name.title().replace("_", "")
