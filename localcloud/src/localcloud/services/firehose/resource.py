"""Firehose delivery streams into S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import (
    Handler,
    Place,
    Properties,
    changed,
    ignoring,
    known,
    names,
    tag_map,
    without,
)
from localcloud.cloudformation.shapes import call_arguments, member_arguments
from localcloud.services.firehose.destination import read_destination
from localcloud.services.firehose.exceptions import UnsupportedDestinationError

_DESTINATION = "ExtendedS3DestinationConfiguration"


class DeliveryStream(Handler):
    """A delivery stream that is put into directly and delivers to S3."""

    type = "AWS::KinesisFirehose::DeliveryStream"
    table = table_of(
        f"""
        DeliveryStreamName DeliveryStreamType
        {_DESTINATION}(
            BucketARN RoleARN Prefix ErrorOutputPrefix BufferingHints(IntervalInSeconds SizeInMBs) CompressionFormat
            CloudWatchLoggingOptions(Enabled LogGroupName LogStreamName) FileExtension CustomTimeZone S3BackupMode
            DataFormatConversionConfiguration(
                Enabled
                InputFormatConfiguration(Deserializer(OpenXJsonSerDe(
                    CaseInsensitive ColumnToJsonKeyMappings(*) ConvertDotsInJsonKeysToUnderscores
                )))
                OutputFormatConfiguration(Serializer(ParquetSerDe(Compression)))
                SchemaConfiguration(DatabaseName RoleARN TableName VersionId)
            )
            ProcessingConfiguration(Enabled) DynamicPartitioningConfiguration(Enabled)
        )
        """,
        kept={
            "DeliveryStreamEncryptionConfigurationInput": ENCRYPTION,
            f"{_DESTINATION}.EncryptionConfiguration": ENCRYPTION,
            f"{_DESTINATION}.DataFormatConversionConfiguration.SchemaConfiguration.CatalogId": (
                "there is only one catalogue"
            ),
            f"{_DESTINATION}.DataFormatConversionConfiguration.SchemaConfiguration.Region": (
                "there is only one catalogue"
            ),
            "Tags": TAGS,
        },
        refused={
            f"{_DESTINATION}.S3BackupConfiguration": "leave the backup out",
            f"{_DESTINATION}.ProcessingConfiguration.Processors": "transform records before they are put",
            "KinesisStreamSourceConfiguration MSKSourceConfiguration DatabaseSourceConfiguration": (
                "put records through the API"
            ),
        },
    )
    attributes = names("Arn")
    required = names(_DESTINATION)
    create_only = names("DeliveryStreamName DeliveryStreamType")
    name_property = "DeliveryStreamName"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Settings of the destination that are not executed."""
        if known(properties, "DeliveryStreamType") not in (None, "DirectPut"):
            yield Problem("DeliveryStreamType", "must be DirectPut")
        destination = properties.get(_DESTINATION)
        if isinstance(destination, Mapping) and {"RoleARN", "BucketARN"} <= set(destination):
            try:
                read_destination(destination)
            except (UnsupportedDestinationError, KeyError) as error:
                yield Problem(_DESTINATION, f"is not supported: {error}")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the stream."""
        firehose = place.client("firehose")
        name = properties.get("DeliveryStreamName") or place.new_name(64)
        given = {"DeliveryStreamType": "DirectPut", **properties, "DeliveryStreamName": name}
        if not given.get("Tags"):
            given.pop("Tags", None)
        arn = firehose.create_delivery_stream(**call_arguments(firehose, "CreateDeliveryStream", given, place.where))[
            "DeliveryStreamARN"
        ]
        return Made(name, {"Arn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Update the destination; encryption and tags have calls of their own."""
        firehose = place.client("firehose")
        name = made.physical_id
        if changed(old, new, _DESTINATION):
            self._update_destination(place, name, new[_DESTINATION])
        if changed(old, new, "DeliveryStreamEncryptionConfigurationInput"):
            member = "DeliveryStreamEncryptionConfigurationInput"
            if member in new:
                value = member_arguments(firehose, "StartDeliveryStreamEncryption", member, new[member], place.where)
                firehose.start_delivery_stream_encryption(DeliveryStreamName=name, **{member: value})
            else:
                firehose.stop_delivery_stream_encryption(DeliveryStreamName=name)
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=gone)
            tags = [{"Key": key, "Value": value} for key, value in tag_map(new.get("Tags")).items()]
            if tags:
                firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=tags)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the stream."""
        firehose = place.client("firehose")
        ignoring(
            lambda: firehose.delete_delivery_stream(DeliveryStreamName=made.physical_id),
            "ResourceNotFoundException",
        )

    def _update_destination(self, place: Place, name: str, destination: dict[str, Any]) -> None:
        firehose = place.client("firehose")
        stream = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        given = without(destination, "S3BackupConfiguration")
        if "S3BackupConfiguration" in destination:
            given["S3BackupUpdate"] = destination["S3BackupConfiguration"]
        update = member_arguments(
            firehose, "UpdateDestination", "ExtendedS3DestinationUpdate", given, f"{place.where}: {_DESTINATION}"
        )
        firehose.update_destination(
            DeliveryStreamName=name,
            CurrentDeliveryStreamVersionId=stream["VersionId"],
            DestinationId=stream["Destinations"][0]["DestinationId"],
            ExtendedS3DestinationUpdate=update,
        )


HANDLERS = (DeliveryStream(),)
