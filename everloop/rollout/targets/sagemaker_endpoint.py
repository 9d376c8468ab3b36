"""A SageMaker endpoint as the place where versions serve.

What serves a version is a SageMaker model in a production variant of its own, and the variants' weights share requests
out. Callers still ask the alias of the prediction function, one of whose versions passes requests on to the endpoint:
so a model whose versions are function versions can move here by a rollout like any other, step by step, and a rollback
gives the requests back to a function version. In this file a version's name is either a function version's number or a
variant's name.

A list of variants changes by another endpoint configuration, which SageMaker brings up beside the old one: minutes
during which nothing else may change. Nobody sleeps through them here: the call is refused as not ready, and goes on
from where it stands when it is repeated.

Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html; of instances that
follow requests :mod:`everloop.rollout.variant_scaling` has them.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from botocore.exceptions import ClientError

from everloop.rollout.container_place import serves
from everloop.rollout.endpoint_answers import UNDER_WAY, is_not_there, names_with
from everloop.rollout.endpoint_place import (
    EndpointPlace,
    ProductionVariant,
    RunningVariant,
    desired_weights,
    instance_counts,
    shared_by,
    shares,
)
from everloop.rollout.exceptions import (
    AliasNotPinnedError,
    EndpointChangedError,
    EndpointFailedError,
    EndpointNotReadyError,
)
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
from everloop.rollout.variant_scaling import VariantScaling
from everloop.serving.exchange import HttpRequest
from everloop.serving.passed_request import PASSED_ON, PassedRequest, encode_request, status_and_body

_POLLS = 10
_POLL_SECONDS = 2.0
_TAKEN = "already existing"


class SageMakerEndpointTarget:
    """The endpoint of one model, behind the alias of its prediction function. Every method may be repeated.

    Parameters
    ----------
    client
        A boto3 ``sagemaker`` client.
    door : LambdaAliasTarget
        The alias that callers ask.
    runtime
        A boto3 ``sagemaker-runtime`` client, where variants are to be asked.
    scaling
        A boto3 ``application-autoscaling`` client.
    pause : callable
        Waits the given seconds between the few polls of an endpoint that is about to be ready.
    """

    def __init__(
        self,
        client: Any,
        door: LambdaAliasTarget,
        place: EndpointPlace,
        *,
        runtime: Any = None,
        scaling: Any = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.runtime = runtime
        self.door = door
        self.place = place
        self._pause = pause
        self._scaling = VariantScaling(scaling, place.name, place.instances, place.scaling)

    def current(self) -> TrafficState:
        """Where requests go: to a function version, to variants, or to one of each."""
        at_door = self.door.current()
        if not at_door.pinned:
            return at_door
        weights = desired_weights(self._variants())
        if self._passes_on(at_door.primary) and weights:
            return TrafficState(*shared_by(weights), revision=at_door.revision)
        if at_door.candidate and self._passes_on(at_door.candidate) and weights:
            candidate, _, _ = shared_by(weights)
            return TrafficState(at_door.primary, candidate, at_door.percent, revision=at_door.revision)
        return at_door

    def idle(self) -> str:
        """Point the alias at a function version that serves nothing and says so; its number."""
        empty = self.door.passing_on("")
        self.door.settle(empty)
        return empty

    def publish(self, artifact: ServedArtifact) -> Published:
        """Have a variant run that serves ``artifact`` and gets no requests.

        Raises
        ------
        AliasNotPinnedError
            While the alias points at ``$LATEST``.
        EndpointNotReadyError
            While the endpoint is being created or updated for it.
        EndpointFailedError
            When the variant did not become healthy. The endpoint goes on as it was.
        """
        if not self.door.current().pinned:
            raise AliasNotPinnedError(f"{self.door.function}:{self.door.alias} points at $LATEST; call idle() first")
        name = self._model(artifact)
        while not self._runs(name):
            self._begin(name)
        self._scaling.hold(self._serving_counts(name))
        return Published(name, self.place.code_sha256)

    def publish_like(self, artifact: ServedArtifact, lambda_version: str) -> Published | None:
        """As :meth:`publish`, if that variant is made of what is declared now; else None."""
        if not self.door.current().pinned or not self.unchanged_since(lambda_version):
            return None
        return self.publish(artifact)

    def shift(self, *, primary: str, candidate: str, percent: float) -> None:
        """Send ``percent`` of the requests to ``candidate``: by the variants' weights, or by the alias's.

        The alias shares them out while the version before is a function version.
        """
        if not self.place.is_model(primary):
            self._weigh(candidate, None, 0.0)
            self.door.shift(primary=primary, candidate=self._open(), percent=percent)
            return
        self._weigh(primary, candidate, percent)
        self.door.settle(self._open())

    def settle(self, lambda_version: str, *, only_if: Callable[[], bool] | None = None) -> bool:
        """Send every request to one version; whether that changed anything."""
        if not self.place.is_model(lambda_version):
            return self.door.settle(lambda_version, only_if=only_if)
        if only_if is not None and not only_if():
            return False
        weighed = self._weigh(lambda_version, None, 0.0)
        return self.door.settle(self._open(), only_if=only_if) or weighed

    def unchanged_since(self, lambda_version: str) -> bool:
        """Whether that variant, and the function before it, are made of what is declared now, but for the artefact."""
        if not self.place.is_current(lambda_version) or not self.holds(lambda_version):
            return False
        return self.door.code_unchanged_since(self.door.current().primary)

    def holds(self, lambda_version: str, artifact: ServedArtifact | None = None) -> bool:
        """Whether a variant of that name runs, and whether it serves ``artifact`` where one is named.

        A function version is one too: it may serve on while the model moves here.
        """
        if not self.place.is_model(lambda_version):
            return self.door.holds(lambda_version, artifact)
        if artifact is not None and not serves(lambda_version, artifact):
            return False
        return any(variant["VariantName"] == lambda_version for variant in self._variants())

    def prune(self, keep: set[str]) -> list[str]:
        """Take variants off the endpoint, and delete function versions, that rollouts made and nobody needs; which.

        Models stay until the variant is gone; an endpoint without a variant that is needed is deleted. Variants that
        are needed and that nobody asks have no more instances than declared.
        """
        state = self.current()
        kept = keep | {state.primary, *([state.candidate] if state.candidate else [])}
        gone = self._drop(lambda name: name not in kept)
        self._follow(gone)
        self._delete_models(kept)
        at_door = self.door.current()
        return gone + self.door.prune(kept | {at_door.primary})

    def release(self, lambda_version: str) -> None:
        """Take a variant that gets no requests off the endpoint: its instances cost as much as if it did."""
        self._follow(self._drop(lambda name: name == lambda_version))

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        """Invoke one variant by its name, which takes a request whatever its weight.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-ab-testing.html
        """
        if not self.place.is_model(lambda_version):
            return self.door.ask(lambda_version, question)
        request = HttpRequest("POST", headers={"content-type": "application/json"}, body=question.body)
        passed = PassedRequest("predictions", request, question.request_id, question.at, unseen=True)
        try:
            invoked = self.runtime.invoke_endpoint(
                EndpointName=self.place.name,
                TargetVariant=lambda_version,
                ContentType=PASSED_ON,
                Accept=PASSED_ON,
                Body=encode_request(passed),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ModelError":
                raise
            return AskedAnswer(500, {"error": {"message": error.response["Error"]["Message"]}})
        status, body = status_and_body(invoked["Body"].read())
        return AskedAnswer(status, json.loads(body))

    def describe(self, published: Published) -> dict[str, str]:
        """Endpoint, variant, image and the function before them."""
        return {
            "kind": "sagemaker_endpoint",
            "endpoint": self.place.name,
            "variant": published.lambda_version,
            "image": self.place.image,
            "instance_type": self.place.instance_type,
            "code_sha256": published.code_sha256,
            "function": self.door.function,
            "alias": self.door.alias,
        }

    def _open(self) -> str:
        """The function version that passes requests on, published from the code that is deployed now."""
        return self.door.passing_on(self.place.name)

    def _passes_on(self, function_version: str) -> bool:
        return self.door.passes_on_to(function_version) == self.place.name

    def _model(self, artifact: ServedArtifact) -> str:
        """The SageMaker model that serves ``artifact``, made unless it is there; its name."""
        request = self.place.model_request(artifact)
        try:
            self.client.create_model(**request)
        except ClientError as error:
            if _TAKEN not in str(error):
                raise
        return request["ModelName"]

    def _runs(self, name: str) -> bool:
        """Whether the endpoint is in service with that variant.

        Raises
        ------
        EndpointNotReadyError
            While something is under way.
        EndpointFailedError
            Where it could not be created; nothing is left of it then.
        """
        found = self._settled()
        if found is not None and found["EndpointStatus"] == "Failed":
            self.client.delete_endpoint(EndpointName=self.place.name)
            raise EndpointFailedError(
                f"endpoint {self.place.name} could not be created: {_reason(found)}; its logs are in"
                f" /aws/sagemaker/Endpoints/{self.place.name}"
            )
        return found is not None and any(v["VariantName"] == name for v in found["ProductionVariants"])

    def _begin(self, name: str) -> None:
        """Begin to bring a variant up beside the others."""
        found = self._describe()
        if found is None:
            self._create([self.place.variant(name, 1.0, self._scaling.count_beside(()))])
            return
        self._check_attempts(found, name)
        listed, count = self._configured(found), self._scaling.count_beside(self._serving_counts().values())
        self._update(found, [*listed, self.place.variant(name, 0.0, count)])

    def _check_attempts(self, found: _Endpoint, name: str) -> None:
        """Refuse what was tried and taken back: its configuration is there, and the endpoint went on without it.

        SageMaker returns to the old configuration by itself, and need not say why
        (https://github.com/hashicorp/terraform-provider-aws/issues/48997). A configuration whose update was never begun
        is newer than the endpoint's last change.
        """
        serving = self.place.configuration_number(found["EndpointConfigName"]) or 0
        for number, configuration in self._configurations():
            if number <= serving:
                continue
            described = self.client.describe_endpoint_config(EndpointConfigName=configuration)
            self.client.delete_endpoint_config(EndpointConfigName=configuration)
            names = [variant["VariantName"] for variant in described["ProductionVariants"]]
            if name in names and found["LastModifiedTime"] >= described["CreationTime"]:
                raise EndpointFailedError(
                    f"variant {name} of endpoint {self.place.name} did not come into service: {_reason(found)}; its"
                    f" logs are in /aws/sagemaker/Endpoints/{self.place.name}. Nothing else has changed"
                )

    def _weigh(self, primary: str, candidate: str | None, percent: float) -> bool:
        """Share requests out among the variants; whether that changed anything.

        Raises
        ------
        EndpointNotReadyError
            While something else is under way.
        EndpointChangedError
            When the endpoint has no such variant.
        """
        standing = desired_weights(self._variants())
        missing = [name for name in (primary, candidate) if name is not None and name not in standing]
        if missing:
            raise EndpointChangedError(
                f"endpoint {self.place.name} has no variant {' and no '.join(missing)}, only"
                f" {', '.join(standing) or 'none'}; somebody changed it: start the rollout again"
            )
        wanted = shares(list(standing), primary, candidate, percent)
        if all(math.isclose(wanted[name], weight, abs_tol=1e-6) for name, weight in standing.items()):
            return False
        self._settled()
        self._asked(
            self.client.update_endpoint_weights_and_capacities,
            DesiredWeightsAndCapacities=[
                {"VariantName": name, "DesiredWeight": weight} for name, weight in wanted.items()
            ],
        )
        return True

    def _drop(self, unwanted: Callable[[str], bool]) -> list[str]:
        """Take variants off the endpoint that are unwanted and reach nobody; which.

        Those that stay and reach nobody are brought back to the declared instances.
        """
        reached, variants = self._is_reached(), self._variants()
        idle = [name for name, weight in desired_weights(variants).items() if not (reached and weight > 0)]
        gone = [name for name in idle if unwanted(name)]
        counts = instance_counts(variants)
        fewer = [name for name in idle if name not in gone and self._scaling.is_too_many(counts[name])]
        if not gone and not fewer:
            return []
        found = self._settled()
        if found is None:
            return []
        self._scaling.forget([*gone, *fewer])
        left = [variant for variant in self._configured(found) if variant["VariantName"] not in gone]
        for variant in left:
            if variant["VariantName"] in fewer:
                variant["InitialInstanceCount"] = self.place.instances
        if not left:
            self._asked(self.client.delete_endpoint)
            return gone
        if not any(variant["InitialVariantWeight"] > 0 for variant in left):
            left[0]["InitialVariantWeight"] = 1.0  # nobody is sent here, and one weight must be above 0
        self._update(found, left)
        return gone

    def _follow(self, gone: list[str]) -> None:
        """Let what gets requests follow them, now that no rollout holds its instances."""
        if self._is_reached():
            self._scaling.follow(name for name in self._serving_counts() if name not in gone)

    def _serving_counts(self, also: str = "") -> dict[str, int]:
        """The instances of variants that have a share of the requests, and of another one."""
        variants = self._variants()
        weights = desired_weights(variants)
        return {name: n for name, n in instance_counts(variants).items() if weights[name] > 0 or name == also}

    def _is_reached(self) -> bool:
        at_door = self.door.current()
        return any(v is not None and self._passes_on(v) for v in (at_door.primary, at_door.candidate))

    def _create(self, variants: list[ProductionVariant]) -> None:
        newest = max((number for number, _ in self._configurations()), default=0)
        name = self._configure(newest + 1, variants)
        self.client.create_endpoint(EndpointName=self.place.name, EndpointConfigName=name)

    def _update(self, found: _Endpoint, variants: list[ProductionVariant]) -> None:
        serving = self.place.configuration_number(found["EndpointConfigName"]) or 0
        for number, configuration in self._configurations():
            if number < serving:
                self.client.delete_endpoint_config(EndpointConfigName=configuration)
        newest = max((number for number, _ in self._configurations()), default=serving)
        name = self._configure(max(newest, serving) + 1, variants)
        self._asked(self.client.update_endpoint, EndpointConfigName=name)

    def _configure(self, number: int, variants: list[ProductionVariant]) -> str:
        name = self.place.configuration_name(number)
        self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        return name

    def _configured(self, found: _Endpoint) -> list[ProductionVariant]:
        """The variants of an endpoint as its next configuration lists them: with today's weights and instances."""
        described = self.client.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
        weights = desired_weights(found["ProductionVariants"])
        counts = {v["VariantName"]: v.get("DesiredInstanceCount") for v in found["ProductionVariants"]}
        variants: list[ProductionVariant] = copy.deepcopy(described["ProductionVariants"])
        for variant in variants:
            name = variant["VariantName"]
            variant["InitialVariantWeight"] = weights[name]
            variant["InitialInstanceCount"] = counts[name] or variant["InitialInstanceCount"]
        return variants

    def _configurations(self) -> list[tuple[int, str]]:
        """The endpoint's configurations with their numbers."""
        names = self._listed("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")
        numbered = ((self.place.configuration_number(name), name) for name in names)
        return sorted((number, name) for number, name in numbered if number is not None)

    def _delete_models(self, kept: set[str]) -> None:
        """Delete models that no variant has and nobody needs; those of endpoints of versions are named alike."""
        running = {variant["VariantName"] for variant in self._variants()} | self.door.endpoints_passed_on_to()
        for name in self._listed("list_models", "Models", "ModelName"):
            if self.place.is_model(name) and name not in kept | running:
                self.client.delete_model(ModelName=name)

    def _listed(self, operation: str, key: str, name: str) -> list[str]:
        return names_with(self.client, operation, key, name, self.place.name)

    def _variants(self) -> list[RunningVariant]:
        found = self._describe()
        return found["ProductionVariants"] if found else []

    def _settled(self) -> _Endpoint | None:
        """The endpoint, once nothing is under way; None where there is none.

        Raises
        ------
        EndpointNotReadyError
            When that takes longer than a few polls.
        """
        status = ""
        for _ in range(_POLLS):
            found = self._describe()
            status = found["EndpointStatus"] if found else ""
            if status not in UNDER_WAY:
                return found
            self._pause(_POLL_SECONDS)
        raise EndpointNotReadyError(
            f"endpoint {self.place.name} is {status}, which takes minutes; the same call goes on from there"
        )

    def _describe(self) -> _Endpoint | None:
        try:
            found: _Endpoint = self.client.describe_endpoint(EndpointName=self.place.name)
        except ClientError as error:
            if not is_not_there(error):
                raise
            return None
        # A fresh endpoint may not list its variants yet.
        return {**found, "ProductionVariants": found.get("ProductionVariants", [])}

    def _asked(self, call: Callable[..., Any], **arguments: Any) -> None:
        """Change the endpoint, unless somebody else does so at this moment."""
        try:
            call(EndpointName=self.place.name, **arguments)
        except ClientError as error:
            if "in-progress" not in str(error):
                raise
            raise EndpointNotReadyError(f"endpoint {self.place.name} is being changed: {error}") from error


class _Endpoint(TypedDict):
    """What is read of an endpoint."""

    EndpointStatus: str
    EndpointConfigName: str
    LastModifiedTime: datetime
    ProductionVariants: list[RunningVariant]


def _reason(found: Mapping[str, Any] | _Endpoint) -> str:
    return str(dict(found).get("FailureReason") or "SageMaker gives no reason")


class SageMakerEndpoints:
    """Makes the target of an endpoint."""

    def open(self, client: Callable[..., Any], place: TargetPlace) -> RolloutTarget:
        """The endpoint of the place, behind the alias of its function.

        Raises
        ------
        ValueError
            For a place without an endpoint: `serving.endpoint` declares it.
        """
        if place.endpoint is None:
            raise ValueError("the target sagemaker_endpoint needs serving.endpoint in the declaration")
        door = LambdaAliasTarget(client("lambda"), function=place.function, alias=place.alias)
        return SageMakerEndpointTarget(
            client("sagemaker"),
            door,
            place.endpoint,
            runtime=client("sagemaker-runtime"),
            scaling=client("application-autoscaling"),
        )


TARGET: TargetKind = SageMakerEndpoints()
