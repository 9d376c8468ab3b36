"""Step Functions."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of, refusals

SERVICE = Service(
    package="localcloud.services.stepfunctions",
    signing_name="states",
    backend="stepfunctions",
    hooks=("hook", "limits"),
    metrics=metrics_of(
        "AWS/States",
        "ExecutionsStarted ExecutionsSucceeded ExecutionsFailed ExecutionsTimedOut ExecutionsAborted ExecutionTime",
    ),
    refused=refusals({"CreateActivity": "let the state send its task token to a queue or a function"}),
)
