"""Finds what serves the model's files under another name: functions and endpoints that no rollout made.

Every function of the account and region is listed with its variables, fifty a request. An endpoint is listed by its
name alone: what it serves is known by its configuration's models, three requests or more. So the newest fifty endpoints
are looked at, and it is said where there are more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from everloop.names import ALIAS, FUNCTIONS, PROBE_FUNCTION, ModelNames
from everloop.rollout.container_place import is_model_of
from everloop.rollout.differences import Difference
from everloop.rollout.endpoint_answers import is_not_there
from everloop.rollout.observed import AccountReader
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget

MOST_FUNCTIONS = 1_000
MOST_ENDPOINTS = 50
"""So many are looked at in one look: the endpoints are one page of a listing."""

MOST_REPORTED = 20
"""So many functions, and so many endpoints, are reported: a record holds them all."""

_PAGE_OF_FUNCTIONS = 50
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_SERVES_NOBODY = frozenset({"Deleting", "Failed"})


@dataclass(frozen=True)
class Found:
    """What serves the model's files elsewhere, and what could not be looked at, in sentences."""

    differences: tuple[Difference, ...] = ()
    not_looked: tuple[str, ...] = ()


def served_from(texts: Iterable[str], names: ModelNames, bucket: str) -> str | None:
    """The place of the model's registered files that one of these texts names: a key, or an address in the bucket.

    None where none does. Which of them is no matter.
    """
    prefix = names.artifacts_prefix
    address = f"{bucket}/{prefix}"
    for text in texts:
        _, found, rest = text.partition(address)
        if found:
            return prefix + rest.partition("/")[0]
        if text.startswith(prefix):
            return prefix + text.removeprefix(prefix).partition("/")[0]
    return None


def function_elsewhere(function: str, place: str) -> Difference:
    """A function that serves the model's files, made by hand."""
    return Difference(
        "unknown_function",
        f"function {function} serves {place}, and no deployment made it; delete it:"
        f" `aws lambda delete-function --function-name {function}`",
        about=function,
    )


def endpoint_elsewhere(endpoint: str, place: str) -> Difference:
    """An endpoint that serves the model's files, made by hand, or left of a version whose function version is gone."""
    return Difference(
        "unknown_endpoint",
        f"endpoint {endpoint} serves {place}, and no rollout needs it; delete it:"
        f" `aws sagemaker delete-endpoint --endpoint-name {endpoint}`",
        about=endpoint,
    )


class Elsewhere(AccountReader):
    """Looks at what nobody but a person made."""

    def __init__(self, client: Callable[..., Any], model: str, bucket: str) -> None:
        super().__init__(client, model, bucket)
        self._own = {self._names.function(name) for name in (*FUNCTIONS, PROBE_FUNCTION)}

    def look(self) -> Found:
        """What is there now. What may not be listed is said, and is no failure."""
        said: list[str] = []
        found = [
            *self._allowed("endpoints", self._endpoints, said),
            *self._allowed("functions", self._functions, said),
        ]
        return Found(tuple(found), tuple(said))

    def _allowed(
        self, what: str, look: Callable[[list[str]], Iterator[Difference]], said: list[str]
    ) -> list[Difference]:
        try:
            found = sorted(look(said), key=lambda one: one.about)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _DENIED:
                raise
            said.append(f"{what} by other names: {error.response['Error']['Message']}")
            return []
        if len(found) > MOST_REPORTED:
            said.append(f"{len(found) - MOST_REPORTED} more {what} that serve the model's files")
        return found[:MOST_REPORTED]

    def _functions(self, said: list[str]) -> Iterator[Difference]:
        client, asked = self._client("lambda"), {"MaxItems": _PAGE_OF_FUNCTIONS}
        seen = 0
        while seen < MOST_FUNCTIONS:
            page = client.list_functions(**asked)
            seen += len(page["Functions"])
            for function in page["Functions"]:
                variables = (function.get("Environment") or {}).get("Variables") or {}
                place = served_from(variables.values(), self._names, self._bucket)
                if place is not None and function["FunctionName"] not in self._own:
                    yield function_elsewhere(function["FunctionName"], place)
            if not page.get("NextMarker"):
                return
            asked["Marker"] = page["NextMarker"]
        said.append(f"functions by other names, beyond the first {seen:,}")

    def _endpoints(self, said: list[str]) -> Iterator[Difference]:
        page = self._client("sagemaker").list_endpoints(
            SortBy="CreationTime", SortOrder="Descending", MaxResults=MOST_ENDPOINTS
        )
        for name in [one["EndpointName"] for one in page["Endpoints"] if one["EndpointStatus"] not in _SERVES_NOBODY]:
            if name != self._names.endpoint and not self._is_of_a_version(name):
                place = served_from(self._texts_of(name, said), self._names, self._bucket)
                if place is not None:
                    yield endpoint_elsewhere(name, place)
        if page.get("NextToken"):
            said.append(f"endpoints by other names, beyond the newest {MOST_ENDPOINTS}")

    def _is_of_a_version(self, endpoint: str) -> bool:
        """Whether it is the serverless endpoint of a version, which a function version passes its requests on to.

        A rollout publishes the function version before it makes the endpoint.
        """
        if not is_model_of(self._names.endpoint, endpoint):
            return False
        door = LambdaAliasTarget(self._client("lambda"), function=self._names.function("predict"), alias=ALIAS)
        return endpoint in door.endpoints_passed_on_to()

    def _texts_of(self, endpoint: str, said: list[str]) -> Iterator[str]:
        """Where the models of an endpoint have their files from, and the variables of their containers."""
        client = self._client("sagemaker")
        try:
            configuration = client.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
            variants = client.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
            for variant in variants:
                if variant.get("ModelName"):
                    yield from texts_of_model(client.describe_model(ModelName=variant["ModelName"]))
        except ClientError as error:
            if not is_not_there(error):
                raise
            said.append(f"endpoint {endpoint}: {error.response['Error']['Message']}")


def texts_of_model(model: Mapping[str, Any]) -> Iterator[str]:
    """What a model of SageMaker says of its files: addresses of data, and variables of its containers."""
    for container in [model.get("PrimaryContainer") or {}, *(model.get("Containers") or [])]:
        source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        yield from filter(None, (container.get("ModelDataUrl"), source.get("S3Uri")))
        yield from (container.get("Environment") or {}).values()
