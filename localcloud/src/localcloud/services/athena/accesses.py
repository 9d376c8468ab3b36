"""What requests to Athena need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from moto.athena.models import athena_backends

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    group = params.get("WorkGroup") or (params.get("Name") if "WorkGroup" in call.action else None)
    if group is None and call.action == "StartQueryExecution":
        group = "primary"
    if group is None and params.get("QueryExecutionId"):
        group = _athena_workgroup(call, params["QueryExecutionId"])
    return one("athena", call, call.arn("athena", f"workgroup/{group}")) if group else None


def _athena_workgroup(call: Call, query_execution_id: str) -> str | None:
    """The workgroup a query ran in."""
    execution = athena_backends[call.account][call.region].executions.get(query_execution_id)
    group = getattr(execution, "workgroup", None)
    return getattr(group, "name", group)
