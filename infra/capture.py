"""Captured predictions and labels: a stream each, delivered to the lake as Parquet, with their Glue tables."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from constructs import Construct

from everloop.dataset.frozen import ROWS
from everloop.infra.grants import Grant, give
from everloop.infra.permissions import ModelPermissions
from everloop.infra.platform_reference import Platform
from everloop.lake_tables import DATE, FROZEN, HISTORY, LABELS, PREDICTIONS, UNLOAD, LakeTable
from everloop.limits import EARLIEST_CAPTURED
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ERRORS_PREFIX, GLUE_DATABASE, ModelNames

BUFFER_MB = 64
BUFFER_SECONDS = 900
"""64 MB is the least that Parquet conversion takes; 15 minutes, the most, keeps the files few."""


class GlueTable(Construct):
    """A Glue table over a prefix of the lake.

    Partitions are projected, so none is ever registered and none can be missing: from the days, or of unloaded rows
    from what a query names.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table: LakeTable,
        declaration: ModelDeclaration,
        platform: Platform,
    ) -> None:
        super().__init__(scope, construct_id)
        names = ModelNames(declaration.model)
        prefix = names.unloaded_prefix if table.unloaded else names.lake_prefix(table.kind)
        location = f"s3://{platform.lake.bucket_name}/{prefix}"
        column = glue.CfnTable.ColumnProperty
        parameters = {"classification": "parquet"}
        if table.daily:
            parameters |= {
                "projection.enabled": "true",
                f"projection.{DATE}.type": "date",
                f"projection.{DATE}.format": "yyyy-MM-dd",
                f"projection.{DATE}.range": f"{EARLIEST_CAPTURED.isoformat()},NOW+1DAYS",
                f"projection.{DATE}.interval": "1",
                f"projection.{DATE}.interval.unit": "DAYS",
                "storage.location.template": f"{location}{DATE}=${{{DATE}}}/",
            }
        if table.unloaded:
            parameters |= {
                "projection.enabled": "true",
                f"projection.{UNLOAD}.type": "injected",
                "storage.location.template": f"{location}${{{UNLOAD}}}/{ROWS}/",
            }
        parquet = "org.apache.hadoop.hive.ql.io.parquet"
        storage = glue.CfnTable.StorageDescriptorProperty(
            columns=[column(name=n, type=t) for n, t in table.columns(declaration.data.features)],
            location=location,
            input_format=f"{parquet}.MapredParquetInputFormat",
            output_format=f"{parquet}.MapredParquetOutputFormat",
            serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library=f"{parquet}.serde.ParquetHiveSerDe"),
        )
        self.name = names.table(table.kind)
        self.resource = glue.CfnTable(
            self,
            "Table",
            catalog_id=Aws.ACCOUNT_ID,
            database_name=GLUE_DATABASE,
            table_input=glue.CfnTable.TableInputProperty(
                name=self.name,
                table_type="EXTERNAL_TABLE",
                parameters=parameters,
                partition_keys=[column(name=name, type="string") for name in _partition(table)] or None,
                storage_descriptor=storage,
            ),
        )


class CaptureStream(Construct):
    """A Firehose stream that writes the records of ``predictions`` or ``labels`` to the lake."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table: LakeTable,
        declaration: ModelDeclaration,
        platform: Platform,
    ) -> None:
        super().__init__(scope, construct_id)
        names = ModelNames(declaration.model)
        glue_table = GlueTable(self, "Lake", table=table, declaration=declaration, platform=platform)
        name = names.stream(table.kind)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/kinesisfirehose/{name}",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        log_stream = logs.CfnLogStream(
            self, "LogStream", log_group_name=log_group.log_group_name, log_stream_name="delivery"
        )
        prefix = names.lake_prefix(table.kind)
        errors = f"{ERRORS_PREFIX}{prefix}"
        role = self._role(platform, names, [prefix, errors], glue_table.name, log_group)
        destination = firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=platform.lake.bucket_arn,
            role_arn=role.role_arn,
            prefix=f"{prefix}{DATE}=!{{timestamp:yyyy-MM-dd}}/",
            error_output_prefix=f"{errors}!{{firehose:error-output-type}}/{DATE}=!{{timestamp:yyyy-MM-dd}}/",
            buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                interval_in_seconds=BUFFER_SECONDS, size_in_m_bs=BUFFER_MB
            ),
            compression_format="UNCOMPRESSED",
            cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=log_group.log_group_name, log_stream_name=log_stream.ref
            ),
            data_format_conversion_configuration=_parquet(glue_table.name, role),
        )
        stream = firehose.CfnDeliveryStream(
            self,
            "Stream",
            delivery_stream_name=name,
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(key_type="AWS_OWNED_CMK")
            ),
            extended_s3_destination_configuration=destination,
        )
        stream.node.add_dependency(role.node.find_child("DefaultPolicy"), glue_table.resource)

    def _role(
        self, platform: Platform, names: ModelNames, prefixes: list[str], table: str, log: logs.ILogGroup
    ) -> iam.Role:
        stack = Stack.of(self)
        permissions = ModelPermissions(stack, platform, names)
        lake = platform.lake.bucket_arn
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("firehose.amazonaws.com"))
        schema = ("glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions")
        grants = [
            permissions.lake_objects(("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"), *prefixes),
            Grant(("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"), (lake,)),
            permissions.list_lake(*prefixes),
            Grant(schema, tuple(platform.glue_arns(stack, [table]))),
            Grant(("logs:PutLogEvents",), (log.log_group_arn,)),
        ]
        give(role, grants, platform.exports)
        return role


def _partition(table: LakeTable) -> list[str]:
    return [*([DATE] if table.daily else []), *([UNLOAD] if table.unloaded else [])]


def _parquet(table: str, role: iam.IRole) -> firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty:
    stream = firehose.CfnDeliveryStream
    return stream.DataFormatConversionConfigurationProperty(
        enabled=True,
        input_format_configuration=stream.InputFormatConfigurationProperty(
            deserializer=stream.DeserializerProperty(open_x_json_ser_de=stream.OpenXJsonSerDeProperty())
        ),
        output_format_configuration=stream.OutputFormatConfigurationProperty(
            serializer=stream.SerializerProperty(parquet_ser_de=stream.ParquetSerDeProperty(compression="SNAPPY"))
        ),
        schema_configuration=stream.SchemaConfigurationProperty(
            catalog_id=Aws.ACCOUNT_ID,
            database_name=GLUE_DATABASE,
            region=Aws.REGION,
            role_arn=role.role_arn,
            table_name=table,
            version_id="LATEST",
        ),
    )


class Capture(Construct):
    """The model's tables in the lake: the imported history, predictions and labels, and rows that are unloaded."""

    def __init__(
        self, scope: Construct, construct_id: str, *, declaration: ModelDeclaration, platform: Platform
    ) -> None:
        super().__init__(scope, construct_id)
        common: dict[str, Any] = {"declaration": declaration, "platform": platform}
        GlueTable(self, "History", table=HISTORY, **common)
        GlueTable(self, "Frozen", table=FROZEN, **common)
        CaptureStream(self, "Predictions", table=PREDICTIONS, **common)
        CaptureStream(self, "Labels", table=LABELS, **common)
