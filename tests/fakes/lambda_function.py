"""One Lambda function in memory: frozen versions, an alias with weights, revisions that are held to."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError

from tests.fakes.asked_version import asked_version


def refusal(code: str, message: str, operation: str) -> ClientError:
    """An error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class FakeLambda:
    """The part of the Lambda API that rollouts use, for one function.

    ``passed_on`` answers for an endpoint what a version passes on to it.
    Numbers of deleted versions are not used again. Publishing what was published last answers that version.
    """

    def __init__(
        self,
        function: str = "predict",
        alias: str = "live",
        *,
        passed_on: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.function = function
        self.passed_on = passed_on
        self.versions: dict[str, dict[str, Any]] = {}
        self.crash_before: list[str] = []
        self.calls: list[str] = []
        self.other_aliases: list[str] = []
        self.unable: set[int] = set()
        self._revision = 0
        self._last_number = 0
        self._pending = 0
        self.latest: dict[str, Any] = {
            "FunctionName": function,
            "Version": "$LATEST",
            "CodeSha256": "code-1",
            "Runtime": "python3.13",
            "Handler": "handler.handle",
            "Role": "arn:aws:iam::123456789012:role/predict",
            "MemorySize": 1024,
            "Timeout": 10,
            "Layers": [{"Arn": "arn:layer:1"}],
            "Environment": {"Variables": {"EVERLOOP_MODEL": "flights"}},
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Description": "",
        }
        self._touch(self.latest)
        self.alias: dict[str, Any] = {"Name": alias, "FunctionVersion": "$LATEST"}
        self._touch(self.alias)

    def deploy_code(self, code_sha256: str) -> None:
        """Put other code on ``$LATEST``, as a deployment does."""
        self.latest["CodeSha256"] = code_sha256
        self._touch(self.latest)

    def redeploy(self) -> None:
        """Remove the function with its versions and alias, and deploy it again: its numbers go on, as on AWS."""
        self.versions.clear()
        self.latest["Environment"] = {"Variables": {"EVERLOOP_MODEL": "flights"}}
        self._touch(self.latest)
        self.alias = {"Name": self.alias["Name"], "FunctionVersion": "$LATEST"}
        self._touch(self.alias)

    def serving(self) -> dict[str, float]:
        """Share of the requests by function version."""
        weights = self.alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return {self.alias["FunctionVersion"]: 1 - sum(weights.values()), **weights}

    def variables(self, version: str) -> dict[str, str]:
        """The environment a version runs with."""
        variables: dict[str, str] = self._configuration(version, "test")["Environment"]["Variables"]
        return variables

    def get_alias(self, *, FunctionName: str, Name: str) -> dict[str, Any]:
        self._enter("get_alias")
        return copy.deepcopy(self.alias)

    def update_alias(
        self,
        *,
        FunctionName: str,
        Name: str,
        FunctionVersion: str,
        RoutingConfig: dict[str, Any],
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        self._enter("update_alias")
        self._hold(self.alias, RevisionId, "UpdateAlias")
        weights = RoutingConfig["AdditionalVersionWeights"]
        for version in (FunctionVersion, *weights):
            self._configuration(version, "UpdateAlias")
        if weights and (FunctionVersion == "$LATEST" or FunctionVersion in weights):
            raise refusal("InvalidParameterValueException", "weights need two versions", "UpdateAlias")
        if any(not 0 <= weight <= 1 for weight in weights.values()):
            raise refusal("InvalidParameterValueException", "a weight is from 0 to 1", "UpdateAlias")
        self.alias["FunctionVersion"] = FunctionVersion
        self.alias["RoutingConfig"] = {"AdditionalVersionWeights": dict(weights)}
        self._touch(self.alias)
        return copy.deepcopy(self.alias)

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        self._enter("get_function_configuration")
        answer = copy.deepcopy(self._configuration(Qualifier, "GetFunctionConfiguration"))
        if Qualifier == "$LATEST" and self._pending:
            self._pending -= 1
            answer["LastUpdateStatus"] = "InProgress"
        return answer

    def update_function_configuration(
        self, *, FunctionName: str, Environment: dict[str, Any], RevisionId: str | None = None
    ) -> dict[str, Any]:
        self._enter("update_function_configuration")
        self._hold(self.latest, RevisionId, "UpdateFunctionConfiguration")
        self.latest["Environment"] = copy.deepcopy(Environment)
        self._touch(self.latest)
        self._pending = 2
        return copy.deepcopy(self.latest) | {"LastUpdateStatus": "InProgress"}

    def invoke(self, *, FunctionName: str, Qualifier: str, Payload: bytes) -> dict[str, Any]:
        """What the version says it serves, and what it was asked; version 500 crashes, others are ``unable``."""
        self._enter("invoke")
        event = json.loads(Payload)
        variables = self._configuration(Qualifier, "Invoke")["Environment"]["Variables"]
        if self.passed_on is not None and not variables["EVERLOOP_VERSION"]:
            passed = self.passed_on(variables["EVERLOOP_ENDPOINT"], event)
            return {"Payload": BytesIO(json.dumps({**passed, "isBase64Encoded": False}).encode())}
        number = int(variables["EVERLOOP_VERSION"])
        if number == 500:
            crashed = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 10.00 seconds"}
            return {"FunctionError": "Unhandled", "Payload": BytesIO(json.dumps(crashed).encode())}
        if number in self.unable:
            status, document = 503, {"error": {"code": "artifact_refused"}}
        else:
            status, document = asked_version(number, event["body"], unseen=event["unseen"])
        reply = {"statusCode": status, "body": json.dumps(document), "isBase64Encoded": False}
        return {"Payload": BytesIO(json.dumps(reply).encode())}

    def publish_version(
        self, *, FunctionName: str, CodeSha256: str, Description: str, RevisionId: str | None = None
    ) -> dict[str, Any]:
        self._enter("publish_version")
        if self._pending:
            raise refusal("ResourceConflictException", "an update is in progress", "PublishVersion")
        self._hold(self.latest, RevisionId, "PublishVersion")
        if CodeSha256 != self.latest["CodeSha256"]:
            raise refusal("InvalidParameterValueException", "CodeSHA256 differs", "PublishVersion")
        last = self.versions.get(str(self._last_number))
        if last is not None and _frozen(last) == _frozen(self.latest):
            return copy.deepcopy(last)
        self._last_number += 1
        number = str(self._last_number)
        self.versions[number] = copy.deepcopy(self.latest) | {"Version": number, "Description": Description}
        self._touch(self.versions[number])
        return copy.deepcopy(self.versions[number])

    def delete_function(self, *, FunctionName: str, Qualifier: str) -> None:
        self._enter("delete_function")
        self._configuration(Qualifier, "DeleteFunction")
        if Qualifier in self.serving():
            raise refusal("ResourceConflictException", "an alias points at it", "DeleteFunction")
        del self.versions[Qualifier]

    def get_paginator(self, operation: str) -> FakeLambda | _Aliases:
        if operation == "list_aliases":
            return _Aliases([self.alias["Name"], *self.other_aliases])
        assert operation == "list_versions_by_function"
        return self

    def paginate(self, *, FunctionName: str) -> Iterator[dict[str, Any]]:
        self._enter("list_versions_by_function")
        for configuration in [self.latest, *self.versions.values()]:
            yield {"Versions": [copy.deepcopy(configuration)]}

    def _configuration(self, version: str, operation: str) -> dict[str, Any]:
        if version == "$LATEST":
            return self.latest
        if version not in self.versions:
            raise refusal("ResourceNotFoundException", f"no version {version}", operation)
        return self.versions[version]

    def _enter(self, call: str) -> None:
        self.calls.append(call)
        if self.crash_before and self.crash_before[0] == call:
            self.crash_before.pop(0)
            raise ConnectionError(f"crashed before {call}")

    def _hold(self, thing: dict[str, Any], revision: str | None, operation: str) -> None:
        if revision is not None and revision != thing["RevisionId"]:
            raise refusal("PreconditionFailedException", "the RevisionId is not the current one", operation)

    def _touch(self, thing: dict[str, Any]) -> None:
        self._revision += 1
        thing["RevisionId"] = f"revision-{self._revision}"


class _Aliases:
    """The aliases of the function, a page each."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def paginate(self, *, FunctionName: str) -> Iterator[dict[str, Any]]:
        yield from ({"Aliases": [{"Name": name}]} for name in self.names)


def _frozen(configuration: dict[str, Any]) -> dict[str, Any]:
    varying = ("Version", "RevisionId", "Description")
    return {name: value for name, value in configuration.items() if name not in varying}
