"""Resource policies and the configuration of asynchronous invocation, by function, version or alias."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.services.lambda_.runtime.exceptions import (
    InvalidParameterValueError,
    ResourceConflictError,
    ResourceNotFoundError,
)
from localcloud.services.lambda_.runtime.functions import LATEST, Function, new_revision, split_name
from localcloud.services.lambda_.runtime.store import FunctionStore, expect_revision


class PolicyStore:
    """Every method takes the parameters of the API call of its name."""

    def __init__(self, functions: FunctionStore) -> None:
        self._functions = functions

    def add_permission(self, name: str, qualifier: str | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Add a statement; it may not be there yet."""
        with self._functions.lock:
            function, key, resource = self._policy_place(name, qualifier)
            statements = function.statements.setdefault(key, {})
            if parameters.get("RevisionId"):
                expect_revision(function.policy_revisions.get(key, ""), parameters["RevisionId"])
            identifier = parameters["StatementId"]
            if identifier in statements:
                raise ResourceConflictError(
                    f"The statement id ({identifier}) provided already exists. Please provide a new statement id, "
                    "or remove the existing statement."
                )
            statements[identifier] = _statement(parameters, resource)
            function.policy_revisions[key] = new_revision()
            return statements[identifier]

    def remove_permission(self, name: str, qualifier: str | None, statement_id: str) -> None:
        """Take a statement back."""
        with self._functions.lock:
            function, key, _ = self._policy_place(name, qualifier)
            if statement_id not in function.statements.get(key, {}):
                raise ResourceNotFoundError(f"Statement {statement_id} is not found in resource policy.")
            del function.statements[key][statement_id]
            function.policy_revisions[key] = new_revision()

    def get_policy(self, name: str, qualifier: str | None) -> dict[str, Any]:
        """The resource policy, and its revision."""
        with self._functions.lock:
            function, key, _ = self._policy_place(name, qualifier)
            statements = function.statements.get(key)
            if not statements:
                raise ResourceNotFoundError("The resource you requested does not exist.")
            policy = {"Version": "2012-10-17", "Id": "default", "Statement": list(statements.values())}
            return {"Policy": json.dumps(policy), "RevisionId": function.policy_revisions[key]}

    def statements(self, name: str, qualifier: str | None) -> list[dict[str, Any]]:
        """The resource policy's statements for exactly this function, version or alias."""
        with self._functions.lock:
            function, key, _ = self._policy_place(name, qualifier)
            return list(function.statements.get(key, {}).values())

    def _policy_place(self, name: str, qualifier: str | None) -> tuple[Function, str, str]:
        _, qualifier = split_name(name, qualifier)
        function = self._functions.function(name)
        if qualifier is None:
            return function, "", function.arn
        if qualifier not in function.aliases:
            self._functions.version_of(function, qualifier)
        return function, qualifier, f"{function.arn}:{qualifier}"

    def _config_place(self, name: str, qualifier: str | None) -> tuple[Function, str, str]:
        """``$LATEST`` is what is meant without a qualifier: the CDK writes it, callers leave it out."""
        base, qualifier = split_name(name, qualifier)
        return self._policy_place(base, None if qualifier == LATEST else qualifier)

    def put_event_config(
        self, name: str, qualifier: str | None, parameters: Mapping[str, Any], *, merge: bool
    ) -> dict[str, Any]:
        """Set how asynchronous invocations go on; with ``merge``, what is not given stays."""
        with self._functions.lock:
            function, key, resource = self._config_place(name, qualifier)
            document = dict(function.event_configs.get(key, {})) if merge else {}
            for field_name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"):
                if parameters.get(field_name) is not None:
                    document[field_name] = parameters[field_name]
            attempts = document.get("MaximumRetryAttempts", 2)
            if not 0 <= attempts <= 2:
                raise InvalidParameterValueError(f"MaximumRetryAttempts is {attempts}: must be 0, 1 or 2")
            document["FunctionArn"] = resource if key else f"{resource}:{LATEST}"
            document["LastModified"] = self._functions.now()
            function.event_configs[key] = document
            return document

    def event_config(self, name: str, qualifier: str | None) -> dict[str, Any] | None:
        """How asynchronous invocations go on, or None where nothing is set."""
        with self._functions.lock:
            function, key, _ = self._config_place(name, qualifier)
            return function.event_configs.get(key)

    def delete_event_config(self, name: str, qualifier: str | None) -> None:
        """Go back to the service's defaults."""
        with self._functions.lock:
            function, key, resource = self._config_place(name, qualifier)
            if function.event_configs.pop(key, None) is None:
                raise ResourceNotFoundError(f"The function {resource} doesn't have an EventInvokeConfig")


def _statement(parameters: Mapping[str, Any], resource: str) -> dict[str, Any]:
    principal = parameters["Principal"]
    if principal == "*":
        rendered: Any = "*"
    elif principal.endswith(".amazonaws.com"):
        rendered = {"Service": principal}
    else:
        rendered = {"AWS": principal if principal.startswith("arn:") else f"arn:aws:iam::{principal}:root"}
    condition: dict[str, Any] = {}
    if parameters.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": parameters["SourceArn"]}
    if parameters.get("SourceAccount"):
        condition["StringEquals"] = {"AWS:SourceAccount": parameters["SourceAccount"]}
    statement = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": rendered,
        "Action": parameters["Action"],
        "Resource": resource,
    }
    if condition:
        statement["Condition"] = condition
    return statement
