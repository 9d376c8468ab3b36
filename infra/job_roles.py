"""The roles of the training and the evaluation job."""

from __future__ import annotations

from aws_cdk import Aws, CfnMapping, Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.grants import Grant, give
from infra.permissions import ModelPermissions

IMAGE = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOG = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
READ = ("s3:GetObject",)
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")


class JobRoles(Construct):
    """What the two SageMaker jobs may do: read their inputs, write their own results, log.

    They have a role each. Evaluation alone may read registered artifacts, and the locked test split, labels included;
    training gets the test rows without their labels. Training runs the user's code, and can't write where the
    evaluation's results lie, which the gate reads.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        permissions: ModelPermissions,
        source: s3_assets.Asset,
        images: CfnMapping,
    ) -> None:
        super().__init__(scope, construct_id)
        self._permissions, self._source, self._images = permissions, source, images
        names, artifacts = permissions.names, permissions.platform.artifacts
        datasets = names.datasets_prefix
        trained, evaluated = f"{names.runs_prefix}*/train/", f"{names.runs_prefix}*/evaluation/"
        train = [
            permissions.lake_objects(READ, f"{datasets}*/train/", f"{datasets}*/test_features/"),
            permissions.lake_objects(WRITE, trained),
        ]
        listed = {"StringLike": {"s3:prefix": [f"{names.artifacts_prefix}*"]}}
        evaluate = [
            permissions.lake_objects(READ, datasets, trained),
            permissions.lake_objects(WRITE, evaluated),
            permissions.artifact_objects(READ),
            Grant(("s3:ListBucket",), (artifacts.bucket_arn,), conditions=listed),
        ]
        self.train = self._role("Train", "TrainingJobs", train)
        self.evaluate = self._role("Evaluate", "ProcessingJobs", evaluate)

    def _role(self, construct_id: str, log_group: str, inputs: list[Grant]) -> iam.Role:
        permissions = self._permissions
        names, lake = permissions.names, permissions.platform.lake
        role = iam.Role(self, construct_id, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        logs = permissions.arn("logs", f"log-group:/aws/sagemaker/{log_group}:*")
        namespaces = {"StringEquals": {"cloudwatch:namespace": f"/aws/sagemaker/{log_group}"}}
        grants = [
            *inputs,
            permissions.list_lake(names.datasets_prefix, names.runs_prefix),
            Grant(("s3:GetBucketLocation",), (lake.bucket_arn,)),
            *self._reads_source(),
            Grant(LOG, (logs,), "SageMaker's jobs log to a stream each in one group, which is theirs to make."),
            Grant(IMAGE, (self._repository(),)),
            Grant(("ecr:GetAuthorizationToken",), ("*",), "A registry's token is not for one repository; reads only."),
            Grant(
                ("cloudwatch:PutMetricData",),
                ("*",),
                "CloudWatch knows no resources for writing metrics; the namespace is held by a condition.",
                namespaces,
            ),
        ]
        give(role, grants, permissions.platform.exports)
        return role

    def _reads_source(self) -> list[Grant]:
        """The one object of the deployment's asset bucket that holds the code."""
        bucket, key = self._source.bucket, self._source.s3_object_key
        return [
            Grant(READ, (bucket.arn_for_objects(key),)),
            Grant(("s3:ListBucket",), (bucket.bucket_arn,), conditions={"StringLike": {"s3:prefix": [f"{key}*"]}}),
        ]

    def _repository(self) -> str:
        find = self._images.find_in_map
        return Fn.join(
            "",
            [
                f"arn:{Aws.PARTITION}:ecr:{Aws.REGION}:",
                find(Aws.REGION, "Registry"),
                ":repository/",
                find(Aws.REGION, "Repository"),
            ],
        )
