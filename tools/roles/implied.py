"""What services call under a role without being asked, each with its source in AWS's documentation.

Most of it no local cloud carries out (images, log deliveries, traces, Lake Formation), so nothing of a test run shows
that it is needed: a role is held against this list instead, by evaluating its policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tools.roles.statements import RoleStatement

GUIDE = "https://docs.aws.amazon.com/"

LAKE = "<StorageLake>"
GLUE = "arn:aws:glue:<region>:<account>:"
ASSETS = "arn:aws:s3:::cdk-hnb659fds-assets-<account>-<region>"
QUERIES = ("Functions/Snapshot", "Functions/Monitor", "Functions/Probe", "Functions/Rollout")
ASKS_ATHENA = "athena:StartQueryExecution"
JOBS = "Pipeline/Jobs/*"
ENDPOINT = "Endpoint"
MACHINES = ("Pipeline", "Probes")
STREAMS = "Capture/*"


@dataclass(frozen=True)
class Need:
    """Actions on a resource, in the spelling of :mod:`tools.roles.statements`; ``context`` has condition keys."""

    actions: tuple[str, ...]
    resource: str = "*"
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Implied:
    """What one service calls under roles.

    Attributes
    ----------
    service, when : str
        Who calls, and on which occasion.
    roles : tuple of str
        Patterns of the roles that it does so under.
    source : str
        The page of AWS's documentation that says so.
    occasion : str
        The action of the role's own that leads to it: a role that may not do that gives no occasion. Empty for any.
    """

    service: str
    when: str
    roles: tuple[str, ...]
    needs: tuple[Need, ...]
    source: str
    occasion: str = ""

    def is_of(self, role: str) -> bool:
        """Whether it is called under ``role``."""
        return any(fnmatchcase(role, pattern) for pattern in self.roles)


def _table(name: str) -> str:
    return f"{GLUE}table/everloop/<model>_{name}"


IMPLIED: tuple[Implied, ...] = (
    Implied(
        "Lambda",
        "writes the function's log",
        ("Functions/*",),
        (Need(("logs:CreateLogStream", "logs:PutLogEvents"), "<logs of the function>"),),
        GUIDE + "lambda/latest/dg/monitoring-cloudwatchlogs.html",
    ),
    Implied(
        "Lambda",
        "sends traces, as tracing is active",
        ("Functions/*",),
        (Need(("xray:PutTraceSegments", "xray:PutTelemetryRecords")),),
        GUIDE + "lambda/latest/dg/services-xray.html",
    ),
    Implied(
        "Lambda",
        "keeps an event that failed, of a function that is started by events",
        ("Functions/Rollout", "Functions/Monitor", "Functions/Starter"),
        (Need(("sqs:SendMessage",), "<DeadLettersQueue>"),),
        GUIDE + "lambda/latest/dg/invocation-async-retain-records.html",
    ),
    Implied(
        "Athena",
        "reads the catalogue for a query; the database `default` whatever the query names",
        QUERIES,
        (
            Need(("glue:GetDatabase",), f"{GLUE}database/default"),
            Need(("glue:GetDatabase",), f"{GLUE}catalog"),
            Need(("glue:GetDatabase",), f"{GLUE}database/everloop"),
            *(
                Need(("glue:GetTable", "glue:GetPartitions"), resource)
                for resource in (
                    f"{GLUE}catalog",
                    f"{GLUE}database/everloop",
                    *map(_table, ("history", "predictions", "labels")),
                )
            ),
        ),
        GUIDE + "athena/latest/ug/fine-grained-access-to-glue-resources.html",
        ASKS_ATHENA,
    ),
    Implied(
        "Athena",
        "reads the tables' objects and writes the answer, as the caller",
        QUERIES,
        (
            Need(("s3:GetBucketLocation",), LAKE),
            *(
                Need(("s3:ListBucket",), LAKE, {"s3:prefix": f"{kind}/model=<model>/"})
                for kind in ("history", "predictions", "labels")
            ),
            *(
                Need(("s3:GetObject",), f"{LAKE}/{kind}/model=<model>/part.parquet")
                for kind in ("history", "predictions", "labels")
            ),
            Need(("s3:ListBucket",), LAKE, {"s3:prefix": "athena-results/"}),
            Need(
                ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
                f"{LAKE}/athena-results/query.csv",
            ),
        ),
        GUIDE + "athena/latest/ug/s3-permissions.html",
        ASKS_ATHENA,
    ),
    Implied(
        "Athena",
        "asks Lake Formation for the data, where it governs the lake",
        QUERIES,
        (Need(("lakeformation:GetDataAccess",)),),
        GUIDE + "lake-formation/latest/dg/permissions-reference.html",
        ASKS_ATHENA,
    ),
    Implied(
        "SageMaker",
        "pulls a job's image",
        (JOBS,),
        (
            Need(("ecr:GetAuthorizationToken",)),
            Need(
                ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
                "arn:aws:ecr:<region>:<Registry>:repository/<Repository>",
            ),
        ),
        GUIDE + "sagemaker/latest/dg/sagemaker-roles.html",
    ),
    Implied(
        "SageMaker",
        "writes a job's log and its measures of the instance",
        (JOBS,),
        (
            Need(
                ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                "arn:aws:logs:<region>:<account>:log-group:/aws/sagemaker/<kind>Jobs:log-stream:job",
            ),
            Need(("cloudwatch:PutMetricData",), "*", {"cloudwatch:namespace": "/aws/sagemaker/<kind>Jobs"}),
        ),
        GUIDE + "sagemaker/latest/dg/sagemaker-roles.html",
    ),
    Implied(
        "SageMaker",
        "downloads a job's code",
        (JOBS,),
        (
            Need(("s3:GetObject",), f"{ASSETS}/<code>.gz"),
            Need(("s3:ListBucket",), ASSETS, {"s3:prefix": "<code>.gz"}),
        ),
        GUIDE + "sagemaker/latest/dg/sagemaker-roles.html",
    ),
    Implied(
        "SageMaker",
        "pulls an endpoint's image",
        (ENDPOINT,),
        (
            Need(("ecr:GetAuthorizationToken",)),
            Need(
                ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
                "arn:aws:ecr:us-east-1:123456789012:repository/everloop-serve",
            ),
        ),
        GUIDE + "sagemaker/latest/dg/sagemaker-roles.html",
    ),
    Implied(
        "SageMaker",
        "writes the logs of an endpoint's containers and the measures of their instances",
        (ENDPOINT,),
        (
            Need(
                ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                "arn:aws:logs:<region>:<account>:log-group:/aws/sagemaker/Endpoints/everloop-<model>:log-stream:one",
            ),
            Need(("cloudwatch:PutMetricData",), "*", {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}),
        ),
        GUIDE + "sagemaker/latest/dg/sagemaker-roles.html",
    ),
    Implied(
        "Step Functions",
        "tags a job that it waits for (`MANAGED_BY_AWS`), and asks for its tags",
        MACHINES,
        (Need(("sagemaker:AddTags", "sagemaker:ListTags"), "<job of the machine>"),),
        "https://github.com/aws/aws-cdk/issues/26012",
    ),
    Implied(
        "Step Functions",
        "learns of a job's end by a rule that it makes itself (`.sync`)",
        MACHINES,
        (
            Need(
                ("events:PutTargets", "events:PutRule", "events:DescribeRule"),
                "arn:aws:events:<region>:<account>:rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule",
            ),
        ),
        GUIDE + "step-functions/latest/dg/service-integration-iam-templates.html",
    ),
    Implied(
        "Step Functions",
        "stops a job whose execution ends before it",
        MACHINES,
        (Need(("sagemaker:StopProcessingJob",), "<job of the machine>"),),
        GUIDE + "step-functions/latest/dg/connect-sagemaker.html",
    ),
    Implied(
        "Step Functions",
        "stops a training whose execution ends before it",
        ("Pipeline",),
        (
            Need(
                ("sagemaker:StopTrainingJob",),
                "arn:aws:sagemaker:<region>:<account>:training-job/everloop-<model>-train-1",
            ),
        ),
        GUIDE + "step-functions/latest/dg/connect-sagemaker.html",
    ),
    Implied(
        "Step Functions",
        "has its executions logged",
        MACHINES,
        (
            Need(
                (
                    "logs:CreateLogDelivery",
                    "logs:GetLogDelivery",
                    "logs:UpdateLogDelivery",
                    "logs:DeleteLogDelivery",
                    "logs:ListLogDeliveries",
                    "logs:PutResourcePolicy",
                    "logs:DescribeResourcePolicies",
                    "logs:DescribeLogGroups",
                )
            ),
        ),
        GUIDE + "step-functions/latest/dg/cw-logs.html",
    ),
    Implied(
        "Step Functions",
        "traces its executions",
        MACHINES,
        (
            Need(
                (
                    "xray:PutTraceSegments",
                    "xray:PutTelemetryRecords",
                    "xray:GetSamplingRules",
                    "xray:GetSamplingTargets",
                )
            ),
        ),
        GUIDE + "step-functions/latest/dg/concepts-xray-tracing.html",
    ),
    Implied(
        "Firehose",
        "delivers to the lake",
        (STREAMS,),
        (
            Need(("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"), LAKE),
            Need(("s3:ListBucket",), LAKE, {"s3:prefix": "<kind>/model=<model>/"}),
            Need(("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"), f"{LAKE}/<kind>/model=<model>/a.parquet"),
            Need(
                ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
                f"{LAKE}/errors/<kind>/model=<model>/a.json",
            ),
        ),
        GUIDE + "firehose/latest/dev/controlling-access.html",
    ),
    Implied(
        "Firehose",
        "reads the table whose columns it converts to",
        (STREAMS,),
        (
            Need(
                ("glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"),
                f"{GLUE}table/everloop/<model>_<kind>",
            ),
        ),
        GUIDE + "firehose/latest/dev/controlling-access.html",
    ),
    Implied(
        "Firehose",
        "logs what it could not deliver",
        (STREAMS,),
        (Need(("logs:PutLogEvents",), "<logs of the stream>"),),
        GUIDE + "firehose/latest/dev/controlling-access.html",
    ),
    Implied(
        "EventBridge Scheduler",
        "starts the monitor, and keeps an event that it could not deliver",
        ("Monitor/ScheduleRole",),
        (
            Need(("lambda:InvokeFunction",), "<FunctionsMonitorFunction>"),
            Need(("sqs:SendMessage",), "<DeadLettersQueue>"),
        ),
        GUIDE + "scheduler/latest/UserGuide/setting-up.html",
    ),
    Implied(
        "EventBridge Scheduler",
        "starts a reconciliation, and keeps an event that it could not deliver",
        ("Reconciliation/ScheduleRole",),
        (
            Need(("lambda:InvokeFunction",), "<FunctionsRolloutFunction>"),
            Need(("sqs:SendMessage",), "<DeadLettersQueue>"),
        ),
        GUIDE + "scheduler/latest/UserGuide/setting-up.html",
    ),
    Implied(
        "DynamoDB",
        "decides a transaction part by part",
        ("Functions/Registry",),
        (
            Need(
                ("dynamodb:PutItem", "dynamodb:ConditionCheckItem"),
                "<RegistryTable>",
                {"dynamodb:LeadingKeys": "MODEL#<model>"},
            ),
        ),
        GUIDE + "amazondynamodb/latest/developerguide/transaction-apis-iam.html",
    ),
    Implied(
        "S3",
        "tells that there is no object (404) only whoever may list it; others get 403",
        ("Functions/Gate", "Functions/Register"),
        (Need(("s3:ListBucket",), LAKE, {"s3:prefix": "runs/<model>/run/"}),),
        GUIDE + "AmazonS3/latest/API/API_GetObject.html",
    ),
)


def concrete(need: Need, role: str) -> Need:
    """The need as it is of one role: its own logs, kind of job, and kind of record."""
    part = role.rsplit("/", 1)[-1]
    kind = {"Predictions": "predictions", "Labels": "labels"}.get(part)
    if kind is None:
        kind = "Training" if part in ("Train", "Refit") else "Processing"
    filled = {
        "<kind>": kind,
        "<logs of the function>": f"<Functions{part}Logs>",
        "<logs of the stream>": f"<Capture{part}Logs>",
        "<job of the machine>": "arn:aws:sagemaker:<region>:<account>:processing-job/everloop-<model>-probe-1",
    }

    def fill(text: str) -> str:
        for name, value in filled.items():
            text = text.replace(name, value)
        return text

    return Need(need.actions, fill(need.resource), {key: fill(value) for key, value in need.context.items()})


def implied_actions(statement: RoleStatement) -> dict[str, Implied]:
    """Which of the statement's actions a service calls by itself."""
    return {
        action: one
        for one in IMPLIED
        if one.is_of(statement.role)
        for need in one.needs
        for action in need.actions
        if action in statement.actions
    }
