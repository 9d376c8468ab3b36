"""What the CDK's own constructs would grant in the place of this project's roles, and why these have less.

The constructs are synthesized, so a new release that grants something else is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.infra.node import start_node
from tools.roles.statements import RoleStatement

STACK = "Own"


@dataclass(frozen=True)
class Less:
    """Actions that the CDK grants and this project does not, by pattern, and why."""

    actions: tuple[str, ...]
    why: str


LESS: Mapping[str, tuple[Less, ...]] = {
    "Query": (
        Less(
            (
                "glue:BatchCreatePartition",
                "glue:BatchDeletePartition",
                "glue:BatchDeleteTable",
                "glue:CreateDatabase",
                "glue:CreatePartition",
                "glue:CreateTable",
                "glue:DeleteDatabase",
                "glue:DeletePartition",
                "glue:DeleteTable",
                "glue:UpdateDatabase",
                "glue:UpdatePartition",
                "glue:UpdateTable",
            ),
            "Queries read. Tables and the database are the deployment's, and partitions are projected: none is made.",
        ),
        Less(
            ("glue:GetDatabases", "glue:GetTables"),
            "Queries name their database and tables; nothing lists what else there is.",
        ),
        Less(
            ("glue:BatchGetPartition", "glue:GetPartition"),
            "Athena computes projected partitions from the table's properties, and asks the catalogue for none.",
        ),
        Less(
            ("athena:GetDataCatalog",),
            "Queries name no other catalogue than the account's own.",
        ),
        Less(
            ("s3:CreateBucket",),
            "The bucket of results is there; the deployment made it.",
        ),
        Less(
            ("s3:ListBucketMultipartUploads",),
            "Nobody looks for unfinished uploads: a rule of the bucket ends them after a week.",
        ),
    ),
    "Train": (),
    "Invoke": (),
    "Stream": (
        Less(
            ("s3:GetBucket*", "s3:GetObject*", "s3:List*", "s3:Abort*"),
            "The actions of Firehose's guide, by name and for the stream's own prefixes; the CDK grants by wildcards.",
        ),
        Less(
            ("s3:DeleteObject*",),
            "Firehose's guide has no deletion: it writes new objects.",
        ),
        Less(
            ("s3:PutObjectLegalHold", "s3:PutObjectRetention", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
            "The lake has no object lock, and objects no tags.",
        ),
        Less(
            ("logs:CreateLogStream",),
            "The deployment makes the log stream.",
        ),
    ),
}
"""By the construct in :func:`own_actions`."""

OURS: Mapping[str, tuple[str, ...]] = {
    "Query": ("Functions/Monitor",),
    "Train": ("Pipeline",),
    "Invoke": ("Pipeline",),
    "Stream": ("Capture/Predictions",),
}
"""The roles that stand where the CDK's own would."""


def own_actions() -> dict[str, set[str]]:
    """What each construct grants, in an app with nothing else."""
    start_node()
    from aws_cdk import App, Stack
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_kinesisfirehose as firehose
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_stepfunctions as sfn
    from aws_cdk import aws_stepfunctions_tasks as tasks

    app = App()
    stack = Stack(app, STACK)
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "lake")
    job = sfn.IntegrationPattern.RUN_JOB
    query = tasks.AthenaStartQueryExecution(
        stack, "QueryTask", query_string="SELECT 1", work_group="everloop", integration_pattern=job
    )
    train = tasks.SageMakerCreateTrainingJob(
        stack,
        "TrainTask",
        training_job_name="everloop",
        algorithm_specification=tasks.AlgorithmSpecification(algorithm_name="one"),
        input_data_config=[
            tasks.Channel(
                channel_name="train",
                data_source=tasks.DataSource(
                    s3_data_source=tasks.S3DataSource(s3_location=tasks.S3Location.from_bucket(bucket, "train/"))
                ),
            )
        ],
        output_data_config=tasks.OutputDataConfig(s3_output_location=tasks.S3Location.from_bucket(bucket, "out/")),
        role=iam.Role.from_role_arn(stack, "JobRole", "arn:aws:iam::123456789012:role/job", mutable=False),
        integration_pattern=job,
    )
    function = lambda_.Function.from_function_name(stack, "Function", "everloop")
    invoke = tasks.LambdaInvoke(stack, "InvokeTask", lambda_function=function)
    for name, task in {"Query": query, "Train": train, "Invoke": invoke}.items():
        sfn.StateMachine(stack, name, definition_body=sfn.DefinitionBody.from_chainable(task))
    firehose.DeliveryStream(stack, "Stream", destination=firehose.S3Bucket(s3.Bucket(stack, "Lake")))
    template = app.synth().get_stack_by_name(STACK).template
    return {name: _actions(template, name) for name in LESS}


def unexplained(name: str, own: set[str], ours: Mapping[str, set[str]]) -> set[str]:
    """The actions that the CDK's construct grants, this project's roles do not, and no reason is given for."""
    granted = {action.lower() for role in OURS[name] for action in ours[role]}
    explained = {action.lower() for less in LESS[name] for action in less.actions}
    return {action for action in own if action.lower() not in granted | explained}


def outdated(name: str, own: set[str], ours: Mapping[str, set[str]]) -> set[str]:
    """Reasons for what the construct does not grant, or these roles do."""
    granted = {action.lower() for role in OURS[name] for action in ours[role]}
    missing = {action.lower() for action in own} - granted
    return {action for less in LESS[name] for action in less.actions if action.lower() not in missing}


def actions_by_role(statements: list[RoleStatement]) -> dict[str, set[str]]:
    """Every action of each role."""
    found: dict[str, set[str]] = {}
    for one in statements:
        found.setdefault(one.role, set()).update(one.actions)
    return found


def _actions(template: Mapping[str, Any], name: str) -> set[str]:
    found: set[str] = set()
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::IAM::Policy" and logical_id.startswith(name):
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                action = statement["Action"]
                found.update(action if isinstance(action, list) else [action])
    return found
