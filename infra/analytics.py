"""The catalogue of the lake, and the workgroup its queries run in."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from everloop.names import ATHENA_RESULTS_PREFIX, ATHENA_WORKGROUP, GLUE_DATABASE

SCAN_LIMIT_BYTES = 100 * 1024**3
"""A query that would read more (half a dollar) is cancelled."""


class Analytics(Construct):
    """The Glue database and the Athena workgroup, whose settings no query can override."""

    def __init__(self, scope: Construct, construct_id: str, *, lake: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=GLUE_DATABASE, description="History, captured predictions and labels of every model"
            ),
        )
        results = athena.CfnWorkGroup.ResultConfigurationProperty(
            output_location=f"s3://{lake.bucket_name}/{ATHENA_RESULTS_PREFIX}",
            encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(encryption_option="SSE_S3"),
            expected_bucket_owner=Aws.ACCOUNT_ID,
        )
        athena.CfnWorkGroup(
            self,
            "WorkGroup",
            name=ATHENA_WORKGROUP,
            description="Everloop's queries over the lake",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=SCAN_LIMIT_BYTES,
                result_configuration=results,
            ),
        )
