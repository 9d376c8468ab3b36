"""Every call of the Lambda API, on moto's parsing and serialisation."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar

from botocore.model import OperationNotFoundError
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse, EmptyResult

from localcloud.core.account import LARGEST_FUNCTION_MB, LEAST_UNRESERVED
from localcloud.core.answers import refusal
from localcloud.core.json_text import read_json
from localcloud.services.lambda_.current import check_function_role, lambda_service
from localcloud.services.lambda_.runtime.exceptions import (
    InvalidParameterValueError,
    InvalidRequestContentError,
    LambdaServiceError,
    ResourceNotFoundError,
)
from localcloud.services.lambda_.runtime.functions import LATEST, FunctionVersion, split_name
from localcloud.services.lambda_.runtime.service import LambdaService


class LocalLambdaResponse(BaseResponse):
    """One request to the Lambda API."""

    _INVOCATION_STATUS: ClassVar[dict[str, int]] = {"RequestResponse": 200, "Event": 202, "DryRun": 204}

    def __init__(self) -> None:
        super().__init__(service_name="awslambda")
        self.automated_parameter_parsing = True
        self._operation: str | None = None

    def _get_action_from_method_and_request_uri(self, request: Request) -> str:
        if self._operation is None:
            self._operation = super()._get_action_from_method_and_request_uri(request)
        return self._operation

    def _get_action(self) -> str:
        return self._get_action_from_method_and_request_uri(self.normalized_request)

    def call_action(self) -> Any:
        try:
            return super().call_action()
        except LambdaServiceError as error:
            return refusal(self, error.code, error.message)
        except NotImplementedError as error:
            raise OperationNotFoundError(self._get_action()) from error

    @property
    def _service(self) -> LambdaService:
        return lambda_service()

    def _parameters(self) -> dict[str, Any]:
        return {**self.uri_match, **self.params}

    def _name(self) -> str:
        return str(self._parameters()["FunctionName"])

    # the account

    def get_account_settings(self) -> ActionResult:
        store, concurrency = self._service.store, self._service.account.lambda_concurrency
        return ActionResult(
            {
                "AccountLimit": {
                    "TotalCodeSize": 80_530_636_800,
                    "CodeSizeUnzipped": 262_144_000,
                    "CodeSizeZipped": 52_428_800,
                    "ConcurrentExecutions": concurrency,
                    "UnreservedConcurrentExecutions": concurrency - store.reserved_concurrency(),
                },
                "AccountUsage": {
                    "TotalCodeSize": sum(version.code.size for version in store.list_functions(all_versions=True)),
                    "FunctionCount": len(store.list_functions(all_versions=False)),
                },
            }
        )

    # functions

    def create_function(self) -> ActionResult:
        parameters = self._parameters()
        self._check_memory(parameters)
        check_function_role(parameters["Role"])
        layers = tuple(self._service.layer_version(arn) for arn in parameters.get("Layers") or ())
        code = self._service.code(dict(parameters["Code"]), layers)
        version = self._service.store.create_function(parameters, code)
        return ActionResult(version.configuration(_arn(version)))

    def update_function_configuration(self) -> ActionResult:
        parameters = self._parameters()
        self._check_memory(parameters)
        if parameters.get("Role"):
            check_function_role(parameters["Role"])
        version = self._service.store.update_function_configuration(self._name(), parameters)
        return ActionResult(version.configuration(version.arn))

    def update_function_code(self) -> ActionResult:
        parameters = self._parameters()
        layers = self._service.store.function(self._name()).latest.layers
        code = self._service.code(parameters, layers)
        version = self._service.store.update_function_code(self._name(), parameters, code)
        return ActionResult(version.configuration(_arn(version)))

    def get_function(self) -> ActionResult:
        resolved = self._service.store.resolve(self._name(), self._get_param("Qualifier"))
        version = resolved.version
        function = self._service.store.function(self._name())
        document: dict[str, Any] = {
            "Configuration": version.configuration(resolved.invoked_arn),
            "Code": {"RepositoryType": "S3", "Location": f"file://{version.code.directory}"},
            "Tags": function.tags,
        }
        if function.reserved_concurrency is not None:
            document["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
        return ActionResult(document)

    def get_function_configuration(self) -> ActionResult:
        resolved = self._service.store.resolve(self._name(), self._get_param("Qualifier"))
        return ActionResult(resolved.version.configuration(resolved.invoked_arn))

    def list_functions(self) -> ActionResult:
        every = self._get_param("FunctionVersion") == "ALL"
        versions = self._service.store.list_functions(all_versions=every)
        found = [v.configuration(f"{v.arn}:{v.version}" if every else v.arn) for v in versions]
        return ActionResult({"Functions": found})

    def delete_function(self) -> ActionResult:
        self._service.store.delete_function(self._name(), self._get_param("Qualifier"))
        return ActionResult({"StatusCode": 204})

    # versions and aliases

    def publish_version(self) -> ActionResult:
        version = self._service.store.publish_version(
            self._name(),
            code_sha256=self._get_param("CodeSha256"),
            description=self._get_param("Description"),
            revision_id=self._get_param("RevisionId"),
        )
        return ActionResult(version.configuration(_arn(version)))

    def list_versions_by_function(self) -> ActionResult:
        versions = self._service.store.list_versions(self._name())
        return ActionResult({"Versions": [v.configuration(f"{v.arn}:{v.version}") for v in versions]})

    def create_alias(self) -> ActionResult:
        return ActionResult(self._service.aliases.create_alias(self._name(), self._parameters()))

    def update_alias(self) -> ActionResult:
        parameters = self._parameters()
        return ActionResult(self._service.aliases.update_alias(self._name(), parameters["Name"], parameters))

    def get_alias(self) -> ActionResult:
        return ActionResult(self._service.aliases.get_alias(self._name(), self._parameters()["Name"]))

    def delete_alias(self) -> ActionResult:
        self._service.aliases.delete_alias(self._name(), self._parameters()["Name"])
        return EmptyResult()

    def list_aliases(self) -> ActionResult:
        aliases = self._service.aliases.list_aliases(self._name(), self._get_param("FunctionVersion"))
        return ActionResult({"Aliases": aliases})

    # permissions, asynchronous configuration, concurrency, tags

    def add_permission(self) -> ActionResult:
        statement = self._service.policies.add_permission(
            self._name(), self._get_param("Qualifier"), self._parameters()
        )
        return ActionResult({"Statement": json.dumps(statement)})

    def remove_permission(self) -> ActionResult:
        self._service.policies.remove_permission(
            self._name(), self._get_param("Qualifier"), self._parameters()["StatementId"]
        )
        return EmptyResult()

    def get_policy(self) -> ActionResult:
        return ActionResult(self._service.policies.get_policy(self._name(), self._get_param("Qualifier")))

    def put_function_event_invoke_config(self) -> ActionResult:
        return self._put_event_config(merge=False)

    def update_function_event_invoke_config(self) -> ActionResult:
        return self._put_event_config(merge=True)

    def _put_event_config(self, *, merge: bool) -> ActionResult:
        document = self._service.policies.put_event_config(
            self._name(), self._get_param("Qualifier"), self._parameters(), merge=merge
        )
        return ActionResult(document)

    def get_function_event_invoke_config(self) -> ActionResult:
        document = self._service.policies.event_config(self._name(), self._get_param("Qualifier"))
        if document is None:
            raise ResourceNotFoundError(f"The function {self._name()} doesn't have an EventInvokeConfig")
        return ActionResult(document)

    def delete_function_event_invoke_config(self) -> ActionResult:
        self._service.policies.delete_event_config(self._name(), self._get_param("Qualifier"))
        return EmptyResult()

    def _check_memory(self, parameters: dict[str, Any]) -> None:
        """As AWS refuses what the account is too new for."""
        memory, largest = int(parameters.get("MemorySize") or 0), self._service.account.lambda_memory_mb
        if largest < memory <= LARGEST_FUNCTION_MB:
            raise InvalidParameterValueError(
                "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to "
                f"{largest}"
            )

    def put_function_concurrency(self) -> ActionResult:
        limit = self._get_param("ReservedConcurrentExecutions")
        store, concurrency = self._service.store, self._service.account.lambda_concurrency
        if concurrency - store.reserved_concurrency(but=self._name()) - int(limit) < LEAST_UNRESERVED:
            raise InvalidParameterValueError(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{LEAST_UNRESERVED}]."
            )
        store.set_reserved_concurrency(self._name(), int(limit))
        return ActionResult({"ReservedConcurrentExecutions": int(limit)})

    def get_function_concurrency(self) -> ActionResult:
        limit = self._service.store.function(self._name()).reserved_concurrency
        return ActionResult({} if limit is None else {"ReservedConcurrentExecutions": limit})

    def delete_function_concurrency(self) -> ActionResult:
        self._service.store.set_reserved_concurrency(self._name(), None)
        return EmptyResult()

    def list_tags(self) -> ActionResult:
        return ActionResult({"Tags": self._service.store.tags(self._parameters()["Resource"])})

    def tag_resource(self) -> ActionResult:
        parameters = self._parameters()
        self._service.store.tags(parameters["Resource"]).update(parameters["Tags"])
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        parameters = self._parameters()
        tags = self._service.store.tags(parameters["Resource"])
        for key in parameters["TagKeys"]:
            tags.pop(key, None)
        return EmptyResult()

    # layers

    def publish_layer_version(self) -> ActionResult:
        parameters = self._parameters()
        return ActionResult(self._service.publish_layer_version(parameters["LayerName"], parameters).document())

    def get_layer_version(self) -> ActionResult:
        parameters = self._parameters()
        version = self._service.own_layer_version(parameters["LayerName"], int(parameters["VersionNumber"]))
        return ActionResult(version.document())

    def get_layer_version_by_arn(self) -> ActionResult:
        return ActionResult(self._service.layer_version(self._get_param("Arn")).document())

    def list_layer_versions(self) -> ActionResult:
        bare = self._parameters()["LayerName"].rsplit(":", 1)[-1]
        versions = self._service.layers().get(bare, [])
        return ActionResult({"LayerVersions": [version.document() for version in reversed(versions)]})

    def list_layers(self) -> ActionResult:
        layers = [
            {
                "LayerName": name,
                "LayerArn": versions[-1].layer_arn,
                "LatestMatchingVersion": versions[-1].document(),
            }
            for name, versions in self._service.layers().items()
        ]
        return ActionResult({"Layers": layers})

    def delete_layer_version(self) -> ActionResult:
        parameters = self._parameters()
        self._service.delete_layer_version(parameters["LayerName"], int(parameters["VersionNumber"]))
        return EmptyResult()

    # invocation

    def invoke(self) -> tuple[int, dict[str, Any], bytes]:
        parameters = self._parameters()
        name, qualifier = split_name(parameters["FunctionName"], parameters.get("Qualifier"))
        kind = parameters.get("InvocationType") or "RequestResponse"
        if kind not in self._INVOCATION_STATUS:
            raise InvalidParameterValueError(f"InvocationType {kind!r} is not one of RequestResponse, Event, DryRun")
        payload = self.raw_body or b"{}"
        _check_json(payload)
        status = self._INVOCATION_STATUS[kind]
        headers: dict[str, Any] = {"status": status, "Content-Type": "application/json"}
        if kind == "DryRun":
            headers["X-Amz-Executed-Version"] = self._service.store.resolve(name, qualifier).version.version
            return status, headers, b""
        if kind == "Event":
            headers["x-amzn-RequestId"] = self._service.asynchronous.accept(name, qualifier, payload)
            return status, headers, b""
        result = self._service.invoker.invoke(
            name, qualifier, payload, client_context=_client_context(parameters.get("ClientContext"))
        )
        headers["X-Amz-Executed-Version"] = result.executed_version
        headers["x-amzn-RequestId"] = result.request_id
        if result.function_error:
            headers["X-Amz-Function-Error"] = result.function_error
        if parameters.get("LogType") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(result.log_tail).decode()
        return status, headers, result.payload


def _check_json(payload: bytes) -> None:
    try:
        read_json(payload)
    except ValueError as error:
        raise InvalidRequestContentError(f"Could not parse request body into json: {error}") from None


def _client_context(encoded: str | None) -> str | None:
    return base64.b64decode(encoded).decode() if encoded else None


def _arn(version: FunctionVersion) -> str:
    return version.arn if version.version == LATEST else f"{version.arn}:{version.version}"
