"""A model's SageMaker endpoint as a person's commands see it: what runs there, and its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.names import ModelNames
from everloop.rollout.container_place import is_model_of
from everloop.rollout.endpoint_answers import UNDER_WAY, is_not_there
from everloop.rollout.endpoint_place import configuration_number

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


def image_of(account: Account, variant: str) -> str | None:
    """The address of the image that a variant runs; None where its model is gone."""
    found = _unless_gone(lambda: account.client("sagemaker").describe_model(ModelName=variant))
    return None if found is None else str(found["PrimaryContainer"]["Image"])


def delete_endpoint(account: Account, model: str) -> bool:
    """Delete a model's endpoint, its configurations and its models; whether there was an endpoint.

    Raises
    ------
    CommandError
        While it is being changed.
    """
    client, name = account.client("sagemaker"), ModelNames(model).endpoint
    there = endpoint_of(account, model)
    deadline = time.monotonic() + _WAITS_SECONDS
    found = there
    while found is not None:
        if found.status not in UNDER_WAY:
            _unless_gone(lambda: client.delete_endpoint(EndpointName=name))
        elif time.monotonic() > deadline:
            raise CommandError(f"the endpoint {name} is {found.status}", "type this again in some minutes")
        else:
            time.sleep(_LOOK_AGAIN_SECONDS)
        found = endpoint_of(account, model)
    for configuration in _listed(client, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", name):
        if configuration_number(name, configuration) is not None:
            client.delete_endpoint_config(EndpointConfigName=configuration)
    for model_name in _listed(client, "list_models", "Models", "ModelName", name):
        if is_model_of(name, model_name):
            client.delete_model(ModelName=model_name)
    return there is not None


def _listed(client: Any, operation: str, key: str, named: str, contains: str) -> list[str]:
    arguments: dict[str, Any] = {"NameContains": contains, "MaxResults": 100}
    found: list[str] = []
    while True:
        page = getattr(client, operation)(**arguments)
        found += [each[named] for each in page[key]]
        if not page.get("NextToken"):
            return found
        arguments["NextToken"] = page["NextToken"]


def _unless_gone(call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if not is_not_there(error):
            raise
        return None
