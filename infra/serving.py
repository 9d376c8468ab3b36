"""The prediction endpoint: the alias that rollouts move, and the model's routes."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from everloop.infra.http_api import HttpApi
from everloop.infra.http_routes import HttpRoutes
from everloop.infra.platform_reference import Platform
from everloop.infra.rest_api import RestApi
from everloop.infra.routes import USUAL, Limit, ModelApi, Reached, Route
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ALIAS, ModelNames

ALIAS_LOGICAL_ID = "PredictAliasLive"


class Serving(Construct):
    """Routes to the alias ``live`` of the prediction function, and to the labels function.

    All protocols of the data plane share one greedy route below the model's address: API Gateway takes the more
    specific routes first, so predictions and labels keep theirs. A protocol that is added needs no resource.

    The routes are in the API that models share. A model that declares a rate has one of its own: settings of a route
    stand in the API's stage, and the shared one belongs to the platform's stack, which knows no model. There the
    greedy route takes predictions too, so that the rate is that of all protocols together, whether or not AWS counts
    each route of a stage by itself; and labels have the limit of the shared API, so that predictions take nothing from
    them. So has a model that declares a REST API, with a rate or without.

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
        names = ModelNames(declaration.model)
        api = self._api(declaration, platform)
        self.own_endpoint = api.endpoint if api.is_own else None
        alias = lambda_.CfnAlias(
            self,
            "Alias",
            function_name=predict.function_name,
            function_version="$LATEST",
            name=ALIAS,
            description="What callers reach. Moved by rollouts only",
        )
        alias.override_logical_id(ALIAS_LOGICAL_ID)
        asked, labelled = Reached("Predictions", alias.ref), Reached("Labels", labels.function_arn)
        native = Route("Predictions", asked, "POST", names.path("predictions"))
        api.add(
            [
                *([] if api.is_own else [native]),
                Route("Protocols", asked, "ANY", names.path("{proxy+}")),
                Route("Labels", labelled, "POST", names.path("labels"), USUAL if api.is_own else None),
            ]
        )
        self.predictions_url = f"{api.endpoint}{names.path('predictions')}"
        self.labels_url = f"{api.endpoint}{names.path('labels')}"

    def _api(self, declaration: ModelDeclaration, platform: Platform) -> ModelApi:
        """The API that the declaration asks for: one of the model's own, or the one that models share."""
        names, serving = ModelNames(declaration.model), declaration.serving
        description = f"Everloop: predictions and labels of {names.model}"
        limit = None if serving.rate is None else Limit(serving.rate.requests_per_second, serving.rate.at_once)
        if serving.api == "rest":
            return RestApi(
                self,
                "Rest",
                name=names.api,
                description=description,
                log_group=names.rest_access_log,
                limit=limit or USUAL,
                authorization=serving.authorization,
            )
        own = None
        if limit is not None:
            own = HttpApi(
                self, "Http", name=names.api, description=description, log_group=names.access_log, limit=limit
            )
        return HttpRoutes(self, declaration, platform, own)
