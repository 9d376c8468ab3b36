"""The buffer of a delivery stream, and its deliveries."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from localcloud.core.clock import Timer
from localcloud.core.context import CloudContext
from localcloud.iam.access import Access
from localcloud.iam.guard import DeniedError
from localcloud.iam.identities import UnknownRoleError
from localcloud.iam.roles import RoleNotAssumableError, role_credentials
from localcloud.services.firehose.convert import Converted, RejectedRecord, columns_schema, convert
from localcloud.services.firehose.destination import Conversion, Destination
from localcloud.services.firehose.exceptions import DeliveryFailedError
from localcloud.services.firehose.prefix import expand_prefix, object_name
from localcloud.services.glue.seam import Catalogue
from localcloud.services.s3.seam import ObjectStore

log = logging.getLogger(__name__)

SERVICE_PRINCIPAL = "firehose.amazonaws.com"
_GIVE_UP_AFTER = timedelta(hours=24)
_FORMAT_FAILED = "format-conversion-failed"


@dataclass
class _Batch:
    """Records on their way, with the arrival of the oldest."""

    arrived: datetime
    records: list[bytes] = field(default_factory=list)
    bytes: int = 0


def stream_arn(context: CloudContext, stream: str) -> str:
    """The ARN of a delivery stream."""
    return f"arn:aws:firehose:{context.region}:{context.account_id}:deliverystream/{stream}"


def stream_credentials(context: CloudContext, stream: str, role_arn: str) -> dict[str, str]:
    """Credentials that Firehose gets for a stream; errors as :func:`localcloud.iam.roles.role_credentials`."""
    return role_credentials(context, role_arn, stream[:64], SERVICE_PRINCIPAL, stream_arn(context, stream))


class DeliveryBuffer:
    """Collects a stream's records and delivers them, by size or by time.

    Parameters
    ----------
    stream : str
        Name of the delivery stream.
    destination : Destination
        Where it delivers; a new one applies from the next delivery.
    executor : ThreadPoolExecutor
        Runs deliveries. Each holds an activity token from the moment it is due.
    """

    def __init__(
        self, context: CloudContext, stream: str, destination: Destination, executor: ThreadPoolExecutor
    ) -> None:
        self._context = context
        self._stream = stream
        self._executor = executor
        self._label = f"firehose {stream}"
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._batch: _Batch | None = None
        self._timer: Timer | None = None
        self._failing_since: datetime | None = None
        self.destination = destination
        self.version = "1"

    def put(self, records: Sequence[bytes]) -> None:
        """Buffer records; the first one of a buffer starts its interval."""
        now = self._context.clock.now()
        with self._lock:
            if self._batch is None:
                self._batch = _Batch(now)
                self._start_timer(now)
            self._batch.records += records
            self._batch.bytes += sum(map(len, records))
            if self._batch.bytes >= self.destination.buffer_bytes or not self.destination.buffer_seconds:
                self._start_delivery(self._take())

    def flush(self) -> None:
        """Deliver what is buffered, and return once it is written.

        Raises
        ------
        DeliveryFailedError
            When it can not be written; the records stay buffered.
        """
        with self._lock:
            batch = self._take()
        # Also waits for a delivery that is under way.
        with self._delivering:
            if batch is not None:
                try:
                    self._deliver(batch)
                except Exception as error:
                    self._put_back(batch)
                    raise DeliveryFailedError(f"delivery stream {self._stream}: {error}") from error

    def _start_timer(self, now: datetime) -> None:
        due = now + timedelta(seconds=self.destination.buffer_seconds)
        self._timer = self._context.clock.call_at(due, self._interval_is_over, label=self._label)

    def _interval_is_over(self) -> None:
        with self._lock:
            batch = self._take()
            if batch is not None:
                self._start_delivery(batch)

    def _take(self) -> _Batch | None:
        batch, self._batch = self._batch, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return batch

    def _start_delivery(self, batch: _Batch | None) -> None:
        if batch is None:
            return
        self._context.activity.enter(self._label)
        self._executor.submit(self._deliver_and_leave, batch)

    def _deliver_and_leave(self, batch: _Batch) -> None:
        try:
            with self._delivering:
                self._deliver(batch)
            self._failing_since = None
        except Exception as error:
            self._keep_for_retry(batch, error)
        finally:
            self._context.activity.leave(self._label)

    def _keep_for_retry(self, batch: _Batch, error: Exception) -> None:
        now = self._context.clock.now()
        since = self._failing_since or now
        if now - since >= _GIVE_UP_AFTER:
            self._failing_since = None
            log.error("stream %s: %d records are lost after 24 hours: %s", self._stream, len(batch.records), error)
            return
        self._failing_since = since
        log.error("stream %s: delivery failed and is tried again: %s", self._stream, error, exc_info=error)
        self._put_back(batch)
        self._tell(now, error)

    def _tell(self, now: datetime, error: Exception) -> None:
        """Write a failure to the stream's log, as the service does; the service too is silent when it may not."""
        if self.destination.log_stream is None:
            return
        group, stream = self.destination.log_stream
        arn = stream_arn(self._context, self._stream)
        event = {
            "deliveryStreamARN": arn,
            "destination": f"arn:aws:s3:::{self.destination.bucket}",
            "deliveryStreamVersionId": self.version,
            "message": str(error),
            "errorCode": "S3.AccessDenied" if isinstance(error, DeniedError) else type(error).__name__,
        }
        try:
            credentials = stream_credentials(self._context, self._stream, self.destination.role_arn)
            self._context.client("logs", **credentials).put_log_events(
                logGroupName=group,
                logStreamName=stream,
                logEvents=[{"timestamp": int(now.timestamp() * 1000), "message": json.dumps(event)}],
            )
        except (ClientError, RoleNotAssumableError, UnknownRoleError) as second:
            log.error("stream %s: its failure can not be written to log %s/%s: %s", self._stream, group, stream, second)

    def _put_back(self, batch: _Batch) -> None:
        with self._lock:
            if self._batch is None:
                self._batch = batch
                self._start_timer(self._context.clock.now())
            else:
                self._batch.records[:0] = batch.records
                self._batch.bytes += batch.bytes
                self._batch.arrived = batch.arrived

    def _access(self, role_arn: str) -> Access:
        credentials = stream_credentials(self._context, self._stream, role_arn)
        return Access(self._context, credentials["aws_access_key_id"])

    def _deliver(self, batch: _Batch) -> None:
        destination = self.destination
        store = ObjectStore(self._context, self._access(destination.role_arn))
        name = object_name(self._stream, self.version, batch.arrived, destination.extension)
        if destination.conversion is None:
            content = b"".join(batch.records)
            if destination.compression == "GZIP":
                content = gzip.compress(content, mtime=0)
            store.put(destination.bucket, expand_prefix(destination.prefix, batch.arrived) + name, content)
            return
        converted = self._convert(batch, destination.conversion)
        if converted.parquet is not None:
            key = expand_prefix(destination.prefix, batch.arrived) + name
            store.put(destination.bucket, key, converted.parquet)
        if converted.rejected:
            key = expand_prefix(destination.error_prefix, batch.arrived, _FORMAT_FAILED)
            key += object_name(self._stream, self.version, batch.arrived, "")
            store.put(destination.bucket, key, self._error_lines(converted.rejected, batch, destination.conversion))

    def _convert(self, batch: _Batch, conversion: Conversion) -> Converted:
        catalogue = Catalogue(self._context, self._access(conversion.role_arn))
        table = catalogue.table(conversion.database, conversion.table, action="glue:GetTableVersions")
        return convert(batch.records, columns_schema(table.columns), conversion)

    def _error_lines(self, rejected: Sequence[RejectedRecord], batch: _Batch, conversion: Conversion) -> bytes:
        now = int(self._context.clock.now().timestamp() * 1000)
        lines = [
            json.dumps(
                {
                    "attemptsMade": 1,
                    "arrivalTimestamp": int(batch.arrived.timestamp() * 1000),
                    "lastErrorCode": record.code,
                    "lastErrorMessage": record.message,
                    "attemptEndingTimestamp": now,
                    "rawData": base64.b64encode(record.data).decode(),
                    "dataCatalogTable": {
                        "databaseName": conversion.database,
                        "tableName": conversion.table,
                        "region": self._context.region,
                        "versionId": "LATEST",
                        "roleArn": conversion.role_arn,
                    },
                }
            )
            for record in rejected
        ]
        return "\n".join([*lines, ""]).encode()
