"""The one door through which the registry is written.

Every commit is one ``TransactWriteItems``: the changes with their conditions, the audit records, the new end of
the audit chain, and a mark that this operation was done. The mark makes a repetition change nothing, however
late it comes; the chain's end, expected as it was read *before* any other fact, makes writers of one model take
turns, so that a decision never rests on facts that moved meanwhile.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from everloop.instants import format_instant, instant_text
from everloop.registry import changes, keys
from everloop.registry.audit import Entry, seal
from everloop.registry.changes import Change, absent, create, holds, replace
from everloop.registry.exceptions import (
    ContentionError,
    CorruptRecordError,
    InstantAheadError,
    OperationMismatchError,
)
from everloop.registry.items import Item, Record, attribute, plain
from everloop.registry.records import AuditHead, AuditRecord
from everloop.typed_json import JsonObject

R = TypeVar("R", bound=Record)

ATTEMPTS = 8
"""How often a commit is tried against concurrent writers."""

MOST_AHEAD = timedelta(hours=1)
"""How much later than the table's own time an instant may be: more than clocks of services differ by."""

_FIRST_PAUSE_SECONDS = 0.02
_LOST_RACE = frozenset(
    {"ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
_MAY_PASS = frozenset({"TransactionInProgressException", "TransactionConflictException"})


@dataclass(frozen=True)
class Plan:
    """What an operation will write, decided on facts just read."""

    changes: tuple[Change, ...]
    entries: tuple[Entry, ...]


class Ledger:
    """Reads and commits of one model's partition.

    Parameters
    ----------
    client
        A boto3 ``dynamodb`` client.
    table : str
        The table's name.
    model : str
        The model whose partition this is.
    via : str, optional
        The caller on whose command this writes, as the account's permissions tell callers apart; each audit record
        keeps it.
    pause : callable
        Waits the given seconds between attempts.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        model: str,
        *,
        via: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.table = table
        self.model = model
        self._via = via
        self._pause = pause

    def audit_head(self) -> AuditHead | None:
        """The end of the audit chain; None while nothing has happened."""
        return self.read(AuditHead, keys.AUDIT_HEAD)

    def audit_records(self, *, after: int = 0) -> Iterator[AuditRecord]:
        """The audit chain, oldest first: all of it, or what follows the record of the sequence number ``after``."""
        return self.all(AuditRecord, keys.AUDIT, after=keys.audit(after) if after else None)

    def read(self, kind: type[R], sort_key: str, *, partition: str | None = None) -> R | None:
        """One record, as of the last write; None when there is none. The partition is the model's unless given."""
        item = self.item(sort_key, partition)
        return kind.from_item(item) if item else None

    def holder(self, kind: type[R], sort_key: str) -> R | None:
        """What holds a place; None when nothing does."""
        item = self.item(sort_key)
        return kind.from_item(item) if item and changes.VACANT not in item else None

    def item(self, sort_key: str, partition: str | None = None) -> Item | None:
        """The item under a sort key of ``partition`` (the model's), read consistently; None where there is none."""
        key = self._key(sort_key, partition)
        item: Item | None = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return item

    def _key(self, sort_key: str, partition: str | None = None) -> Item:
        return {"pk": attribute(partition or keys.partition(self.model)), "sk": attribute(sort_key)}

    def all(self, kind: type[R], prefix: str, **reading: Any) -> Iterator[R]:
        """Every record whose sort key begins with ``prefix``, in its order, page after page."""
        for item in self._items(prefix, **reading):
            yield kind.from_item(item)

    def readable(self, kind: type[R], prefix: str) -> tuple[list[R], list[str]]:
        """The records below ``prefix`` that can be read, and of each other one why it can't.

        For whoever looks for tampering. Everybody else refuses such a record.
        """
        records, refusals = [], []
        for item in self._items(prefix):
            try:
                records.append(kind.from_item(item))
            except CorruptRecordError as error:
                refusals.append(str(error))
        return records, refusals

    def _items(
        self,
        prefix: str,
        *,
        partition: str | None = None,
        after: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Those whose sort key begins with ``prefix``; of them, where it is given, those beyond ``after``."""
        wanted, bounds = "begins_with(sk, :prefix)", {":prefix": attribute(prefix)}
        if after is not None:
            # A key condition has one bound below or two, and no second function: the end of the prefix is the other.
            wanted = "sk BETWEEN :after AND :last"
            bounds = {":after": attribute(f"{after} "), ":last": attribute(f"{prefix}~")}
        arguments: JsonObject = {
            "TableName": self.table,
            "KeyConditionExpression": f"pk = :partition AND {wanted}",
            "ExpressionAttributeValues": {
                ":partition": attribute(partition or keys.partition(self.model)),
                **bounds,
            },
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if limit is not None:
            arguments["Limit"] = limit
        given = 0
        while True:
            page = self.client.query(**arguments)
            for item in page["Items"]:
                yield item
                given += 1
                if given == limit:
                    return
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def create_once(self, record: R) -> R:
        """Write a record that never changes, or return the one that stands there already."""
        clause = absent("the record does not exist yet")
        try:
            self.client.put_item(TableName=self.table, Item=record.to_item(), **clause.arguments())
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            partition, sort_key = record.key
            stored = self.read(type(record), sort_key, partition=partition)
            if stored is None:
                raise
            return stored
        return record

    def commit(self, operation: str, purpose: str, plan: Callable[[], Plan]) -> bool:
        """Carry out an operation once.

        Parameters
        ----------
        operation : str
            The idempotency key. A second commit under it changes nothing.
        purpose : str
            What the operation is; a key used for something else before is refused.
        plan : callable
            Reads facts and decides. It is called again when another writer came first, and raises a domain
            error when the facts no longer allow the operation.

        Returns
        -------
        bool
            True when it was written now, False when it had been written before.

        Raises
        ------
        OperationMismatchError
            When the key belongs to another operation.
        InstantAheadError
            When it would be recorded at an instant that has not come.
        ContentionError
            When other writers came first every time.
        """
        lost: list[str] = []
        for attempt in range(ATTEMPTS):
            if self._is_done(operation, purpose):
                return False
            head, now = self._head_and_time()
            planned = plan()
            self._refuse_what_is_ahead(planned, now)
            lost = self._transact(self._sealed(planned, operation, purpose, head))
            if not lost:
                return True
            self._pause(_FIRST_PAUSE_SECONDS * 2**attempt)
        raise ContentionError(
            f"model {self.model}: {purpose} lost against other writers {ATTEMPTS} times; the last time this"
            f" condition no longer held: {' and that '.join(lost)}; try again"
        )

    def _head_and_time(self) -> tuple[AuditHead | None, datetime]:
        """The end of the audit chain, and the table's own time: the Date of that answer."""
        answer = self.client.get_item(TableName=self.table, Key=self._key(keys.AUDIT_HEAD), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return (AuditHead.from_item(item) if item else None), now

    def _refuse_what_is_ahead(self, plan: Plan, now: datetime) -> None:
        """Instants come with commands. One of tomorrow would stand before all that happens until then."""
        for entry in plan.entries:
            if entry.at > now + MOST_AHEAD:
                raise InstantAheadError(
                    f"model {self.model}: nothing can be recorded at {instant_text(entry.at)}, because it is"
                    f" {format_instant(now)} now; send it with the present time"
                )

    def note(self, entry: Entry, *, operation: str) -> bool:
        """Append one audit record that comes with no change of state."""
        return self.commit(operation, entry.action, lambda: Plan((), (entry,)))

    def _told(self, entry: Entry) -> Entry:
        """The entry as the chain keeps it: with the caller it came from."""
        if self._via is None:
            return entry
        return dataclasses.replace(entry, details={**entry.details, "via": self._via})

    def _is_done(self, operation: str, purpose: str) -> bool:
        item = self.item(keys.operation(operation))
        if item is None:
            return False
        done = plain(item["purpose"])
        if done != purpose:
            raise OperationMismatchError(
                f"model {self.model}: operation key {operation!r} was already used for {done!r}, not for"
                f" {purpose!r}; use another key"
            )
        return True

    def _sealed(self, plan: Plan, operation: str, purpose: str, head: AuditHead | None) -> list[Change]:
        entries = [self._told(entry) for entry in plan.entries]
        records, new_head = seal(entries, model=self.model, operation=operation, head=head)
        chain_unmoved = (
            holds("the audit chain has not changed", sequence=head.sequence, hash=head.hash)
            if head
            else absent("the audit chain is empty")
        )
        mark: Item = {
            "pk": attribute(keys.partition(self.model)),
            "sk": attribute(keys.operation(operation)),
            "purpose": attribute(purpose),
            "audit_sequence": attribute(new_head.sequence),
        }
        return [
            Change("Put", mark, absent(f"operation {operation} is not done yet")),
            replace(new_head, chain_unmoved),
            *(create(record, f"audit record {record.sequence} is not written yet") for record in records),
            *plan.changes,
        ]

    def _transact(self, writes: list[Change]) -> list[str]:
        """Write all or nothing; return the meanings of the conditions that did not hold."""
        try:
            self.client.transact_write_items(TransactItems=[c.as_action(self.table) for c in writes])
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MAY_PASS:
                return [f"no other transaction was running ({code})"]
            if code != "TransactionCanceledException":
                raise
            codes = [reason.get("Code") or "None" for reason in error.response.get("CancellationReasons", [])]
            failed = {c for c in codes if c != "None"}
            if not failed or not failed <= _LOST_RACE:
                raise
            return [c.condition.meaning for c, code in zip(writes, codes, strict=True) if code != "None"]
        return []
