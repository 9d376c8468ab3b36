"""What is kept: the registry's table, the lake, the artifacts, and who read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.settings import AuditLock
from everloop.names import (
    ARCHIVED_AFTER_DAYS,
    ATHENA_RESULTS_PREFIX,
    BY_SNAPSHOT,
    BY_STATE,
    DATASETS_PREFIX,
    ERRORS_PREFIX,
    UNLOADED_PREFIX,
)

ARTIFACT_LOCK = Duration.days(365)
"""How long an artifact can't be overwritten or deleted; a special permission lifts it (governance mode)."""

FORMER = Duration.days(30)
"""How long rows and results of jobs can be brought back that were written over or deleted."""

_ROWS_AND_RESULTS = ("history", "predictions", "labels", "runs", "probes")

AUDIT_LOCK = Duration.days(7 * 365)
"""How long an audit record can't be deleted: longer than most rules want records of decisions kept."""

_STRING = dynamodb.AttributeType.STRING


class RegistryTable(Construct):
    """The one table: versions, runs, snapshots, champion pointers, the audit chain."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=_STRING),
            sort_key=dynamodb.Attribute(name="sk", type=_STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._index(BY_STATE, "state_pk", "state_sk")
        self._index(BY_SNAPSHOT, "snapshot_pk", "snapshot_sk")

    def _index(self, name: str, partition: str, sort: str) -> None:
        self.table.add_global_secondary_index(
            index_name=name,
            partition_key=dynamodb.Attribute(name=partition, type=_STRING),
            sort_key=dynamodb.Attribute(name=sort, type=_STRING),
            projection_type=dynamodb.ProjectionType.ALL,
        )


class Storage(Construct):
    """The buckets. They outlive the stack: a deployment never deletes data."""

    def __init__(self, scope: Construct, construct_id: str, *, audit_lock: AuditLock) -> None:
        super().__init__(scope, construct_id)
        self.access_logs = self._bucket("AccessLogs", lifecycle_rules=[_expire("expire", Duration.days(365)), _ABORT])
        acknowledge(
            self.access_logs,
            "AwsSolutions-S1",
            reason="This bucket receives the access logs; logging access to it would create more logs.",
        )
        self.lake = self._bucket(
            "Lake",
            versioned=True,
            lifecycle_rules=[
                _expire("athena-results", Duration.days(14), ATHENA_RESULTS_PREFIX, versions=_A_DAY),
                _expire("unloaded", Duration.days(14), UNLOADED_PREFIX, versions=_A_DAY),
                _expire("errors", Duration.days(90), ERRORS_PREFIX, versions=_A_DAY),
                _ARCHIVE,
                *(_forget(f"former-{kind}", FORMER, f"{kind}/") for kind in _ROWS_AND_RESULTS),
                _ABORT,
            ],
        )
        self._keep_training_sets()
        self.artifacts = self._bucket(
            "Artifacts",
            versioned=True,
            object_lock_enabled=True,
            object_lock_default_retention=s3.ObjectLockRetention.governance(ARTIFACT_LOCK),
            lifecycle_rules=[_ABORT],
        )
        self.audit = self._audit(audit_lock)
        self._log_accesses({"lake/": self.lake, "artifacts/": self.artifacts, "audit/": self.audit})

    def _keep_training_sets(self) -> None:
        """Nobody deletes a version of a training set's object: what is written over it leaves it where it was.

        By the policy, and not by Object Lock: CloudFormation can give that to a new bucket only, and this one may hold
        years of rows. An administrator has to take the policy away first, as with a lock in governance mode. Rules that
        let objects expire are S3's own, which no policy stops.
        """
        self.lake.add_to_resource_policy(
            iam.PolicyStatement(
                sid="NobodyDeletesTrainingSets",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:DeleteObjectVersion"],
                resources=[self.lake.arn_for_objects(f"{DATASETS_PREFIX}*")],
            )
        )

    def _audit(self, lock: AuditLock) -> s3.Bucket:
        """A bucket in which objects are made once, by whoever it is, and stay.

        No lifecycle: nothing there is ever unfinished, as the policy lets nobody begin an upload in parts.
        """
        retention = getattr(s3.ObjectLockRetention, lock)
        bucket = self._bucket(
            "Audit",
            versioned=True,
            object_lock_enabled=True,
            object_lock_default_retention=retention(AUDIT_LOCK),
        )
        everything = bucket.arn_for_objects("*")
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="NobodyWritesOver",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[everything],
                conditions={"Null": {"s3:if-none-match": "true"}},
            )
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="NobodyDeletes",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=[
                    "s3:BypassGovernanceRetention",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                    "s3:PutObjectLegalHold",
                    "s3:PutObjectRetention",
                    "s3:ReplicateDelete",
                    "s3:ReplicateObject",
                ],
                resources=[everything],
            )
        )
        return bucket

    def _log_accesses(self, buckets: Mapping[str, s3.Bucket]) -> None:
        """Log who reads ``buckets``, by prefix.

        The permission comes first: a bucket is refused to log where S3 may not write yet. So it names the account
        rather than the buckets, which are not there at that time.
        """
        self.access_logs.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AccessLogs",
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[self.access_logs.arn_for_objects("*")],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        for prefix, bucket in buckets.items():
            resource = cast(s3.CfnBucket, bucket.node.default_child)
            resource.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
                destination_bucket_name=self.access_logs.bucket_name, log_file_prefix=prefix
            )
            bucket.node.add_dependency(self.access_logs.policy)

    def _bucket(self, construct_id: str, **properties: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=RemovalPolicy.RETAIN,
            **properties,
        )


_ABORT = s3.LifecycleRule(id="abort-unfinished-uploads", abort_incomplete_multipart_upload_after=Duration.days(7))


_A_DAY = Duration.days(1)


def _expire(
    name: str, after: Duration, prefix: str | None = None, *, versions: Duration | None = None
) -> s3.LifecycleRule:
    """Let objects expire; ``versions`` is how much longer one stays that is no longer the current one."""
    return s3.LifecycleRule(id=name, expiration=after, prefix=prefix, noncurrent_version_expiration=versions)


def _forget(name: str, after: Duration, prefix: str) -> s3.LifecycleRule:
    """Let go of what was written over or deleted, so long after that."""
    return s3.LifecycleRule(id=name, prefix=prefix, noncurrent_version_expiration=after)


_ARCHIVE = s3.LifecycleRule(
    id="training-sets",
    prefix=DATASETS_PREFIX,
    transitions=[
        s3.Transition(
            storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
            transition_after=Duration.days(ARCHIVED_AFTER_DAYS),
        )
    ],
    noncurrent_version_expiration=ARTIFACT_LOCK,
)
"""Every version names the training set that it learned from, so none is deleted. Old ones are read as before, at once;
keeping them costs a sixth, and reading them more."""
