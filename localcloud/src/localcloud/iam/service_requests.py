"""The actions and resources of each service's requests, one small function per service; a module where it takes more.

Actions and resource types are those of the service authorization reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from localcloud.iam import lookups
from localcloud.iam.calls import Access, Call, UnclearRequestError
from localcloud.services.dynamodb.accesses import dynamodb_accesses


def _one(service: str, call: Call, *resources: str, action: str | None = None, **context: str) -> list[Access]:
    keys = {key.replace("__", ":"): (value,) for key, value in context.items()}
    return [Access(f"{service}:{action or call.action}", resources or ("*",), keys)]


def _only(call: Call, *names: str) -> str | None:
    """The one of these parameters that is there: AWS takes them as alternatives, and who acts may take another one.

    Raises
    ------
    UnclearRequestError
        When more than one of them is there.
    """
    given = [name for name in names if call.params.get(name)]
    if len(given) > 1:
        raise UnclearRequestError(f"{call.action} takes one of {' and '.join(given)}, not both")
    return call.params[given[0]] if given else None


# --- keys and parameters --------------------------------------------------------------------------------------


def _kms(call: Call) -> Iterable[Access] | None:
    key = call.params.get("KeyId")
    return _one("kms", call, lookups.kms_key_arn(call, key)) if key else None


def _ssm(call: Call) -> Iterable[Access] | None:
    params = call.params
    names = params.get("Names") or [params.get("Name") or params.get("Path") or params.get("ResourceId")]
    if not all(names) or "Document" in call.action:
        return None
    return [Access(f"ssm:{call.action}", (call.named_arn("ssm", "parameter/", name.lstrip("/")),)) for name in names]


# --- computing ------------------------------------------------------------------------------------------------


def _lambda(call: Call) -> Iterable[Access] | None:
    action = "InvokeFunction" if call.action in ("Invoke", "InvokeAsync", "InvokeWithResponseStream") else call.action
    name = call.params.get("FunctionName")
    if not name:
        return [Access(f"lambda:{action}")]
    arn = lookups.lambda_function_arn(call, name, call.params.get("Qualifier"))
    return [Access(f"lambda:{action}", (arn,))]


def _states(call: Call) -> Iterable[Access] | None:
    params = call.params
    arn = _only(call, "stateMachineArn", "executionArn", "resourceArn", "mapRunArn")
    if arn is None and params.get("taskToken"):
        arn = lookups.state_machine_of_token(call, params["taskToken"])
    if arn is None and params.get("name") and call.action == "CreateStateMachine":
        arn = call.arn("states", f"stateMachine:{params['name']}")
    return _one("states", call, arn) if arn else None


_SAGEMAKER_TYPES = {
    "TrainingJob": "training-job",
    "ProcessingJob": "processing-job",
    "TransformJob": "transform-job",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "Model": "model",
}


def _sagemaker(call: Call) -> Iterable[Access] | None:
    for name, resource_type in _SAGEMAKER_TYPES.items():
        value = call.params.get(f"{name}Name")
        if value and name in call.action:
            return _one("sagemaker", call, call.arn("sagemaker", f"{resource_type}/{value.lower()}"))
    return None


# --- messages and events --------------------------------------------------------------------------------------


def _sqs(call: Call) -> Iterable[Access] | None:
    name = (call.params.get("QueueUrl") or call.params.get("QueueName") or "").rsplit("/", 1)[-1]
    action = call.action.removesuffix("Batch")
    return _one("sqs", call, call.arn("sqs", name), action=action) if name else None


def _sns(call: Call) -> Iterable[Access] | None:
    params = call.params
    arn = _only(call, "TopicArn", "TargetArn", "SubscriptionArn", "PhoneNumber")
    if arn is None and params.get("Name"):
        arn = call.arn("sns", params["Name"])
    action = call.action.removesuffix("Batch")
    return _one("sns", call, arn, action=action) if arn else None


def _events(call: Call) -> Iterable[Access] | None:
    params = call.params
    if call.action == "PutEvents":
        return [
            Access(
                "events:PutEvents",
                (call.named_arn("events", "event-bus/", entry.get("EventBusName") or "default"),),
                {"events:source": (entry.get("Source", ""),), "events:detail-type": (entry.get("DetailType", ""),)},
            )
            for entry in params.get("Entries", [])
        ]
    bus = (params.get("EventBusName") or "default").rsplit("/", 1)[-1]
    rule = params.get("Rule") or (params.get("Name") if "Rule" in call.action else None)
    if rule:
        return _one("events", call, call.arn("events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}"))
    if params.get("Name"):
        return _one("events", call, call.named_arn("events", "event-bus/", params["Name"]))
    return None


def _scheduler(call: Call) -> Iterable[Access] | None:
    params = call.params
    name = params.get("Name")
    if name and "ScheduleGroup" not in call.action:
        group = params.get("GroupName") or params.get("groupName") or "default"  # of the body, or of the query
        return _one("scheduler", call, call.arn("scheduler", f"schedule/{group}/{name}"))
    return _one("scheduler", call, call.arn("scheduler", f"schedule-group/{name}")) if name else None


# --- lake -----------------------------------------------------------------------------------------------------


def _firehose(call: Call) -> Iterable[Access] | None:
    name = call.params.get("DeliveryStreamName")
    return _one("firehose", call, call.arn("firehose", f"deliverystream/{name}")) if name else None


def _glue(call: Call) -> Iterable[Access] | None:
    params = call.params
    catalog = call.arn("glue", "catalog")
    if "Database" in call.action and "DatabaseName" not in params:
        database = params.get("Name") or (params.get("DatabaseInput") or {}).get("Name")
        if database is None:
            return _one("glue", call, catalog)
        return [Access(f"glue:{call.action}", (arn,)) for arn in (catalog, call.arn("glue", f"database/{database}"))]
    database = params.get("DatabaseName")
    if database is None:
        return None
    of_table = {"Name": params.get("Name") if "Table" in call.action else None}
    named = {
        "TableName": params.get("TableName"),
        **of_table,
        "TableInput": (params.get("TableInput") or {}).get("Name"),
    }
    tables = {table for table in named.values() if table}
    if len(tables) > 1:
        raise UnclearRequestError(f"{call.action} names two tables, {' and '.join(sorted(tables))}; name one")
    table = tables.pop() if tables else "*"
    arns = (catalog, call.arn("glue", f"database/{database}"), call.arn("glue", f"table/{database}/{table}"))
    return [Access(f"glue:{call.action}", (arn,)) for arn in arns]


def _athena(call: Call) -> Iterable[Access] | None:
    params = call.params
    group = params.get("WorkGroup") or (params.get("Name") if "WorkGroup" in call.action else None)
    if group is None and call.action == "StartQueryExecution":
        group = "primary"
    if group is None and params.get("QueryExecutionId"):
        group = lookups.athena_workgroup(call, params["QueryExecutionId"])
    return _one("athena", call, call.arn("athena", f"workgroup/{group}")) if group else None


# --- watching -------------------------------------------------------------------------------------------------


def _logs(call: Call) -> Iterable[Access] | None:
    group = _only(call, "logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers")
    if not isinstance(group, str):
        return None
    if group.startswith("arn:"):
        group = group.removesuffix(":*").split(":log-group:", 1)[-1]
    arn = call.arn("logs", f"log-group:{group}")
    stream = call.params.get("logStreamName")
    if stream and call.action != "CreateLogStream":
        return _one("logs", call, f"{arn}:log-stream:{stream}")
    return _one("logs", call, arn, f"{arn}:*")


def _cloudwatch(call: Call) -> Iterable[Access] | None:
    namespace = call.params.get("Namespace")
    if call.action == "PutMetricData" and namespace:
        return _one("cloudwatch", call, cloudwatch__namespace=namespace)
    names = call.params.get("AlarmNames") or [call.params.get("AlarmName")]
    if "Alarm" in call.action and all(names) and call.action not in ("DescribeAlarms", "DescribeAlarmsForMetric"):
        return [Access(f"cloudwatch:{call.action}", (call.arn("cloudwatch", f"alarm:{name}"),)) for name in names]
    return None


# --- identities and APIs --------------------------------------------------------------------------------------


def _iam(call: Call) -> Iterable[Access] | None:
    if call.params.get("RoleName"):
        return _one("iam", call, lookups.role_arn(call, call.params["RoleName"]))
    if call.params.get("PolicyArn"):
        return _one("iam", call, call.params["PolicyArn"])
    return None


def _sts(call: Call) -> Iterable[Access] | None:
    return _one("sts", call, call.params["RoleArn"]) if call.params.get("RoleArn") else None


def _apigateway(call: Call) -> Iterable[Access] | None:
    path = call.path.removeprefix("/v2")
    return [Access(f"apigateway:{call.method}", (f"arn:aws:apigateway:{call.region}::{path}",))]


SERVICES: dict[str, Callable[[Call], Iterable[Access] | None]] = {
    "apigateway": _apigateway,
    "athena": _athena,
    "cloudwatch": _cloudwatch,
    "dynamodb": dynamodb_accesses,
    "events": _events,
    "firehose": _firehose,
    "glue": _glue,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "sagemaker": _sagemaker,
    "scheduler": _scheduler,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "states": _states,
    "sts": _sts,
}
