"""SageMaker's hosting API in memory: models, configurations, and endpoints that take a few looks to change."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from everloop.serving.answer import Answer
from everloop.serving.exchange import json_reply
from everloop.serving.passed_on import encode_answer
from everloop.serving.passed_request import PASSED_ON, decode_request
from tests.fakes.asked_version import asked_version
from tests.fakes.lambda_function import refusal


class FakeSageMaker:
    """The part of SageMaker's API that rollouts use.

    A change is under way until the endpoint was described ``looks`` times. Variants whose model is in ``unhealthy`` do
    not come into service: SageMaker goes back to the configuration before, and gives a reason if it ``gives_reasons``.
    Variants in ``scaled`` are scalable targets: an update may not take them away.
    """

    def __init__(self, looks: int = 2, *, gives_reasons: bool = True) -> None:
        self.looks = looks
        self.gives_reasons = gives_reasons
        self.unhealthy: set[str] = set()
        self.models: dict[str, dict[str, Any]] = {}
        self.configurations: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.crash_before: list[str] = []
        self.scaled: Mapping[str, object] = {}
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._next: dict[str, dict[str, Any]] = {}
        self._left: dict[str, int] = {}

    def weights(self, endpoint: str) -> dict[str, float]:
        """Share of the requests by variant."""
        variants = self.endpoints[endpoint]["ProductionVariants"]
        total = sum(variant["CurrentWeight"] for variant in variants)
        return {variant["VariantName"]: variant["CurrentWeight"] / total for variant in variants}

    def create_model(self, **request: Any) -> dict[str, Any]:
        self._enter("create_model")
        return {"ModelArn": self._keep(self.models, "model", request["ModelName"], request)}

    def create_endpoint_config(self, **request: Any) -> dict[str, Any]:
        self._enter("create_endpoint_config")
        for variant in request["ProductionVariants"]:
            self._find(self.models, "model", variant["ModelName"])
            self._check_serverless(variant, len(request["ProductionVariants"]))
        assert sum(variant.get("InitialVariantWeight", 1) for variant in request["ProductionVariants"]) > 0
        kept = self._keep(self.configurations, "endpoint configuration", request["EndpointConfigName"], request)
        return {"EndpointConfigArn": kept}

    def create_endpoint(self, *, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        self._enter("create_endpoint")
        self._find(self.configurations, "endpoint configuration", EndpointConfigName)
        arn = self._keep(self.endpoints, "endpoint", EndpointName, {"EndpointName": EndpointName})
        self.endpoints[EndpointName] |= {"EndpointConfigName": EndpointConfigName, "ProductionVariants": []}
        self._begin(EndpointName, "Creating", {"configuration": EndpointConfigName})
        return {"EndpointArn": arn}

    def update_endpoint(self, *, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        self._enter("update_endpoint")
        self._find(self.configurations, "endpoint configuration", EndpointConfigName)
        self._check_free(EndpointName, "UpdateEndpoint")
        left = {variant["VariantName"] for variant in self.configurations[EndpointConfigName]["ProductionVariants"]}
        if set(self.scaled) - left:
            said = f"{set(self.scaled) - left} must be deregistered as scalable targets"
            raise refusal("ValidationException", said, "UpdateEndpoint")
        self._begin(EndpointName, "Updating", {"configuration": EndpointConfigName})
        return {}

    def update_endpoint_weights_and_capacities(
        self, *, EndpointName: str, DesiredWeightsAndCapacities: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self._enter("update_endpoint_weights_and_capacities")
        self._check_free(EndpointName, "UpdateEndpointWeightsAndCapacities")
        asked = {each["VariantName"]: each["DesiredWeight"] for each in DesiredWeightsAndCapacities}
        variants = self.endpoints[EndpointName]["ProductionVariants"]
        assert set(asked) <= {variant["VariantName"] for variant in variants}
        for variant in variants:
            variant["DesiredWeight"] = asked.get(variant["VariantName"], variant["DesiredWeight"])
        self._begin(EndpointName, "Updating", {"weights": True})
        return {}

    def invoke_endpoint(
        self, *, EndpointName: str, TargetVariant: str, ContentType: str, Accept: str, Body: bytes
    ) -> dict[str, Any]:
        """What the variant says it serves, and what it was asked; version 500 fails."""
        self._enter("invoke_endpoint")
        assert ContentType == Accept == PASSED_ON
        passed = decode_request(Body)
        running = {v["VariantName"] for v in self._find(self.endpoints, "endpoint", EndpointName)["ProductionVariants"]}
        if TargetVariant not in running:
            raise refusal("ValidationError", f"no variant {TargetVariant}", "InvokeEndpoint")
        number = int(self.models[TargetVariant]["PrimaryContainer"]["Environment"]["EVERLOOP_VERSION"])
        if number == 500:
            raise refusal("ModelError", "Received server error (500) from the container", "InvokeEndpoint")
        asked = passed.request.body
        assert isinstance(asked, str), "a body in bytes has another protocol"
        status, document = asked_version(number, asked, unseen=passed.unseen)
        return {"Body": BytesIO(encode_answer(Answer(status, json_reply(document))))}

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        self._enter("describe_endpoint")
        found = self._find(self.endpoints, "endpoint", EndpointName)
        if self._left.get(EndpointName):
            self._left[EndpointName] -= 1
        elif EndpointName in self._next:
            self._finish(EndpointName)
            found = self._find(self.endpoints, "endpoint", EndpointName)
        return copy.deepcopy(found)

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:
        self._enter("describe_endpoint_config")
        return copy.deepcopy(self._find(self.configurations, "endpoint configuration", EndpointConfigName))

    def list_endpoint_configs(self, *, NameContains: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        return self._page(self.configurations, "EndpointConfig", NameContains, NextToken)

    def list_endpoints(self, *, NameContains: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        return self._page(self.endpoints, "Endpoint", NameContains, NextToken)

    def list_models(self, *, NameContains: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        return self._page(self.models, "Model", NameContains, NextToken)

    def delete_model(self, *, ModelName: str) -> None:
        self._enter("delete_model")
        self._find(self.models, "model", ModelName)
        del self.models[ModelName]

    def delete_endpoint_config(self, *, EndpointConfigName: str) -> None:
        self._enter("delete_endpoint_config")
        self._find(self.configurations, "endpoint configuration", EndpointConfigName)
        used = [e for e in self.endpoints.values() if e["EndpointConfigName"] == EndpointConfigName]
        assert not used, "a configuration that an endpoint has must stay"
        coming = {then.get("configuration") for then in self._next.values()}
        assert EndpointConfigName not in coming, "an update to it is under way"
        del self.configurations[EndpointConfigName]

    def delete_endpoint(self, *, EndpointName: str) -> None:
        self._enter("delete_endpoint")
        self._check_free(EndpointName, "DeleteEndpoint", also=("Failed",))
        self._begin(EndpointName, "Deleting", {"deleted": True})

    def asked(self, endpoint: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """What a function version answers that passes ``event`` on to an endpoint of one variant."""
        found = self._find(self.endpoints, "endpoint", endpoint)
        assert found["EndpointStatus"] == "InService", "SageMaker does not find an endpoint that is not in service"
        model = self.configurations[found["EndpointConfigName"]]["ProductionVariants"][0]["ModelName"]
        number = int(self.models[model]["PrimaryContainer"]["Environment"]["EVERLOOP_VERSION"])
        if number == 500:
            return {"statusCode": 500, "body": "{}"}
        status, document = asked_version(number, event["body"], unseen=event["unseen"])
        return {"statusCode": status, "body": json.dumps(document)}

    def _check_serverless(self, variant: Mapping[str, Any], variants: int) -> None:
        if "ServerlessConfig" in variant:
            container = self.models[variant["ModelName"]]["PrimaryContainer"]
            assert variants == 1, "a serverless endpoint has one variant"
            assert "ModelDataSource" not in container, "serverless endpoints take none"

    def _begin(self, name: str, status: str, then: dict[str, Any]) -> None:
        endpoint = self.endpoints[name]
        endpoint["EndpointStatus"] = status
        endpoint.pop("FailureReason", None)
        self._touch(endpoint)
        self._next[name], self._left[name] = then, self.looks

    def _finish(self, name: str) -> None:
        endpoint, then = self.endpoints[name], self._next.pop(name)
        self._touch(endpoint)
        if then.get("deleted"):
            del self.endpoints[name]
            return
        if then.get("weights"):
            for variant in endpoint["ProductionVariants"]:
                variant["CurrentWeight"] = variant["DesiredWeight"]
        configuration = then.get("configuration")
        if configuration is not None:
            variants = self.configurations[configuration]["ProductionVariants"]
            unhealthy = [v["VariantName"] for v in variants if v["ModelName"] in self.unhealthy]
            if unhealthy and self.gives_reasons:
                endpoint["FailureReason"] = f"variant {unhealthy[0]} did not pass the ping health check"
            if unhealthy and endpoint["EndpointStatus"] == "Creating":
                endpoint["EndpointStatus"] = "Failed"
                return
            if not unhealthy:
                endpoint["EndpointConfigName"] = configuration
                endpoint["ProductionVariants"] = [_running(variant) for variant in variants]
        endpoint["EndpointStatus"] = "InService"

    def _check_free(self, name: str, operation: str, also: tuple[str, ...] = ()) -> None:
        status = self._find(self.endpoints, "endpoint", name)["EndpointStatus"]
        if status not in ("InService", *also):
            raise refusal("ValidationException", f'Cannot update in-progress endpoint "{name}".', operation)

    def _page(self, among: dict[str, dict[str, Any]], kind: str, contains: str, token: str) -> dict[str, Any]:
        """One a page."""
        self._enter(f"list_{kind}")
        names = sorted(name for name in among if contains in name)
        at = int(token)
        answer: dict[str, Any] = {f"{kind}s": [{f"{kind}Name": name} for name in names[at : at + 1]]}
        return answer | ({"NextToken": str(at + 1)} if at + 1 < len(names) else {})

    def _keep(self, into: dict[str, dict[str, Any]], kind: str, name: str, request: dict[str, Any]) -> str:
        if name in into:
            raise refusal("ValidationException", f'Cannot create already existing {kind} "{name}".', f"Create{kind}")
        assert len(name) <= 63
        into[name] = copy.deepcopy(request)
        self._touch(into[name], "CreationTime")
        return f"arn:{name}"

    def _find(self, among: dict[str, dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
        if name not in among:
            raise refusal("ValidationException", f'Could not find {kind} "{name}".', f"Describe{kind}")
        return among[name]

    def _touch(self, thing: dict[str, Any], key: str = "LastModifiedTime") -> None:
        self._now += timedelta(seconds=1)
        thing[key] = self._now

    def _enter(self, call: str) -> None:
        self.calls.append(call)
        if self.crash_before and self.crash_before[0] == call:
            self.crash_before.pop(0)
            raise ConnectionError(f"crashed before {call}")


def _running(variant: Mapping[str, Any]) -> dict[str, Any]:
    """A configured variant as a described endpoint has it."""
    if "ServerlessConfig" in variant:
        serverless = variant["ServerlessConfig"]
        return {"VariantName": variant["VariantName"], "CurrentServerlessConfig": dict(serverless)}
    return {
        "VariantName": variant["VariantName"],
        "CurrentWeight": variant["InitialVariantWeight"],
        "DesiredWeight": variant["InitialVariantWeight"],
        "CurrentInstanceCount": variant["InitialInstanceCount"],
        "DesiredInstanceCount": variant["InitialInstanceCount"],
    }
