"""Firehose: streams buffer, convert and deliver as their configuration says.

PutRecord and PutRecordBatch only buffer (`localcloud.services.firehose`); everything but extended S3 destinations with
direct puts is refused.

Replaces: an S3 object for every call, converted to nothing.
Why: what reads the objects needs them in the number and the format that the stream is configured for.
Obsolete: once moto buffers by size and interval and converts by the Glue table.
"""

from __future__ import annotations

import base64
import json
import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from moto.core.responses import BaseResponse
from moto.firehose.exceptions import (
    FirehoseException,
    InvalidArgumentException,
    ResourceNotFoundException,
)
from moto.firehose.models import FirehoseBackend, firehose_backends
from moto.firehose.responses import FirehoseResponse

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.iam.access import Access
from localcloud.iam.guard import DeniedError
from localcloud.iam.identities import UnknownRoleError
from localcloud.iam.roles import RoleNotAssumableError
from localcloud.services.firehose.convert import columns_schema
from localcloud.services.firehose.destination import Destination, read_destination
from localcloud.services.firehose.exceptions import FirehoseError
from localcloud.services.firehose.prefix import check_prefix
from localcloud.services.firehose.stream import DeliveryBuffer, stream_credentials
from localcloud.services.glue.seam import Catalogue, NoSuchTableError, UnknownColumnTypeError

log = logging.getLogger(__name__)

_MAX_RECORDS = 500
_MAX_BATCH_BYTES = 4 * 1024 * 1024
_MAX_RECORD_BYTES = 1000 * 1024
_FAST_ACTIONS = ("PutRecord", "PutRecordBatch")


def install(context: CloudContext) -> None:
    """Make streams of this cloud deliver."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="firehose")

    def create(original: Any) -> Any:
        def create_delivery_stream(
            self: FirehoseBackend,
            region: str,
            delivery_stream_name: str,
            delivery_stream_type: str,
            *more: Any,
            **named: Any,
        ) -> str:
            configurations = dict(zip(_CREATE_ARGUMENTS, more, strict=False)) | named
            destination = _checked_destination(context, delivery_stream_name, delivery_stream_type, configurations)
            arn: str = original(self, region, delivery_stream_name, delivery_stream_type, *more, **named)
            stream = self.delivery_streams[delivery_stream_name]
            stream.__dict__[_BUFFER] = _Hidden(DeliveryBuffer(context, delivery_stream_name, destination, executor))
            return arn

        return create_delivery_stream

    def update(original: Any) -> Any:
        def update_destination(self: FirehoseBackend, delivery_stream_name: str, *more: Any, **named: Any) -> None:
            original(self, delivery_stream_name, *more, **named)
            stream = self.delivery_streams[delivery_stream_name]
            buffer = _buffer(self, delivery_stream_name)
            configuration = stream.destinations[0]["ExtendedS3"]
            buffer.destination = _check(context, delivery_stream_name, configuration)
            buffer.version = stream.version_id

        return update_destination

    def delete(original: Any) -> Any:
        def delete_delivery_stream(self: FirehoseBackend, delivery_stream_name: str) -> None:
            if delivery_stream_name in self.delivery_streams:
                _buffer(self, delivery_stream_name).flush()
            original(self, delivery_stream_name)

        return delete_delivery_stream

    wrap(FirehoseBackend, "create_delivery_stream", create)
    wrap(FirehoseBackend, "update_destination", update)
    wrap(FirehoseBackend, "delete_delivery_stream", delete)
    replace(FirehoseResponse, "put_record", _put_record)
    replace(FirehoseResponse, "put_record_batch", _put_record_batch)
    replace(FirehoseResponse, "parse_parameters", _parse_parameters)


def close() -> None:
    """Deliver what is still buffered."""
    for _account, _region, backend in firehose_backends.iter_backends():
        if not isinstance(backend, FirehoseBackend):
            continue
        for name in list(backend.delivery_streams):
            try:
                _buffer(backend, name).flush()
            except FirehoseError as error:
                log.error("records are lost because this cloud ends: %s", error)


_BUFFER = "local_buffer"
_CREATE_ARGUMENTS = (
    "kinesis_stream_source_configuration",
    "delivery_stream_encryption_configuration_input",
    "s3_destination_configuration",
    "extended_s3_destination_configuration",
)


class _Hidden:
    """Keeps a buffer at moto's record of a stream, which describes every attribute that is true."""

    def __init__(self, buffer: DeliveryBuffer) -> None:
        self.buffer = buffer

    def __bool__(self) -> bool:
        return False


def _checked_destination(
    context: CloudContext, stream: str, stream_type: str | None, configurations: dict[str, Any]
) -> Destination:
    if (stream_type or "DirectPut") != "DirectPut":
        raise InvalidArgumentException(f"DeliveryStreamType {stream_type} is not supported: use DirectPut")
    configuration = configurations.get("extended_s3_destination_configuration")
    if not configuration:
        raise InvalidArgumentException("The local Firehose supports ExtendedS3DestinationConfiguration only")
    return _check(context, stream, configuration)


def _check(context: CloudContext, stream: str, configuration: dict[str, Any]) -> Destination:
    """The destination, once everything that AWS checks when a stream is made has been checked."""
    try:
        destination = read_destination(configuration)
        check_prefix(destination.prefix)
        check_prefix(destination.error_prefix, is_error_prefix=True)
        stream_credentials(context, stream, destination.role_arn)
        if destination.conversion is not None:
            conversion = destination.conversion
            credentials = stream_credentials(context, stream, conversion.role_arn)
            catalogue = Catalogue(context, Access(context, credentials["aws_access_key_id"]))
            table = catalogue.table(conversion.database, conversion.table, action="glue:GetTableVersions")
            columns_schema(table.columns)
    except (
        FirehoseError,
        KeyError,
        RoleNotAssumableError,
        UnknownRoleError,
        UnknownColumnTypeError,
        NoSuchTableError,
        DeniedError,
    ) as error:
        raise InvalidArgumentException(f"delivery stream {stream}: {error}") from error
    return destination


def _buffer(backend: FirehoseBackend, name: str) -> DeliveryBuffer:
    stream = backend.delivery_streams.get(name)
    if stream is None:
        raise ResourceNotFoundException(f"Firehose {name} under account {backend.account_id} not found.")
    hidden: _Hidden = stream.__dict__[_BUFFER]
    return hidden.buffer


def _parse_parameters(self: FirehoseResponse, request: Any) -> None:
    """The parameters of a put, without a walk through the service's model; of other calls as moto reads them."""
    if self._get_action() not in _FAST_ACTIONS:
        BaseResponse.parse_parameters(self, request)
        return
    self.params = json.loads(self.body)


def _put_record(self: FirehoseResponse) -> tuple[int, dict[str, str], str]:
    _put(self, self.params["DeliveryStreamName"], [self.params["Record"]])
    return _answer({"RecordId": str(uuid.uuid4()), "Encrypted": False})


def _put_record_batch(self: FirehoseResponse) -> tuple[int, dict[str, str], str]:
    name, records = self.params["DeliveryStreamName"], self.params["Records"]
    if not 1 <= len(records) <= _MAX_RECORDS:
        raise InvalidArgumentException(f"Records has {len(records)} entries: it must have 1 to {_MAX_RECORDS}")
    _put(self, name, records)
    responses = [{"RecordId": str(uuid.uuid4())} for _ in records]
    return _answer({"FailedPutCount": 0, "Encrypted": False, "RequestResponses": responses})


def _put(response: FirehoseResponse, name: str, records: Sequence[dict[str, str]]) -> None:
    buffer = _buffer(response.firehose_backend, name)
    try:
        data = [base64.b64decode(record["Data"], validate=True) for record in records]
    except ValueError as error:
        raise FirehoseException("SerializationException", f"Data is not base64: {error}") from error
    largest = max(map(len, data))
    if largest > _MAX_RECORD_BYTES:
        raise InvalidArgumentException(f"a record has {largest} bytes: it may have {_MAX_RECORD_BYTES}")
    total = sum(map(len, data))
    if total > _MAX_BATCH_BYTES:
        raise InvalidArgumentException(f"the records have {total} bytes: a batch may have {_MAX_BATCH_BYTES}")
    buffer.put(data)


def _answer(document: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document)
