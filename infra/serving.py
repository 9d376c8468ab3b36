"""The prediction endpoint: the alias that rollouts move, and the model's routes."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.http_api import SHARED, HttpApi, Limit
from everloop.infra.platform_reference import Platform
from everloop.model_file import ModelDeclaration
from everloop.names import ALIAS, ModelNames

ALIAS_LOGICAL_ID = "PredictAliasLive"

_AUTHORIZATION = {"iam": "AWS_IAM", "jwt": "JWT", "none": "NONE"}


@dataclass(frozen=True)
class _Integrated:
    """A function that the API reaches: the construct it stands in, its ARN, and the integration's id."""

    part: Construct
    arn: str
    integration: str


class Serving(Construct):
    """Routes to the alias ``live`` of the prediction function, and to the labels function.

    All protocols of the data plane share one greedy route below the model's address: API Gateway takes the more
    specific routes first, so predictions and labels keep theirs. A protocol that is added needs no resource.

    The routes are in the API that models share. A model that declares a rate has one of its own: settings of a route
    stand in the API's stage, and the shared one belongs to the platform's stack, which knows no model. There the
    greedy route takes predictions too, so that the rate is that of all protocols together, whether or not AWS counts
    each route of a stage by itself; and labels have the limit of the shared API, so that predictions take nothing from
    them.

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
        self._declaration = declaration
        names = ModelNames(declaration.model)
        own = self._own_api(names)
        self.own_endpoint = None if own is None else own.api.api_endpoint
        self._api_id = platform.api_id if own is None else own.api.api_id
        alias = lambda_.CfnAlias(
            self,
            "Alias",
            function_name=predict.function_name,
            function_version="$LATEST",
            name=ALIAS,
            description="What callers reach. Moved by rollouts only",
        )
        alias.override_logical_id(ALIAS_LOGICAL_ID)
        self._authorizer = self._tokens()
        predictions = self._function("Predictions", alias.ref)
        if own is None:
            self._route(predictions, "POST", names.path("predictions"))
        # The alias's integration takes both routes: an API has 300 integrations and no more.
        self._route(predictions, "ANY", names.path("{proxy+}"), construct_id="Protocols")
        route = self._route(self._function("Labels", labels.function_arn), "POST", names.path("labels"))
        if own is not None:
            own.limit_route(route, SHARED)
        endpoint = self.own_endpoint or platform.api_endpoint
        self.predictions_url = f"{endpoint}{names.path('predictions')}"
        self.labels_url = f"{endpoint}{names.path('labels')}"

    def _own_api(self, names: ModelNames) -> HttpApi | None:
        """The API of a model that declares a rate."""
        rate = self._declaration.serving.rate
        if rate is None:
            return None
        return HttpApi(
            self,
            "Http",
            name=names.api,
            description=f"Everloop: predictions and labels of {names.model}",
            log_group=names.access_log,
            limit=Limit(rate.requests_per_second, rate.at_once),
        )

    def _tokens(self) -> apigateway.CfnAuthorizer | None:
        """What looks at callers' tokens, where the declaration asks for them."""
        jwt = self._declaration.serving.jwt
        if jwt is None:
            return None
        return apigateway.CfnAuthorizer(
            self,
            "Authorizer",
            api_id=self._api_id,
            authorizer_type="JWT",
            name=f"{ModelNames(self._declaration.model).prefix}callers",
            identity_source=["$request.header.Authorization"],
            jwt_configuration=apigateway.CfnAuthorizer.JWTConfigurationProperty(
                issuer=jwt.issuer, audience=jwt.audience
            ),
        )

    def _function(self, construct_id: str, function_arn: str) -> _Integrated:
        part = Construct(self, construct_id)
        integration = apigateway.CfnIntegration(
            part,
            "Integration",
            api_id=self._api_id,
            integration_type="AWS_PROXY",
            integration_uri=function_arn,
            payload_format_version="2.0",
            timeout_in_millis=30_000,
        )
        return _Integrated(part, function_arn, integration.ref)

    def _route(self, function: _Integrated, method: str, path: str, *, construct_id: str = "") -> apigateway.CfnRoute:
        part = Construct(self, construct_id) if construct_id else function.part
        serving = self._declaration.serving
        jwt = serving.jwt
        route = apigateway.CfnRoute(
            part,
            "Route",
            api_id=self._api_id,
            route_key=f"{method} {path}",
            authorization_type=_AUTHORIZATION[serving.authorization],
            authorizer_id=None if self._authorizer is None else self._authorizer.ref,
            authorization_scopes=(jwt.scopes or None) if jwt is not None else None,
            target=f"integrations/{function.integration}",
        )
        if serving.authorization == "none":
            acknowledge(
                route,
                "AwsSolutions-APIG4",
                reason="The model's declaration says serving.authorization: none: its owner made the route public.",
            )
        lambda_.CfnPermission(
            part,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=function.arn,
            principal="apigateway.amazonaws.com",
            source_arn=Stack.of(self).format_arn(
                service="execute-api",
                resource=f"{self._api_id}/*/{'*' if method == 'ANY' else method}{path}",
                arn_format=ArnFormat.NO_RESOURCE_NAME,
            ),
        )
        return route
