"""The training pipeline of a model: its state machine, the jobs' source and roles."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aws_cdk import AssetHashType, Aws, CfnMapping, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.container_image import images_by_region
from everloop.infra.function_catalogue import PIPELINE_FUNCTIONS
from everloop.infra.grants import Grant, give
from everloop.infra.job_roles import JobRoles
from everloop.infra.packaging.files import Contents, digest, write_tar_gz
from everloop.infra.packaging.training_source import training_source
from everloop.infra.permissions import ModelPermissions
from everloop.infra.pipeline_definition import pipeline_definition, refits
from everloop.infra.platform_reference import Platform
from everloop.infra.regions import deployable_regions
from everloop.infra.settings import DeclaredModel, Settings
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ModelNames
from everloop.recalibration.declared import judged_scores


class Pipeline(Construct):
    """One state machine per model; every trigger starts the same one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: DeclaredModel,
        settings: Settings,
        platform: Platform,
        functions: Mapping[str, lambda_.IFunction],
    ) -> None:
        super().__init__(scope, construct_id)
        declaration = model.declaration
        names = ModelNames(declaration.model)
        self._names = names
        contents = training_source(model.folder, model.document)
        source = self._asset(contents)
        known = images_by_region()
        images = CfnMapping(self, "Images", mapping={region: dict(known[region]) for region in deployable_regions()})
        permissions = ModelPermissions(Stack.of(self), platform, names)
        jobs = JobRoles(
            self,
            "Jobs",
            permissions=permissions,
            source=source,
            images=images,
            refit=refits(declaration),
            tuned=declaration.training.tuning is not None,
            warm=declaration.training.warm_start is not None,
            spot=declaration.training.spot is not None,
            probe=declaration.retraining.investment is not None,
            as_served=judged_scores(declaration) == "served",
        )
        self.source, self.images, self.jobs = source, images, jobs
        used = {name: functions[name] for name in PIPELINE_FUNCTIONS}
        role = self._role(permissions, list(used.values()), jobs)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{names.state_machine}",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=names.state_machine,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(_text(declaration)),
            definition_substitutions={
                **{f"{name.capitalize()}Function": f.function_arn for name, f in used.items()},
                "EvaluateRole": jobs.evaluate.role_arn,
                "Image": images.find_in_map(Aws.REGION, "Image"),
                "JobPrefix": names.job_prefix,
                "Region": Aws.REGION,
                "RunsUri": f"s3://{platform.lake.bucket_name}/{names.runs_prefix}",
                "SourceUri": source.s3_object_url,
                **({"Table": platform.table.table_name} if judged_scores(declaration) == "served" else {}),
                "TrainRole": jobs.train.role_arn,
                **self._refit_substitutions(jobs),
            },
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
        )

    def _refit_substitutions(self, jobs: JobRoles) -> dict[str, str]:
        if jobs.refit is None or jobs.check_refit is None:
            return {}
        return {
            "CheckRefitRole": jobs.check_refit.role_arn,
            "RefitPrefix": self._names.refit_prefix,
            "RefitRole": jobs.refit.role_arn,
        }

    def _asset(self, contents: Contents) -> s3_assets.Asset:
        with tempfile.TemporaryDirectory() as scratch:
            archive = write_tar_gz(contents, Path(scratch) / "sourcedir.tar.gz")
            # zlib differs from one Python to another, and packs the same files into other bytes.
            return s3_assets.Asset(
                self,
                "Source",
                path=str(archive),
                asset_hash=digest(contents),
                asset_hash_type=AssetHashType.CUSTOM,
            )

    def _role(self, permissions: ModelPermissions, functions: list[lambda_.IFunction], jobs: JobRoles) -> iam.Role:
        """The machine's own role. The CDK has no task for processing jobs, so its policy is written here."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        names = permissions.names
        prefixes = [names.job_prefix, *([names.refit_prefix] if jobs.refit is not None else [])]
        training = tuple(permissions.arn("sagemaker", f"training-job/{prefix}*") for prefix in prefixes)
        processing = tuple(permissions.arn("sagemaker", f"processing-job/{prefix}*") for prefix in prefixes)
        why = "The model's jobs are called after its executions."
        rules = [
            permissions.arn("events", f"rule/StepFunctionsGetEventsForSageMaker{kind}JobsRule")
            for kind in ("Training", "Processing")
        ]
        grants = [
            Grant(("lambda:InvokeFunction",), tuple(f.function_arn for f in functions)),
            Grant(_job_actions("TrainingJob"), training, why),
            Grant(_job_actions("ProcessingJob"), processing, why),
            Grant(("sagemaker:AddTags", "sagemaker:ListTags"), (*training, *processing), why),
            Grant(
                ("iam:PassRole",),
                tuple(role.role_arn for role in jobs.all),
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            # Step Functions learns of a job's end by rules that it keeps itself, one for each kind of job.
            Grant(("events:PutTargets", "events:PutRule", "events:DescribeRule"), tuple(rules)),
        ]
        give(role, grants, permissions.platform.exports)
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            reason="Neither X-Ray nor log delivery has resource-level permissions; see the Step Functions guide.",
        )
        return role


def _text(declaration: ModelDeclaration) -> str:
    """The definition as JSON. The partition is not substituted but joined in, where linters can follow it."""
    text = json.dumps(pipeline_definition(declaration), indent=1)
    return text.replace("${Partition}", Aws.PARTITION)


def _job_actions(kind: str) -> tuple[str, ...]:
    return (f"sagemaker:Create{kind}", f"sagemaker:Describe{kind}", f"sagemaker:Stop{kind}")
