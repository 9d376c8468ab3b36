"""Audit records as objects that can't be written over or deleted.

The table's records come in the transaction of the change that they tell of. No permission holds a ``PutItem`` to new
keys, so whoever may append there may write over. Of S3 the account can ask it: the bucket's policy lets nobody put an
object without ``If-None-Match``, nor delete one, and Object Lock keeps each version for its time. So the registry
function puts each record there as well, before it answers its command.

What is locked is always the beginning of the chain: record *n* is put once *n - 1* is seen to be there. A function that
ends between the transaction and the object leaves a gap at the end, which the next command closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from everloop.busy_services import ServiceBusyError
from everloop.json_text import canonical_json
from everloop.objects import read_object
from everloop.registry.exceptions import AuditAheadError, LockedRecordDiffersError
from everloop.registry.ledger import Ledger
from everloop.registry.records import AuditRecord

MOST_BYTES = 400 * 1024
"""More than an item of DynamoDB may have, which a record comes from."""

_LOOK_BACK = 50
"""How far before the end of the chain the end of what is locked is looked for first."""

_PUT_ATTEMPTS = 3
_READERS = 8


@dataclass(frozen=True)
class LockedRecord:
    """What stands under the key of one audit record.

    Attributes
    ----------
    content : bytes
        Of the oldest version: what was written first.
    versions : int
        One, unless somebody wrote over it.
    hidden : bool
        A delete marker lies on it.
    """

    sequence: int
    content: bytes
    versions: int = 1
    hidden: bool = False


def content_of(record: AuditRecord) -> bytes:
    """The bytes that are kept of a record: its canonical JSON, which its hash is of, with that hash."""
    return canonical_json(record.to_json()).encode()


class LockedAudit:
    """The locked audit records of one model.

    Parameters
    ----------
    s3
        A boto3 ``s3`` client.
    bucket : str
        The bucket of audit records.
    model : str
    """

    def __init__(self, s3: Any, bucket: str, model: str) -> None:
        self._s3, self._bucket, self._model = s3, bucket, model

    def key(self, sequence: int) -> str:
        """Where a record is; twelve digits keep them in order."""
        return f"{self._model}/{sequence:012d}.json"

    def end(self, ledger: Ledger) -> int:
        """The sequence number of the newest locked record, 0 where there is none.

        Raises
        ------
        AuditAheadError
            When it lies beyond the end of the table's chain: the table was set back.
        """
        head = _length(ledger)
        start = max(0, head - _LOOK_BACK)
        newest = max(self._sequences(start), default=0)
        if not newest and start:
            newest = max(self._sequences(0), default=0)
        # Another command may have been carried out and locked since the head was read.
        if newest > head and newest > _length(ledger):
            raise AuditAheadError(
                f"model {self._model}: the table's audit chain ends with record {head}, and records up to {newest} are"
                f" locked in s3://{self._bucket}/{self._model}/: the table was set back, so nothing is written; restore"
                " it to a moment after the newest locked record"
            )
        return newest

    def lock(self, records: Iterable[AuditRecord]) -> None:
        """Lock records, in their order; those that are locked already stay.

        Raises
        ------
        LockedRecordDiffersError
            When another record is in a record's place.
        ServiceBusyError
            When others put objects there at the same moment, again and again.
        """
        for record in records:
            self._put(record.sequence, content_of(record))

    def of(self, record: AuditRecord) -> bytes | None:
        """The locked content of a record; None where it is not locked."""
        try:
            return read_object(self._s3, self._bucket, self.key(record.sequence), MOST_BYTES)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None

    def require_unaltered(self, records: Iterable[AuditRecord]) -> None:
        """Refuse records of the table that are not the locked ones.

        Raises
        ------
        LockedRecordDiffersError
            For the first that differs.
        """
        kept = list(records)
        with ThreadPoolExecutor(_READERS) as readers:
            for record, locked in zip(kept, readers.map(self.of, kept), strict=True):
                if locked is not None and locked != content_of(record):
                    raise LockedRecordDiffersError(
                        f"model {self._model}: audit record {record.sequence} of the table is not the one that was"
                        f" locked in s3://{self._bucket}/{self.key(record.sequence)}"
                    )

    def stored(self) -> list[LockedRecord]:
        """Everything that stands below the model's prefix, in the records' order."""
        versions: dict[str, list[str]] = {}
        hidden = set()
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=f"{self._model}/")
        for page in pages:
            for one in page.get("Versions", []):  # the newest of a key comes first
                versions.setdefault(one["Key"], []).append(one["VersionId"])
            hidden |= {one["Key"] for one in page.get("DeleteMarkers", [])}

        def read(key: str) -> LockedRecord:
            oldest = versions[key][-1]
            content = read_object(self._s3, self._bucket, key, MOST_BYTES, VersionId=oldest)
            return LockedRecord(self._sequence(key), content, len(versions[key]), key in hidden)

        with ThreadPoolExecutor(_READERS) as readers:
            return list(readers.map(read, sorted(versions)))

    def _put(self, sequence: int, content: bytes) -> None:
        for _ in range(_PUT_ATTEMPTS):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=self.key(sequence),
                    Body=content,
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
                return
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "PreconditionFailed":
                    self._require_same(sequence, content)
                    return
                if code != "ConditionalRequestConflict":
                    raise
        raise ServiceBusyError(f"s3://{self._bucket}/{self.key(sequence)} is being written by others; try again")

    def _require_same(self, sequence: int, content: bytes) -> None:
        if read_object(self._s3, self._bucket, self.key(sequence), MOST_BYTES) != content:
            raise LockedRecordDiffersError(
                f"model {self._model}: another audit record {sequence} is locked in"
                f" s3://{self._bucket}/{self.key(sequence)} than the table has; `everloop audit verify` compares them"
            )

    def _sequences(self, after: int) -> Iterator[int]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._model}/", StartAfter=self.key(after)
        )
        for page in pages:
            for one in page.get("Contents", []):
                yield self._sequence(one["Key"])

    @staticmethod
    def _sequence(key: str) -> int:
        return int(key.rsplit("/", 1)[1].removesuffix(".json"))


@dataclass(frozen=True)
class LockedVerdict:
    """How the table's audit records and the locked ones agree.

    Attributes
    ----------
    locked : int
        How many records are locked. What comes after them in the table waits for the next command.
    problems : tuple of str
        Each difference, as a sentence.
    """

    locked: int
    problems: tuple[str, ...]


def compare(locked: Iterable[LockedRecord], records: Iterable[AuditRecord]) -> LockedVerdict:
    """Check the table's records against the locked ones, which were read *before* them."""
    table = {record.sequence: content_of(record) for record in records}
    problems, expected, count = [], 1, 0
    for one in locked:
        n, count = one.sequence, count + 1
        if n != expected:
            gap = f"record {expected} is" if n == expected + 1 else f"records {expected} to {n - 1} are"
            problems.append(f"audit {gap} not locked, though later ones are")
        expected = n + 1
        if one.versions > 1:
            problems.append(f"the locked audit record {n} was written over {one.versions - 1} times")
        if one.hidden:
            problems.append(f"the locked audit record {n} was deleted; its first version is kept, and was read")
        if n not in table:
            problems.append(f"audit record {n} is locked, and not in the table")
        elif table[n] != one.content:
            problems.append(f"audit record {n} of the table is not the locked one")
    return LockedVerdict(count, tuple(problems))


def _length(ledger: Ledger) -> int:
    head = ledger.audit_head()
    return head.sequence if head else 0
