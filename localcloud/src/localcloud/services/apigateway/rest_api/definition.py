"""What a REST API is made of, as the data plane reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.services.apigateway.rest_api.gateway_responses import GatewayResponse
from localcloud.services.apigateway.routes import Route
from localcloud.services.apigateway.throttling import Limits


@dataclass(frozen=True)
class FunctionIntegration:
    """A Lambda function behind a method (``AWS_PROXY``)."""

    function_arn: str
    timeout_seconds: float


@dataclass(frozen=True)
class MockIntegration:
    """An answer without anything behind the method (``MOCK``), as preflight requests get it."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Method:
    """A method of a resource; ``integration`` is None where none was put."""

    resource_id: str
    integration: FunctionIntegration | MockIntegration | None


@dataclass(frozen=True)
class Snapshot:
    """A deployment: the API as it was when it was deployed. What was changed since is not served.

    Attributes
    ----------
    routes : tuple of Route
        One for each method of each resource; its key is method and path.
    methods : mapping of str to Method
        By the key of their route.
    """

    routes: tuple[Route, ...]
    methods: Mapping[str, Method]
    gateway_responses: Mapping[str, GatewayResponse] = field(default_factory=dict)
    binary_media_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A stage, and the deployment that it serves.

    Attributes
    ----------
    access_log : (str, str) or None
        The log group and the format.
    limits : Limits
        How much it lets through, by the key of a route.
    detailed : frozenset of str
        Keys of the routes with metrics of their own.
    """

    name: str
    snapshot: Snapshot
    deployment_id: str
    variables: Mapping[str, str] = field(default_factory=dict)
    access_log: tuple[str, str] | None = None
    limits: Limits = field(default_factory=Limits)
    detailed: frozenset[str] = frozenset()
