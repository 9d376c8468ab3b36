"""Athena: queries are executed, over the Glue catalogue and S3 of this cloud, with their caller's rights.

:mod:`.engine` runs SELECT and UNLOAD on DuckDB; statements, parameters and APIs that it does not have are refused.

Replaces: answers to every query that a test put there before.
Why: a query's answer is what the data says, and what its caller may read.
Obsolete: once moto runs queries over Glue's tables with the rights of who asks.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, cast

from moto.athena.models import AthenaBackend
from moto.athena.responses import AthenaResponse
from moto.core.exceptions import JsonRESTError

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace
from localcloud.iam.access import signing_key
from localcloud.iam.guard import DeniedError
from localcloud.services.athena.exceptions import InvalidQueryError
from localcloud.services.athena.executions import Executions, QueryExecution

_HISTORY = timedelta(days=45)
_UPDATES = (
    "EnforceWorkGroupConfiguration",
    "PublishCloudWatchMetricsEnabled",
    "BytesScannedCutoffPerQuery",
    "RequesterPaysEnabled",
    "EngineVersion",
)


def install(context: CloudContext) -> None:
    """Make queries of this cloud run."""
    executions = Executions(context)

    def start_query_execution(self: AthenaResponse) -> str:
        return _start(self, executions)

    def stop_query_execution(self: AthenaResponse) -> str:
        executions.stop(_execution(self))
        return "{}"

    replace(AthenaResponse, "start_query_execution", start_query_execution)
    replace(AthenaResponse, "stop_query_execution", stop_query_execution)
    replace(AthenaResponse, "get_query_execution", _get_query_execution)
    replace(AthenaResponse, "get_query_results", _get_query_results)
    replace(AthenaResponse, "get_query_runtime_statistics", _refuse)
    replace(AthenaResponse, "get_work_group", _get_work_group)
    replace(AthenaResponse, "delete_work_group", _delete_work_group)
    for name in (
        "create_named_query",
        "create_prepared_statement",
        "create_capacity_reservation",
        "create_data_catalog",
    ):
        replace(AthenaResponse, name, _refuse)
    add(AthenaResponse, "update_work_group", _update_work_group)
    add(AthenaResponse, "batch_get_query_execution", _batch_get_query_execution)


def _invalid(message: str) -> JsonRESTError:
    return JsonRESTError("InvalidRequestException", message)


def _refuse(self: AthenaResponse) -> str:
    raise _invalid(f"{self._get_action()} is not supported by the local Athena")


def _work_group(backend: AthenaBackend, name: str) -> Any:
    group = backend.work_groups.get(name)
    if group is None:
        raise _invalid(f"WorkGroup {name} is not found.")
    return group


def _known(self: AthenaResponse) -> dict[str, QueryExecution]:
    """All queries by their identifiers: moto's dictionary, which holds only what is put there here."""
    return cast("dict[str, QueryExecution]", self.athena_backend.executions)


def _execution(self: AthenaResponse) -> QueryExecution:
    identifier = self._get_param("QueryExecutionId")
    execution = _known(self).get(identifier)
    if execution is None:
        raise _invalid(f"QueryExecution {identifier} was not found")
    return execution


def _start(self: AthenaResponse, executions: Executions) -> str:
    parameters: dict[str, Any] = json.loads(self.body)
    if parameters.get("ExecutionParameters"):
        raise _invalid("ExecutionParameters are not supported by the local Athena: write literals into the query")
    group = _work_group(self.athena_backend, parameters.get("WorkGroup") or "primary")
    if group.state != "ENABLED":
        raise _invalid(f"WorkGroup {group.name} is disabled.")
    known = _known(self)
    token = parameters.get("ClientRequestToken")
    for execution in list(known.values()) if token else ():
        if execution.token == token:
            if execution.query != parameters["QueryString"]:
                raise _invalid("Idempotent parameters do not match")
            return json.dumps({"QueryExecutionId": execution.id})
    try:
        execution = executions.start(
            parameters["QueryString"],
            parameters.get("QueryExecutionContext") or {},
            group,
            (parameters.get("ResultConfiguration") or {}).get("OutputLocation"),
            signing_key(),
        )
    except InvalidQueryError as error:
        raise _invalid(str(error)) from error
    except DeniedError as error:
        raise JsonRESTError("AccessDeniedException", str(error)) from error
    execution.token = token
    _forget_old(known, execution.submitted)
    known[execution.id] = execution
    return json.dumps({"QueryExecutionId": execution.id})


def _forget_old(known: dict[str, QueryExecution], now: datetime) -> None:
    """Athena keeps the history of queries for 45 days."""
    for identifier, execution in list(known.items()):
        if now - execution.submitted <= _HISTORY:
            return
        known.pop(identifier).forget()


def _get_query_execution(self: AthenaResponse) -> str:
    return json.dumps({"QueryExecution": _execution(self).describe()})


def _batch_get_query_execution(self: AthenaResponse) -> str:
    known = _known(self)
    asked = self._get_param("QueryExecutionIds")
    unprocessed = [
        {"QueryExecutionId": identifier, "ErrorCode": "INVALID_INPUT", "ErrorMessage": "was not found"}
        for identifier in asked
        if identifier not in known
    ]
    found = [known[identifier].describe() for identifier in asked if identifier in known]
    return json.dumps({"QueryExecutions": found, "UnprocessedQueryExecutionIds": unprocessed})


def _get_query_results(self: AthenaResponse) -> str:
    execution = _execution(self)
    if execution.status == "FAILED":
        raise _invalid(f"Query did not finish successfully. Final query state: {execution.status}")
    if execution.status != "SUCCEEDED":
        raise _invalid(f"Query has not yet finished. Current state: {execution.status}")
    limit = self._get_param("MaxResults")
    if limit is not None and not 1 <= int(limit) <= 1000:
        raise _invalid("MaxResults is more than maximum allowed length 1000.")
    return json.dumps(execution.results(self._get_param("NextToken"), int(limit) if limit else None))


def _get_work_group(self: AthenaResponse) -> str:
    name = self._get_param("WorkGroup")
    _work_group(self.athena_backend, name)
    return json.dumps({"WorkGroup": self.athena_backend.get_work_group(name)})


def _delete_work_group(self: AthenaResponse) -> str:
    name = self._get_param("WorkGroup")
    _work_group(self.athena_backend, name)
    known = _known(self)
    own = [identifier for identifier, execution in known.items() if execution.workgroup.name == name]
    if own and not self._get_param("RecursiveDeleteOption"):
        raise _invalid(f"WorkGroup {name} is not empty")
    for identifier in own:
        known.pop(identifier).forget()
    self.athena_backend.delete_work_group(name)
    return "{}"


def _update_work_group(self: AthenaResponse) -> str:
    parameters: dict[str, Any] = json.loads(self.body)
    group = _work_group(self.athena_backend, parameters["WorkGroup"])
    updates = parameters.get("ConfigurationUpdates") or {}
    unknown = sorted(set(updates) - set(_UPDATES) - {"ResultConfigurationUpdates", "RemoveBytesScannedCutoffPerQuery"})
    if unknown:
        raise _invalid(f"{unknown[0]} can not be updated in the local Athena")
    for name in _UPDATES:
        if name in updates:
            group.configuration[name] = updates[name]
    if updates.get("RemoveBytesScannedCutoffPerQuery"):
        group.configuration.pop("BytesScannedCutoffPerQuery", None)
    if "ResultConfigurationUpdates" in updates:
        results = dict(group.configuration.get("ResultConfiguration") or {})
        for name, value in updates["ResultConfigurationUpdates"].items():
            if not name.startswith("Remove"):
                results[name] = value
            elif value:
                results.pop(name.removeprefix("Remove"), None)
        group.configuration["ResultConfiguration"] = results
    if "Description" in parameters:
        group.description = parameters["Description"]
    if "State" in parameters:
        group.state = parameters["State"]
    return "{}"
