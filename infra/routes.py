"""What a model is asked by: routes to its functions, and the kinds of API that take them, by one interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from everloop.infra.acknowledgments import acknowledge
from everloop.model_file.usual_limit import USUAL_BURST, USUAL_RATE


@dataclass(frozen=True)
class Limit:
    """The most requests that are let through: so many a second, and ``burst`` at once."""

    per_second: float
    burst: int


USUAL = Limit(USUAL_RATE, USUAL_BURST)
"""Of the API that models share, and where a model's own declares none."""


@dataclass(frozen=True)
class Reached:
    """A function that callers reach: the id of the construct that stands for it, and its ARN or its alias's."""

    construct_id: str
    arn: str


@dataclass(frozen=True)
class Route:
    """Requests that go to a function.

    Attributes
    ----------
    construct_id : str
        Of what stands for the route.
    method : str
        In capitals; ``ANY`` for all.
    path : str
        From ``/models/`` on; a greedy one ends with ``{proxy+}``.
    limit : Limit, optional
        Its own; without one it has that of its API. Only where the API is the model's own.
    """

    construct_id: str
    function: Reached
    method: str
    path: str
    limit: Limit | None = None


class ModelApi(Protocol):
    """The API that a model is asked at."""

    @property
    def endpoint(self) -> str:
        """The URL before the paths of routes."""

    @property
    def is_own(self) -> bool:
        """Whether no other model is asked there."""

    def add(self, routes: Sequence[Route]) -> None:
        """Add all routes of the model, with what lets the API invoke their functions."""


def permit(part: Construct, api_id: str, route: Route, *, path: str, stage: str = "*") -> None:
    """Let an API invoke the function of a route for requests of that route alone; ``path`` is as the API says it."""
    method = "*" if route.method == "ANY" else route.method
    lambda_.CfnPermission(
        part,
        "Permission",
        action="lambda:InvokeFunction",
        function_name=route.function.arn,
        principal="apigateway.amazonaws.com",
        source_arn=Stack.of(part).format_arn(
            service="execute-api",
            resource=f"{api_id}/{stage}/{method}{path}",
            arn_format=ArnFormat.NO_RESOURCE_NAME,
        ),
    )


def acknowledge_public(route: IConstruct) -> None:
    """Say why a route asks nobody who they are."""
    acknowledge(
        route,
        "AwsSolutions-APIG4",
        reason="The model's declaration says serving.authorization: none: its owner made the route public.",
    )
