"""A model's SageMaker endpoints as a person's commands see them: what runs there, and their end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.names import ALIAS, ModelNames
from everloop.rollout.container_place import is_model_of
from everloop.rollout.endpoint_answers import UNDER_WAY, is_not_there, names_with
from everloop.rollout.endpoint_place import configuration_number
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget

_WAITS_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class RunningEndpoint:
    """An endpoint with its variants, each with how many instances it has: they run, and cost, all the time."""

    name: str
    status: str
    variants: dict[str, int]

    @property
    def instances(self) -> int:
        """Of all variants together."""
        return sum(self.variants.values())


def endpoint_of(account: Account, model: str) -> RunningEndpoint | None:
    """The endpoint of a model; None where there is none."""
    name = ModelNames(model).endpoint
    found = _unless_gone(lambda: account.client("sagemaker").describe_endpoint(EndpointName=name))
    if found is None:
        return None
    variants = {v["VariantName"]: int(v.get("CurrentInstanceCount", 0)) for v in found.get("ProductionVariants", [])}
    return RunningEndpoint(name, found["EndpointStatus"], variants)


def endpoints_of_versions(account: Account, model: str) -> list[str]:
    """The serverless endpoints of a model's versions, by name: they cost nothing while nobody asks."""
    name = ModelNames(model).endpoint
    found = names_with(account.client("sagemaker"), "list_endpoints", "Endpoints", "EndpointName", name)
    return sorted(each for each in found if is_model_of(name, each))


def passed_on_to(account: Account, function: str, number: str) -> str:
    """The endpoint that a function version passes its requests on to; empty where it answers by itself, or is gone."""
    return LambdaAliasTarget(account.client("lambda"), function=function, alias=ALIAS).passes_on_to(number)


def image_of(account: Account, variant: str) -> str | None:
    """The address of the image that a variant runs; None where its model is gone."""
    found = _unless_gone(lambda: account.client("sagemaker").describe_model(ModelName=variant))
    return None if found is None else str(found["PrimaryContainer"]["Image"])


def delete_endpoint(account: Account, model: str) -> bool:
    """Delete a model's endpoint, those of its versions, their configurations and models; whether there was an endpoint.

    Raises
    ------
    CommandError
        While it is being changed.
    """
    client, name = account.client("sagemaker"), ModelNames(model).endpoint
    of_versions = endpoints_of_versions(account, model)
    there = [endpoint for endpoint in [name, *of_versions] if _status(client, endpoint) is not None]
    deadline = time.monotonic() + _WAITS_SECONDS
    for endpoint in there:
        _delete(client, endpoint, deadline)
    for configuration in names_with(client, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", name):
        if configuration_number(name, configuration) is not None or is_model_of(name, configuration):
            client.delete_endpoint_config(EndpointConfigName=configuration)
    for model_name in names_with(client, "list_models", "Models", "ModelName", name):
        if is_model_of(name, model_name):
            client.delete_model(ModelName=model_name)
    return bool(there)


def _delete(client: Any, endpoint: str, deadline: float) -> None:
    """Delete one endpoint, and wait until it is gone."""
    while (status := _status(client, endpoint)) is not None:
        if status not in UNDER_WAY:
            _unless_gone(lambda: client.delete_endpoint(EndpointName=endpoint))
        elif time.monotonic() > deadline:
            raise CommandError(f"the endpoint {endpoint} is {status}", "type this again in some minutes")
        else:
            time.sleep(_LOOK_AGAIN_SECONDS)


def _status(client: Any, endpoint: str) -> str | None:
    found = _unless_gone(lambda: client.describe_endpoint(EndpointName=endpoint))
    return None if found is None else str(found["EndpointStatus"])


def _unless_gone(call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if not is_not_there(error):
            raise
        return None
