from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.instants import WrittenInstant
from everloop.registry.audit import Entry, seal, verify_chain
from everloop.registry.records import AuditHead, AuditRecord
from support.growth import assert_linear, calls
from tests.helpers.registry_scenes import BEGIN

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SPELLINGS = [
    "2013-03-01T00:00:00Z",
    "2013-03-01T00:00:00.000Z",
    "2013-03-01T00:00:00.120Z",
    "2013-03-01T00:00:00.123456Z",
    "2013-03-01T02:00:00+02:00",
]
ENTRIES = st.lists(
    st.builds(
        Entry,
        at=st.sampled_from(SPELLINGS).map(WrittenInstant.read),
        action=st.sampled_from(["transition", "run_opened"]),
        actor=st.text(min_size=1, max_size=5),
        version=st.none() | st.integers(1, 9),
        reason=st.none() | st.text(max_size=8),
        details=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    ),
    min_size=2,
    max_size=8,
)


def chain(entries: list[Entry]) -> tuple[list[AuditRecord], AuditHead]:
    """A chain as several commits write it: one entry each."""
    records: list[AuditRecord] = []
    head = None
    for index, entry in enumerate(entries):
        new, head = seal([entry], model="flights", operation=f"operation-{index}", head=head)
        records += new
    assert head is not None
    return records, head


@pytest.mark.slow
@given(entries=ENTRIES)
def test_an_untouched_chain_is_intact_also_after_the_table(entries: list[Entry]) -> None:
    records, head = chain(entries)
    read_back = [AuditRecord.from_item(r.to_item()) for r in records]
    verdict = verify_chain(read_back, AuditHead.from_item(head.to_item()))
    assert verdict.intact
    assert verdict.records == len(entries)
    assert verdict.head == head.hash


@pytest.mark.slow
@given(entries=ENTRIES)
def test_entries_sealed_together_and_one_by_one_are_the_same_chain_but_for_their_operation(
    entries: list[Entry],
) -> None:
    together, head = seal(entries, model="flights", operation="o", head=None)
    assert verify_chain(together, head).intact
    assert [r.sequence for r in together] == list(range(1, len(entries) + 1))


@pytest.mark.slow
@given(entries=ENTRIES, data=st.data())
def test_altering_any_field_of_any_record_is_found(entries: list[Entry], data: st.DataObject) -> None:
    records, head = chain(entries)
    index = data.draw(st.integers(0, len(records) - 1))
    field = data.draw(st.sampled_from(["at", "action", "actor", "operation", "model", "reason", "run_id"]))
    found = getattr(records[index], field)
    altered: dict[str, Any] = {field: found + timedelta(milliseconds=1) if field == "at" else f"{found} tampered"}
    records[index] = replace(records[index], **altered)
    verdict = verify_chain(records, head)
    assert "altered" in {p.kind for p in verdict.problems}
    assert index + 1 in {p.sequence for p in verdict.problems}


@pytest.mark.slow
@given(entries=ENTRIES, data=st.data())
def test_an_instant_that_is_spelled_otherwise_is_found(entries: list[Entry], data: st.DataObject) -> None:
    records, head = chain(entries)
    index = data.draw(st.integers(0, len(records) - 1))
    record = records[index]
    spelled = data.draw(st.sampled_from([f"{record.at:%Y-%m-%dT%H:%M:%S.%f}+00:00", f"{record.at:%Y%m%dT%H%M%S.%f}Z"]))
    records[index] = AuditRecord.from_item(record.to_item() | {"at": {"S": spelled}})
    assert records[index].at == record.at
    assert [(p.kind, p.sequence) for p in verify_chain(records, head).problems] == [("altered", index + 1)]


@pytest.mark.slow
@given(entries=ENTRIES, data=st.data())
def test_a_record_altered_and_hashed_again_no_longer_fits_the_chain(entries: list[Entry], data: st.DataObject) -> None:
    records, head = chain(entries)
    index = data.draw(st.integers(0, len(records) - 1))
    victim = records[index]
    forged = Entry(victim.at, "approved", victim.actor, victim.version, victim.run_id, victim.reason, victim.details)
    before = AuditHead("flights", index, victim.previous_hash)
    ((records[index],), _) = seal([forged], model="flights", operation=victim.operation, head=before)
    assert not verify_chain(records, head).intact


@pytest.mark.slow
@given(entries=ENTRIES, data=st.data())
def test_removing_any_record_is_found(entries: list[Entry], data: st.DataObject) -> None:
    records, head = chain(entries)
    del records[data.draw(st.integers(0, len(records) - 1))]
    assert {p.kind for p in verify_chain(records, head).problems} & {"missing", "truncated"}


@pytest.mark.slow
@given(entries=ENTRIES, data=st.data())
def test_exchanging_two_records_is_found(entries: list[Entry], data: st.DataObject) -> None:
    records, head = chain(entries)
    first = data.draw(st.integers(0, len(records) - 2))
    second = data.draw(st.integers(first + 1, len(records) - 1))
    records[first], records[second] = records[second], records[first]
    assert not verify_chain(records, head).intact


@pytest.mark.slow
@given(entries=ENTRIES)
def test_moving_the_head_back_removing_it_or_cutting_everything_off_is_found(entries: list[Entry]) -> None:
    records, head = chain(entries)
    earlier = AuditHead("flights", records[-2].sequence, records[-2].hash)
    assert [p.kind for p in verify_chain(records, earlier).problems] == ["head"]
    assert [p.kind for p in verify_chain(records, None).problems] == ["head"]
    assert [p.kind for p in verify_chain([], head).problems] == ["truncated"]


def test_a_chain_of_nothing_is_intact() -> None:
    assert verify_chain([], None).intact


def test_a_long_chain_is_checked_in_proportion() -> None:
    def sealed(length: int) -> tuple[list[AuditRecord], AuditHead]:
        entries = [Entry(at=BEGIN, action="asked", actor="a", reason="x" * 50) for _ in range(length)]
        return seal(entries, model="m", operation="o", head=None)

    assert_linear(sealed, lambda made: verify_chain(*made), size=100, cost=calls)
