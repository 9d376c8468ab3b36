"""A model's routes in an HTTP API: the one that models share, or one of its own."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_apigatewayv2 as apigateway
from constructs import Construct

from everloop.infra.http_api import HttpApi
from everloop.infra.platform_reference import Platform
from everloop.infra.routes import Reached, Route, acknowledge_public, permit
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ModelNames

_AUTHORIZATION = {"iam": "AWS_IAM", "jwt": "JWT", "none": "NONE"}


class HttpRoutes:
    """The routes of a model, and what looks at its callers' tokens where the declaration asks for them.

    Parameters
    ----------
    scope : Construct
        What the routes stand in.
    own : HttpApi, optional
        The model's own API; without one it is asked at the platform's.
    """

    def __init__(
        self, scope: Construct, declaration: ModelDeclaration, platform: Platform, own: HttpApi | None
    ) -> None:
        self._scope = scope
        self._declaration = declaration
        self._own = own
        self._api_id = platform.api_id if own is None else own.api.api_id
        self.endpoint = platform.api_endpoint if own is None else own.api.api_endpoint
        self.is_own = own is not None
        self._parts: dict[str, Construct] = {}
        self._integrations: dict[Reached, str] = {}

    def add(self, routes: Sequence[Route]) -> None:
        """Add the routes. One integration takes all routes of a function: an API has 300 and no more."""
        authorizer = self._tokens()
        for route in routes:
            target = self._integration(route.function)
            made = self._route(route, target, authorizer)
            if route.limit is not None and self._own is not None:
                self._own.limit_route(made, route.limit)

    def _part(self, construct_id: str) -> Construct:
        if construct_id not in self._parts:
            self._parts[construct_id] = Construct(self._scope, construct_id)
        return self._parts[construct_id]

    def _tokens(self) -> apigateway.CfnAuthorizer | None:
        jwt = self._declaration.serving.jwt
        if jwt is None:
            return None
        return apigateway.CfnAuthorizer(
            self._scope,
            "Authorizer",
            api_id=self._api_id,
            authorizer_type="JWT",
            name=f"{ModelNames(self._declaration.model).prefix}callers",
            identity_source=["$request.header.Authorization"],
            jwt_configuration=apigateway.CfnAuthorizer.JWTConfigurationProperty(
                issuer=jwt.issuer, audience=jwt.audience
            ),
        )

    def _integration(self, function: Reached) -> str:
        if function not in self._integrations:
            made = apigateway.CfnIntegration(
                self._part(function.construct_id),
                "Integration",
                api_id=self._api_id,
                integration_type="AWS_PROXY",
                integration_uri=function.arn,
                payload_format_version="2.0",
                timeout_in_millis=30_000,
            )
            self._integrations[function] = made.ref
        return self._integrations[function]

    def _route(
        self, route: Route, integration: str, authorizer: apigateway.CfnAuthorizer | None
    ) -> apigateway.CfnRoute:
        part, serving = self._part(route.construct_id), self._declaration.serving
        jwt = serving.jwt
        made = apigateway.CfnRoute(
            part,
            "Route",
            api_id=self._api_id,
            route_key=f"{route.method} {route.path}",
            authorization_type=_AUTHORIZATION[serving.authorization],
            authorizer_id=None if authorizer is None else authorizer.ref,
            authorization_scopes=(jwt.scopes or None) if jwt is not None else None,
            target=f"integrations/{integration}",
        )
        if serving.authorization == "none":
            acknowledge_public(made)
        permit(part, self._api_id, route, path=route.path)
        return made
