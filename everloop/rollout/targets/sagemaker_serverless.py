"""Serverless endpoints of SageMaker's as the place where versions serve, one endpoint for each version.

A serverless endpoint takes one production variant, so no endpoint could share requests out. The alias of the prediction
function does: each version is published as a function version that passes its requests on to the version's own
endpoint, and is known by that function version's number. So steps, metrics and rollbacks are those of a Lambda alias.
A rollback is one update of the alias, and asks nothing of SageMaker; an endpoint that nobody asks costs nothing, so the
old champion's stays until it is retired.

An endpoint takes minutes to come into service. Nobody sleeps through them here: the call is refused as not ready, and
goes on from where it stands when it is repeated.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from everloop.rollout.endpoint_answers import UNDER_WAY, is_not_there, names_with
from everloop.rollout.exceptions import AliasNotPinnedError, EndpointFailedError, EndpointNotReadyError
from everloop.rollout.serverless_place import ServerlessPlace
from everloop.rollout.targets import (
    AskedAnswer,
    Published,
    Question,
    RolloutTarget,
    ServedArtifact,
    TargetKind,
    TargetPlace,
    TrafficState,
)
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget

_POLLS = 10
_POLL_SECONDS = 2.0
_UNTIL_PASSED_ON_SECONDS = 15.0
"""An alias's change takes effect within seconds, and a process of the function may take ten to begin."""

_TAKEN = "already existing"
_GONE = frozenset({"Deleting", "Failed"})


class SageMakerServerlessTarget:
    """The endpoints of one model's versions, behind the alias of its prediction function. Every method may be repeated.

    Parameters
    ----------
    client
        A boto3 ``sagemaker`` client.
    door : LambdaAliasTarget
        The alias that callers ask.
    place : ServerlessPlace
    pause : callable
        Waits the given seconds: between the few polls of an endpoint that is about to be ready, and before one goes.
    """

    def __init__(
        self,
        client: Any,
        door: LambdaAliasTarget,
        place: ServerlessPlace,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.door = door
        self.place = place
        self._pause = pause

    def current(self) -> TrafficState:
        """Where the alias points."""
        return self.door.current()

    def idle(self) -> str:
        """Point the alias at a function version that serves nothing and says so; its number."""
        return self.door.idle()

    def publish(self, artifact: ServedArtifact) -> Published:
        """Have an endpoint in service that serves ``artifact``, and a function version before it that nobody asks.

        The function version comes first: so whatever endpoint there is can be told from one that nobody made.

        Raises
        ------
        AliasNotPinnedError
            While the alias points at ``$LATEST``.
        EndpointNotReadyError
            While the endpoint is being created.
        EndpointFailedError
            When it did not come into service. What serves goes on as it was.
        """
        if not self.door.current().pinned:
            raise AliasNotPinnedError(f"{self.door.function}:{self.door.alias} points at $LATEST; call idle() first")
        name = self.place.model_name(artifact)
        before = self.door.publish_passing_on(name)
        while not self._is_in_service(name):
            self._create(artifact, name)
        return Published(before.lambda_version, self.place.code_sha256, before.layers)

    def publish_like(self, artifact: ServedArtifact, lambda_version: str) -> Published | None:
        """As :meth:`publish`, if that version is made of what is declared and deployed now; else None."""
        if not self.door.current().pinned or not self.unchanged_since(lambda_version):
            return None
        return self.publish(artifact)

    def shift(self, *, primary: str, candidate: str, percent: float) -> None:
        """Send ``percent`` of the requests to ``candidate``, the rest to ``primary``, whatever each passes on to."""
        self.door.shift(primary=primary, candidate=candidate, percent=percent)

    def settle(self, lambda_version: str, *, only_if: Callable[[], bool] | None = None) -> bool:
        """Send every request to one version; whether that changed anything."""
        return self.door.settle(lambda_version, only_if=only_if)

    def unchanged_since(self, lambda_version: str) -> bool:
        """Whether that version's endpoint, and the function before it, are made of what is declared and deployed now.

        A function version that serves by itself is not: only a rollout moves the model.
        """
        endpoint = self._endpoint_of(lambda_version)
        if not self.place.is_current(endpoint) or not self._is_there(endpoint):
            return False
        return self.door.code_unchanged_since(lambda_version)

    def holds(self, lambda_version: str, artifact: ServedArtifact | None = None) -> bool:
        """Whether there is that function version, with its endpoint, and whether it serves ``artifact``, if named.

        A function version that serves by itself is one too: it may serve on while the model moves here.
        """
        if not self.door.holds(lambda_version, artifact):
            return False
        endpoint = self._endpoint_of(lambda_version)
        return not endpoint or self._is_there(endpoint)

    def prune(self, keep: set[str]) -> list[str]:
        """Delete function versions that rollouts made and nobody needs, and every endpoint that none is left before.

        The configuration and the model of an endpoint are deleted once it is gone. Those of no endpoint go as well.
        """
        gone = self.door.prune(keep)
        needed = self.door.endpoints_passed_on_to()
        running = self._named("list_endpoints", "Endpoints", "EndpointName")
        for name in running:
            if name not in needed:
                self._delete(name)
        kept = needed | set(running)
        for name in self._named("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"):
            if name not in kept:
                self.client.delete_endpoint_config(EndpointConfigName=name)
        # Where the model comes from instances, their endpoint's variants have models of such names too.
        on_instances = self._describe(self.place.name) or {}
        kept |= {variant["VariantName"] for variant in on_instances.get("ProductionVariants", [])}
        for name in self._named("list_models", "Models", "ModelName"):
            if name not in kept:
                self.client.delete_model(ModelName=name)
        return gone

    def release(self, lambda_version: str) -> None:
        """Delete the endpoint of a version that gets no requests, once those are answered that it had got before.

        It costs nothing, but its concurrency counts against what the account has for all serverless endpoints.
        """
        endpoint = self._endpoint_of(lambda_version)
        if not endpoint or self._is_asked(endpoint):
            return
        # The function goes on with what it took before the traffic left, and passes it on to this endpoint.
        self._pause(self.place.timeout_seconds + _UNTIL_PASSED_ON_SECONDS)
        if not self._is_asked(endpoint):
            self._delete(endpoint)

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        """Invoke the function version, which passes the question on with its mark."""
        return self.door.ask(lambda_version, question)

    def describe(self, published: Published) -> dict[str, str]:
        """Endpoint, image and the function version before them."""
        return {
            "kind": "sagemaker_serverless",
            "endpoint": self._endpoint_of(published.lambda_version),
            "image": self.place.image,
            "memory_mb": str(self.place.memory_mb),
            "max_concurrency": str(self.place.max_concurrency),
            "code_sha256": published.code_sha256,
            "function": self.door.function,
            "alias": self.door.alias,
            "lambda_version": published.lambda_version,
        }

    def _is_asked(self, endpoint: str) -> bool:
        """Whether requests go to a function version that passes them on to the endpoint."""
        at_door = self.door.current()
        return endpoint in {self._endpoint_of(one) for one in (at_door.primary, at_door.candidate) if one is not None}

    def _endpoint_of(self, lambda_version: str) -> str:
        """The version's own endpoint; empty where the function version serves by itself, or is not there."""
        endpoint = self.door.passes_on_to(lambda_version)
        return endpoint if self.place.is_model(endpoint) else ""

    def _is_there(self, endpoint: str) -> bool:
        found = self._describe(endpoint)
        return found is not None and found["EndpointStatus"] not in _GONE

    def _is_in_service(self, name: str) -> bool:
        """Whether the endpoint is; False where there is none.

        Raises
        ------
        EndpointNotReadyError
            While something is under way, for longer than a few polls.
        EndpointFailedError
            Where it could not be created; nothing is left of it then.
        """
        status = ""
        for _ in range(_POLLS):
            found = self._describe(name)
            if found is None:
                return False
            status = found["EndpointStatus"]
            if status == "Failed":
                self.client.delete_endpoint(EndpointName=name)
                reason = found.get("FailureReason") or "SageMaker gives no reason"
                raise EndpointFailedError(
                    f"endpoint {name} could not be created: {reason}; its logs are in"
                    f" /aws/sagemaker/Endpoints/{name}. Nothing else has changed"
                )
            if status == "InService":
                return True
            self._pause(_POLL_SECONDS)
        raise EndpointNotReadyError(
            f"endpoint {name} is {status}, which takes minutes; the same call goes on from there"
        )

    def _create(self, artifact: ServedArtifact, name: str) -> None:
        """Begin to bring the version's endpoint up; what an earlier try made already is used."""
        self._made(self.client.create_model, **self.place.model_request(artifact))
        self._made(self.client.create_endpoint_config, **self.place.configuration_request(name))
        self._made(self.client.create_endpoint, EndpointName=name, EndpointConfigName=name)

    def _made(self, call: Callable[..., Any], **request: Any) -> None:
        try:
            call(**request)
        except ClientError as error:
            if _TAKEN not in str(error):
                raise

    def _delete(self, name: str) -> None:
        """Delete an endpoint; one that changes at this moment stays until it is looked at again."""
        found = self._describe(name)
        if found is not None and found["EndpointStatus"] not in UNDER_WAY:
            self.client.delete_endpoint(EndpointName=name)

    def _describe(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self.client.describe_endpoint(EndpointName=name)
        except ClientError as error:
            if not is_not_there(error):
                raise
            return None
        return found

    def _named(self, operation: str, key: str, name: str) -> list[str]:
        """What there is of the model's, by one listing: of other models whose names begin alike there is more."""
        found = names_with(self.client, operation, key, name, f"{self.place.name}-v")
        return [each for each in found if self.place.is_model(each)]


class SageMakerServerless:
    """Makes the target of serverless endpoints."""

    def open(self, client: Callable[..., Any], place: TargetPlace) -> RolloutTarget:
        """The endpoints of the place, behind the alias of its function.

        Raises
        ------
        ValueError
            For a place without them: ``serving.endpoint.serverless`` declares them.
        """
        if place.serverless is None:
            raise ValueError("the target sagemaker_serverless needs serving.endpoint.serverless in the declaration")
        door = LambdaAliasTarget(client("lambda"), function=place.function, alias=place.alias)
        return SageMakerServerlessTarget(client("sagemaker"), door, place.serverless)


TARGET: TargetKind = SageMakerServerless()
