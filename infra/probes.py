"""The state machine of a model's fresh probes."""

from __future__ import annotations

import json

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.exceptions import SynthesisError
from everloop.infra.grants import Grant, give
from everloop.infra.permissions import ModelPermissions
from everloop.infra.pipeline import Pipeline
from everloop.infra.platform_reference import Platform
from everloop.infra.probe_definition import probe_definition
from everloop.model_file.schema import Investment, ModelDeclaration
from everloop.names import ModelNames


class Probes(Construct):
    """Measures what waiting to retrain costs: prepare, a job where training runs, record.

    It is a machine of its own beside the pipeline, which has one run at a time: a probe takes none of a training's
    quota, and never waits for a canary.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        declaration: ModelDeclaration,
        investment: Investment,
        platform: Platform,
        pipeline: Pipeline,
        function: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        names = ModelNames(declaration.model)
        job_role = pipeline.jobs.probe
        if job_role is None:
            raise SynthesisError(f"{declaration.model}: its pipeline has no role for a probe's job")
        role = self._role(ModelPermissions(Stack.of(self), platform, names), function, job_role)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{names.probe_machine}",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        text = json.dumps(probe_definition(declaration, investment), indent=1)
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=names.probe_machine,
            state_machine_type=sfn.StateMachineType.STANDARD,
            # The partition is not substituted but joined in, where linters can follow it.
            definition_body=sfn.DefinitionBody.from_string(text.replace("${Partition}", Aws.PARTITION)),
            definition_substitutions={
                "Image": pipeline.images.find_in_map(Aws.REGION, "Image"),
                "JobPrefix": names.job_prefix,
                "ProbeFunction": function.function_arn,
                "ProbeRole": job_role.role_arn,
                "SourceUri": pipeline.source.s3_object_url,
            },
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
        )

    def _role(self, permissions: ModelPermissions, function: lambda_.IFunction, job_role: iam.IRole) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        jobs = permissions.arn("sagemaker", f"processing-job/{permissions.names.job_prefix}probe-*")
        why = "The model's jobs are called after its executions."
        actions = tuple(f"sagemaker:{verb}ProcessingJob" for verb in ("Create", "Describe", "Stop"))
        rule = permissions.arn("events", "rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule")
        grants = [
            Grant(("lambda:InvokeFunction",), (function.function_arn,)),
            Grant(actions, (jobs,), why),
            Grant(("sagemaker:AddTags", "sagemaker:ListTags"), (jobs,), why),
            Grant(
                ("iam:PassRole",),
                (job_role.role_arn,),
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            # Step Functions learns of a job's end by a rule that it keeps itself.
            Grant(("events:PutTargets", "events:PutRule", "events:DescribeRule"), (rule,)),
        ]
        give(role, grants, permissions.platform.exports)
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            reason="Neither X-Ray nor log delivery has resource-level permissions; see the Step Functions guide.",
        )
        return role
