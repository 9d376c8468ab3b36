"""The audit chain: each record carries the hash of the one before, and a head says where the chain ends.

Altering, removing, reordering or cutting off records is found. Anyone who can rewrite the whole table, head
included, is not: keep :attr:`ChainVerdict.head` somewhere else and compare it to notice that too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from everloop.json_text import canonical_json
from everloop.registry.records import AuditHead, AuditRecord
from everloop.typed_json import as_json

GENESIS = "0" * 64
"""What the first record carries as the hash of the one before."""


@dataclass(frozen=True)
class Entry:
    """Something that happened, before it has its place in the chain. Instants in its details are kept as text."""

    at: datetime
    action: str
    actor: str
    version: int | None = None
    run_id: str | None = None
    reason: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ChainProblem:
    """One sign of tampering. ``kind`` is altered, missing, reordered, unlinked, truncated or head."""

    kind: str
    sequence: int
    sentence: str


@dataclass(frozen=True)
class ChainVerdict:
    """Whether a chain is what was written.

    Attributes
    ----------
    intact : bool
        No problem was found.
    records : int
        How many records were looked at.
    head : str
        The hash the chain ends in, as computed.
    problems : tuple of ChainProblem
    """

    records: int
    head: str
    problems: tuple[ChainProblem, ...]

    @property
    def intact(self) -> bool:
        """Whether no problem was found."""
        return not self.problems


def link_hash(content: Mapping[str, object], previous_hash: str) -> str:
    """sha256 over the hash before and the record's canonical JSON (without its own hash)."""
    text = canonical_json({k: v for k, v in content.items() if k != "hash"})
    return hashlib.sha256(f"{previous_hash}\n{text}".encode()).hexdigest()


def seal(
    entries: Sequence[Entry], *, model: str, operation: str, head: AuditHead | None
) -> tuple[list[AuditRecord], AuditHead]:
    """Append ``entries`` to the chain that ends in ``head``: the new records and the new head."""
    sequence, previous = (head.sequence, head.hash) if head else (0, GENESIS)
    records = []
    for entry in entries:
        sequence += 1
        unsealed = AuditRecord(
            model=model,
            sequence=sequence,
            at=entry.at,
            action=entry.action,
            actor=entry.actor,
            operation=operation,
            previous_hash=previous,
            hash="",
            version=entry.version,
            run_id=entry.run_id,
            reason=entry.reason,
            details=as_json(entry.details),
        )
        previous = link_hash(unsealed.to_json(), previous)
        records.append(replace(unsealed, hash=previous))
    return records, AuditHead(model=model, sequence=sequence, hash=previous)


def verify_chain(records: Sequence[AuditRecord], head: AuditHead | None) -> ChainVerdict:
    """Check a chain.

    Parameters
    ----------
    records : sequence of AuditRecord
        All of them, in the order the table gives them.
    head : AuditHead or None
        The stored end of the chain.
    """
    problems: list[ChainProblem] = []
    expected, previous = 1, GENESIS
    for record in records:
        problems += _link_problems(record, expected, previous)
        expected, previous = max(expected, record.sequence) + 1, record.hash
    last = records[-1] if records else None
    return ChainVerdict(len(records), previous, tuple(problems + _head_problems(last, head)))


def _link_problems(record: AuditRecord, expected: int, previous: str) -> list[ChainProblem]:
    found = []
    n = record.sequence
    if n > expected:
        gap = f"{expected}" if n == expected + 1 else f"{expected} to {n - 1}"
        found.append(ChainProblem("missing", expected, f"audit record {gap} is missing"))
    elif n < expected:
        found.append(ChainProblem("reordered", n, f"audit record {n} comes after record {expected - 1}"))
    if record.previous_hash != previous and n == expected:
        found.append(ChainProblem("unlinked", n, f"audit record {n} does not match the hash of the record before it"))
    if link_hash(record.to_json(), record.previous_hash) != record.hash:
        found.append(ChainProblem("altered", n, f"audit record {n} was changed after it was written"))
    return found


def _head_problems(last: AuditRecord | None, head: AuditHead | None) -> list[ChainProblem]:
    if head is None:
        if last is None:
            return []
        return [ChainProblem("head", last.sequence, "the chain has records, but its head is missing")]
    if last is None or last.sequence < head.sequence:
        first = 1 if last is None else last.sequence + 1
        sentence = f"audit records {first} to {head.sequence} were cut off"
        return [ChainProblem("truncated", first, sentence)]
    if last.sequence > head.sequence or last.hash != head.hash:
        sentence = f"the chain ends with record {last.sequence}, but its head has {head.sequence} or another hash"
        return [ChainProblem("head", last.sequence, sentence)]
    return []
