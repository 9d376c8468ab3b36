"""Functions and endpoints of one account in memory, as they are listed and described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.lambda_function import refusal


class FakeAccount:
    """The part of Lambda's and SageMaker's API that looks for servers under other names.

    Attributes
    ----------
    calls : list of str
        What was asked.
    denied : set of str
        Operations that are refused.
    """

    def __init__(self) -> None:
        self.functions: dict[str, Mapping[str, str] | None] = {}
        self.endpoints: dict[str, list[dict[str, Any]]] = {}
        self.gone: set[str] = set()
        self.statuses: dict[str, str] = {}
        self.calls: list[str] = []
        self.denied: set[str] = set()

    def list_functions(self, *, MaxItems: int, Marker: str = "0") -> dict[str, Any]:
        self._enter("list_functions")
        start = int(Marker)
        names = sorted(self.functions)
        page = [
            {
                "FunctionName": name,
                **({} if (told := self.functions[name]) is None else {"Environment": {"Variables": told}}),
            }
            for name in names[start : start + MaxItems]
        ]
        more = {"NextMarker": str(start + MaxItems)} if start + MaxItems < len(names) else {}
        return {"Functions": page, **more}

    def list_endpoints(self, *, SortBy: str, SortOrder: str, MaxResults: int) -> dict[str, Any]:
        self._enter("list_endpoints")
        assert (SortBy, SortOrder) == ("CreationTime", "Descending")
        newest = list(self.endpoints)[::-1]
        more = {"NextToken": "more"} if len(newest) > MaxResults else {}
        listed = [{"EndpointName": name, "EndpointStatus": self.statuses.get(name, "InService")} for name in newest]
        return {"Endpoints": listed[:MaxResults], **more}

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        self._enter("describe_endpoint")
        return {"EndpointConfigName": f"{EndpointName}-config"}

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:
        self._enter("describe_endpoint_config")
        name = EndpointConfigName.removesuffix("-config")
        if name in self.gone:
            said = f'Could not find endpoint configuration "{EndpointConfigName}".'
            raise refusal("ValidationException", said, "DescribeEndpointConfig")
        models = [{"ModelName": f"{name}/{number}"} for number in range(len(self.endpoints[name]))]
        return {"ProductionVariants": [*models, {"VariantName": "of components"}]}

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:
        self._enter("describe_model")
        name, number = ModelName.split("/")
        return self.endpoints[name][int(number)]

    def _enter(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.denied:
            raise refusal("AccessDeniedException", f"not authorized: {operation}", operation)
