"""What an ``ExtendedS3DestinationConfiguration`` says, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.services.firehose.exceptions import UnsupportedDestinationError

_MEBIBYTE = 1024 * 1024
_UNDERSTOOD = frozenset(
    {
        "RoleARN",
        "BucketARN",
        "Prefix",
        "ErrorOutputPrefix",
        "BufferingHints",
        "CompressionFormat",
        "EncryptionConfiguration",
        "CloudWatchLoggingOptions",
        "ProcessingConfiguration",
        "S3BackupMode",
        "DataFormatConversionConfiguration",
        "DynamicPartitioningConfiguration",
        "FileExtension",
        "CustomTimeZone",
    }
)
_PARQUET_CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "UNCOMPRESSED": "none"}


@dataclass(frozen=True)
class Conversion:
    """Conversion of JSON records to Parquet by a table of the Glue catalogue.

    Attributes
    ----------
    role_arn : str
        Reads the table.
    codec : str
        Parquet compression, as pyarrow calls it.
    case_insensitive : bool
        Whether keys match columns without regard to case.
    column_keys : Mapping[str, str]
        The JSON key of a column, where it is not the column's name.
    dots_to_underscores : bool
        Whether ``a.b`` in a key means column ``a_b``.
    """

    role_arn: str
    database: str
    table: str
    codec: str
    case_insensitive: bool
    column_keys: Mapping[str, str]
    dots_to_underscores: bool


@dataclass(frozen=True)
class Destination:
    """Where and how a stream delivers.

    Attributes
    ----------
    buffer_bytes : int
        A delivery happens when this much is buffered,
    buffer_seconds : int
        or this long after the first record of the buffer.
    compression : str
        ``UNCOMPRESSED`` or ``GZIP``, of deliveries that are not converted.
    log_stream : tuple of str or None
        Log group and stream that are told of failures.
    """

    bucket: str
    role_arn: str
    prefix: str
    error_prefix: str
    extension: str
    buffer_bytes: int
    buffer_seconds: int
    compression: str
    conversion: Conversion | None
    log_stream: tuple[str, str] | None


def read_destination(configuration: Mapping[str, Any]) -> Destination:
    """The destination that a configuration describes.

    Raises
    ------
    UnsupportedDestinationError
        For anything that would be left out otherwise.
    """
    unknown = sorted(set(configuration) - _UNDERSTOOD)
    if unknown:
        raise UnsupportedDestinationError(f"{unknown[0]} is not supported by the local Firehose")
    for name in ("ProcessingConfiguration", "DynamicPartitioningConfiguration"):
        if configuration.get(name, {}).get("Enabled"):
            raise UnsupportedDestinationError(f"{name} is not supported by the local Firehose; disable it")
    if configuration.get("S3BackupMode", "Disabled") != "Disabled":
        raise UnsupportedDestinationError("S3BackupMode Enabled is not supported by the local Firehose")
    if configuration.get("CustomTimeZone", "UTC") != "UTC":
        raise UnsupportedDestinationError("CustomTimeZone must be UTC with the local Firehose")
    compression = configuration.get("CompressionFormat", "UNCOMPRESSED")
    conversion = _conversion(configuration.get("DataFormatConversionConfiguration") or {})
    if compression not in ("UNCOMPRESSED", "GZIP"):
        raise UnsupportedDestinationError(f"CompressionFormat {compression} is not supported by the local Firehose")
    if conversion is not None and compression != "UNCOMPRESSED":
        raise UnsupportedDestinationError("CompressionFormat must be UNCOMPRESSED when record format is converted")
    hints = configuration.get("BufferingHints") or {}
    megabytes = int(hints.get("SizeInMBs", 128 if conversion else 5))
    seconds = int(hints.get("IntervalInSeconds", 300))
    _check_hints(megabytes, seconds, conversion)
    extension = configuration.get("FileExtension") or _extension(conversion, compression)
    return Destination(
        bucket=configuration["BucketARN"].rsplit(":", 1)[-1],
        role_arn=configuration["RoleARN"],
        prefix=configuration.get("Prefix", ""),
        error_prefix=configuration.get("ErrorOutputPrefix", ""),
        extension=extension,
        buffer_bytes=megabytes * _MEBIBYTE,
        buffer_seconds=seconds,
        compression=compression,
        conversion=conversion,
        log_stream=_log_stream(configuration.get("CloudWatchLoggingOptions") or {}),
    )


def _log_stream(options: Mapping[str, Any]) -> tuple[str, str] | None:
    return (options["LogGroupName"], options["LogStreamName"]) if options.get("Enabled") else None


def _check_hints(megabytes: int, seconds: int, conversion: Conversion | None) -> None:
    least = 64 if conversion else 1
    if not least <= megabytes <= 128:
        raise UnsupportedDestinationError(
            f"BufferingHints.SizeInMBs is {megabytes}: it must be {least} to 128"
            + (" when record format is converted" if conversion else "")
        )
    if not 0 <= seconds <= 900:
        raise UnsupportedDestinationError(f"BufferingHints.IntervalInSeconds is {seconds}: it must be 0 to 900")


def _extension(conversion: Conversion | None, compression: str) -> str:
    if conversion is not None:
        return ".parquet"
    return ".gz" if compression == "GZIP" else ""


def _conversion(configuration: Mapping[str, Any]) -> Conversion | None:
    if not configuration or not configuration.get("Enabled", True):
        return None
    deserializer = configuration["InputFormatConfiguration"]["Deserializer"]
    serializer = configuration["OutputFormatConfiguration"]["Serializer"]
    schema = configuration["SchemaConfiguration"]
    if list(deserializer) != ["OpenXJsonSerDe"]:
        raise UnsupportedDestinationError(f"deserializer {list(deserializer)} is not supported: use OpenXJsonSerDe")
    if list(serializer) != ["ParquetSerDe"]:
        raise UnsupportedDestinationError(f"serializer {list(serializer)} is not supported: use ParquetSerDe")
    if schema.get("VersionId", "LATEST") != "LATEST":
        raise UnsupportedDestinationError("SchemaConfiguration.VersionId must be LATEST with the local Firehose")
    openx = deserializer["OpenXJsonSerDe"] or {}
    codec = (serializer["ParquetSerDe"] or {}).get("Compression", "SNAPPY")
    return Conversion(
        role_arn=schema["RoleARN"],
        database=schema["DatabaseName"],
        table=schema["TableName"],
        codec=_PARQUET_CODECS[codec],
        case_insensitive=openx.get("CaseInsensitive", True),
        column_keys=openx.get("ColumnToJsonKeyMappings") or {},
        dots_to_underscores=openx.get("ConvertDotsInJsonKeysToUnderscores", False),
    )
