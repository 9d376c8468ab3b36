"""The roles of the jobs: training and evaluation, those of a refit, and that of fresh probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, CfnMapping, Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from everloop.infra.grants import Grant, give
from everloop.infra.permissions import ModelPermissions
from everloop.manifest import ESTIMATOR
from everloop.names import PROCESSING_JOB_LOGS, TRAINING_JOB_LOGS

_IMAGE = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOG = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")


def run_image(repository: str, namespace: str) -> list[Grant]:
    """What SageMaker does under a role to run a container: pull its image, and write its metrics to a namespace."""
    return [
        Grant(_IMAGE, (repository,)),
        Grant(
            ("ecr:GetAuthorizationToken",), ("*",), "A registry token is not limited to one repository; it only reads."
        ),
        Grant(
            ("cloudwatch:PutMetricData",),
            ("*",),
            "CloudWatch has no resource-level permissions for writing metrics; a condition restricts the namespace.",
            {"StringEquals": {"cloudwatch:namespace": namespace}},
        ),
    ]


READ = ("s3:GetObject",)
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")


class JobRoles(Construct):
    """What the SageMaker jobs may do: read their inputs, write their own results, log.

    They have a role each. Training gets the test rows without their labels; evaluation alone may read registered
    artifacts, and the locked test split with its labels; where it compares scores as they are served, it reads the
    monitoring windows as well. Training runs the user's code, and can't write where the
    evaluation's results lie, which the gate reads. A refit, which follows the gate's verdict, is the one training that
    may read the test labels. It runs the user's code too, and writes where no verdict is read; its check has a role of
    its own as well. So has a fresh probe's job, which runs the user's code and reads labels: what it writes can ask for
    a training, and decides nothing about its candidate. Where trainings may continue a version, their roles read kept
    estimators, and no other file of a version.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        permissions: ModelPermissions,
        source: s3_assets.Asset,
        images: CfnMapping,
        refit: bool,
        tuned: bool,
        warm: bool,
        probe: bool,
        spot: bool,
        as_served: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._permissions, self._source, self._images = permissions, source, images
        names, artifacts = permissions.names, permissions.platform.artifacts
        datasets = names.datasets_prefix
        trained, evaluated = f"{names.runs_prefix}*/train/", f"{names.runs_prefix}*/evaluation/"
        train = [
            permissions.lake_objects(READ, f"{datasets}*/train/", f"{datasets}*/test_features/"),
            permissions.lake_objects(WRITE, trained),
            *self._kept_estimators(warm),
            *self._checkpoints("training", spot),
        ]
        listed = {"StringLike": {"s3:prefix": [f"{names.artifacts_prefix}*"]}}
        evaluate = [
            permissions.lake_objects(READ, datasets, trained),
            permissions.lake_objects(WRITE, evaluated),
            permissions.artifact_objects(READ),
            Grant(("s3:ListBucket",), (artifacts.bucket_arn,), conditions=listed),
            *([permissions.read_windows()] if as_served else []),
        ]
        self.train = self._role("Train", TRAINING_JOB_LOGS, train)
        self.evaluate = self._role("Evaluate", PROCESSING_JOB_LOGS, evaluate)
        self.refit: iam.Role | None = None
        self.check_refit: iam.Role | None = None
        if refit:
            self.refit, self.check_refit = self._refit_roles(
                evaluated, trained if tuned else None, warm=warm, spot=spot
            )
        self.probe = self._probe_role(listed) if probe else None

    @property
    def all(self) -> list[iam.Role]:
        """Every role of the pipeline's jobs that there is."""
        return [role for role in (self.train, self.evaluate, self.refit, self.check_refit) if role is not None]

    def _kept_estimators(self, warm: bool) -> list[Grant]:
        """Read the one file of a version that only a training may read, where trainings may continue one."""
        if not warm:
            return []
        permissions = self._permissions
        bucket, kept = permissions.platform.artifacts, f"{permissions.names.artifacts_prefix}*/{ESTIMATOR}"
        return [
            Grant(READ, (bucket.arn_for_objects(kept),), "The kept estimator of whichever version serves."),
            Grant(("s3:ListBucket",), (bucket.bucket_arn,), conditions={"StringLike": {"s3:prefix": [kept]}}),
        ]

    def _checkpoints(self, job: str, spot: bool) -> list[Grant]:
        """Read and write what a job's own earlier starts kept, where it may be interrupted."""
        kept = f"{self._permissions.names.runs_prefix}*/checkpoints_{job}/"
        return [self._permissions.lake_objects((*READ, *WRITE), kept)] if spot else []

    def _refit_roles(self, evaluated: str, tuned: str | None, *, warm: bool, spot: bool) -> tuple[iam.Role, iam.Role]:
        """``tuned`` is where the trainings stand whose parameters a refit takes."""
        permissions, names = self._permissions, self._permissions.names
        datasets = names.datasets_prefix
        trained, checked = f"{names.runs_prefix}*/refit/", f"{names.runs_prefix}*/refit_check/"
        refit = [
            permissions.lake_objects(READ, f"{datasets}*/train/", f"{datasets}*/test/", *([tuned] if tuned else [])),
            permissions.lake_objects(WRITE, trained),
            *self._kept_estimators(warm),
            *self._checkpoints("refit", spot),
        ]
        check = [
            permissions.lake_objects(READ, f"{datasets}*/test/", trained, evaluated),
            permissions.lake_objects(WRITE, checked),
        ]
        return self._role("Refit", TRAINING_JOB_LOGS, refit), self._role("CheckRefit", PROCESSING_JOB_LOGS, check)

    def _probe_role(self, versions: Mapping[str, Any]) -> iam.Role:
        permissions, probes = self._permissions, self._permissions.names.probes_prefix
        grants = [
            permissions.lake_objects(READ, probes),
            permissions.lake_objects(WRITE, f"{probes}*/result/"),
            permissions.artifact_objects(READ),
            Grant(("s3:ListBucket",), (permissions.platform.artifacts.bucket_arn,), conditions=versions),
        ]
        return self._role("Probe", PROCESSING_JOB_LOGS, grants, listed=(probes,))

    def _role(
        self, construct_id: str, log_group: str, inputs: list[Grant], *, listed: tuple[str, ...] = ()
    ) -> iam.Role:
        """A job's role; it may list ``listed`` in the lake, or where the pipeline's datasets and runs stand."""
        permissions = self._permissions
        names, lake = permissions.names, permissions.platform.lake
        role = iam.Role(self, construct_id, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        logs = permissions.arn("logs", f"log-group:{log_group}:*")
        grants = [
            *inputs,
            permissions.list_lake(*(listed or (names.datasets_prefix, names.runs_prefix))),
            Grant(("s3:GetBucketLocation",), (lake.bucket_arn,)),
            *self._reads_source(),
            Grant(LOG, (logs,), "SageMaker's jobs log to a stream each in one group, which they create."),
            *run_image(self._repository(), log_group),
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
