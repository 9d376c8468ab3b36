"""Audit records that are locked: in order, once, and held against the table's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from everloop.busy_services import ServiceBusyError
from everloop.registry.commands import KeepRequest, OpenRun, encoded
from everloop.registry.exceptions import AuditAheadError, LockedRecordDiffersError
from everloop.registry.locked_audit import LockedAudit, compare, content_of
from everloop.registry.store import RegistryStore
from everloop.registry.writer import answer
from tests.fakes.audit_bucket import BUCKET, FakeAuditBucket
from tests.fakes.aws import aws_client
from tests.fakes.registry_table import TABLE, alter, dynamodb
from tests.helpers.registry_scenes import TRIGGER, at, crown, open_run

OPEN = encoded(OpenRun("train-1", "train", TRIGGER, at(0), "test", 10, 7))


def send(locked: LockedAudit, store: RegistryStore, document: Any = OPEN, caller: str = "run") -> Any:
    return answer(document, caller, lambda _: store, locked)


def sequences(locked: LockedAudit) -> list[int]:
    return [one.sequence for one in locked.stored()]


class TestOneContract:
    """Of moto's S3 and of the bucket in memory that most tests have."""

    @pytest.fixture(params=["moto", "in memory"])
    def contracted(self, request: pytest.FixtureRequest) -> Iterator[LockedAudit]:
        with mock_aws():
            s3: Any = aws_client("s3") if request.param == "moto" else FakeAuditBucket()
            if request.param == "moto":
                s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
            yield LockedAudit(s3, BUCKET, "flights")

    @pytest.mark.slow
    def test_records_are_put_once_and_read_in_order(self, contracted: LockedAudit) -> None:
        dynamodb()
        store = RegistryStore(dynamodb(), TABLE, "flights")
        assert contracted.end(store.ledger) == 0
        crown(store, "train-1")
        records = list(store.ledger.audit_records())
        contracted.lock(records)
        contracted.lock(records)
        assert contracted.end(store.ledger) == len(records) > 3
        assert [one.content for one in contracted.stored()] == [content_of(record) for record in records]
        assert contracted.of(records[1]) == content_of(records[1])
        assert contracted.of(replace(records[1], sequence=99)) is None
        with pytest.raises(LockedRecordDiffersError, match=r"another audit record 2 is locked in s3://everloop-audit"):
            contracted.lock([replace(records[1], actor="somebody else")])
        assert compare(contracted.stored(), records).problems == ()


def test_a_command_is_answered_once_its_record_is_locked(direct: RegistryStore, locked: LockedAudit) -> None:
    assert "record" in send(locked, direct)
    (record,) = direct.ledger.audit_records()
    assert [one.content for one in locked.stored()] == [content_of(record)]


@pytest.mark.parametrize("fault", ["SlowDown", "RequestTimeout"])
def test_what_a_busy_bucket_missed_is_locked_by_the_repetition(
    direct: RegistryStore, locked: LockedAudit, bucket: FakeAuditBucket, fault: str
) -> None:
    bucket.faults = ["after" if fault == "RequestTimeout" else fault]
    assert send(locked, direct)["refused"]["error"] == ServiceBusyError.__name__
    assert direct.runs.active() is not None, "the command itself was carried out"
    assert "record" in send(locked, direct)
    assert sequences(locked) == [1]


def test_two_who_put_at_once_agree(direct: RegistryStore, locked: LockedAudit, bucket: FakeAuditBucket) -> None:
    bucket.faults = ["ConditionalRequestConflict", "ConditionalRequestConflict"]
    assert "record" in send(locked, direct)
    bucket.versions.clear()
    bucket.faults = ["ConditionalRequestConflict"] * 3
    assert send(locked, direct)["refused"]["error"] == ServiceBusyError.__name__


@pytest.mark.slow
def test_a_registry_of_an_earlier_release_is_locked_by_its_next_command(
    direct: RegistryStore, locked: LockedAudit
) -> None:
    crown(direct, "train-0")
    for number in range(60):
        open_run(direct, f"old-{number}", kind="smoke")
        direct.runs.close(f"old-{number}", status="succeeded", cause=None, at=at(1), actor="test", trained=False)
    assert sequences(locked) == []
    send(locked, direct)
    records = list(direct.ledger.audit_records())
    assert sequences(locked) == list(range(1, len(records) + 1))
    assert compare(locked.stored(), records).problems == ()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.booleans(), min_size=1, max_size=12))
def test_what_is_locked_is_always_the_beginning_of_the_chain(ends: list[bool]) -> None:
    """Whenever the function ends between the transaction and the object."""
    with mock_aws():
        store, bucket = RegistryStore(dynamodb(), TABLE, "flights"), FakeAuditBucket()
        locked = LockedAudit(bucket, BUCKET, "flights")
        for number, ended in enumerate(ends):
            bucket.faults = ["SlowDown"] if ended else []
            wanted = KeepRequest(f"asked-{number}", TRIGGER, "train-1", at(number), "test")
            assert ("refused" in send(locked, store, encoded(wanted), "release")) == ended
            done = sequences(locked)
            assert done == list(range(1, len(done) + 1))
            assert ended or len(done) == number + 1


def test_a_table_that_was_set_back_is_not_written(direct: RegistryStore, locked: LockedAudit) -> None:
    send(locked, direct)
    earlier = RegistryStore(direct.ledger.client, TABLE, "restored")
    ahead = LockedAudit(locked._s3, BUCKET, "flights")
    with pytest.raises(AuditAheadError, match="ends with record 0, and records up to 1 are locked"):
        ahead.end(earlier.ledger)
    refused = answer(OPEN, "run", lambda _: earlier, ahead)["refused"]
    assert refused["error"] == "AuditAheadError"
    assert earlier.ledger.audit_head() is None, "nothing was written"


def test_a_record_that_was_put_in_its_place_before_is_an_error(
    direct: RegistryStore, locked: LockedAudit, bucket: FakeAuditBucket
) -> None:
    """Whoever gets hold of the role may take a place that is still free; the true record then says so."""
    store = RegistryStore(direct.ledger.client, TABLE, "flights")
    ahead = locked.key(1)

    class Overtaken(FakeAuditBucket):
        def put_object(self, **given: Any) -> dict[str, Any]:
            self.versions.setdefault(ahead, [b"{}"])
            return super().put_object(**given)

    with pytest.raises(LockedRecordDiffersError, match="`everloop audit verify` compares them"):
        send(LockedAudit(Overtaken(), BUCKET, "flights"), store)


class TestComparing:
    @pytest.fixture
    def store(self, direct: RegistryStore, locked: LockedAudit) -> RegistryStore:
        crown(direct, "train-1")
        locked.lock(direct.ledger.audit_records())
        return direct

    def test_an_altered_record_is_found_even_where_the_chain_was_sealed_anew(
        self, store: RegistryStore, locked: LockedAudit
    ) -> None:
        alter(store.ledger.client, "AUDIT#000000000002", "actor", {"S": "somebody else"})
        records = list(store.ledger.audit_records())
        assert compare(locked.stored(), records).problems == ("audit record 2 of the table is not the locked one",)
        locked.require_unaltered([records[0]])
        with pytest.raises(LockedRecordDiffersError, match="audit record 2 of the table is not the one"):
            locked.require_unaltered(records)

    def test_a_record_that_is_gone_is_found(self, store: RegistryStore, locked: LockedAudit) -> None:
        records = list(store.ledger.audit_records())
        assert compare(locked.stored(), records[:-1]).problems == (
            f"audit record {len(records)} is locked, and not in the table",
        )

    def test_what_waits_to_be_locked_is_no_problem(self, store: RegistryStore, locked: LockedAudit) -> None:
        before = len(list(store.ledger.audit_records()))
        open_run(store, "train-2")
        records = list(store.ledger.audit_records())
        found = compare(locked.stored(), records)
        assert (found.locked, found.problems) == (before, ())
        assert len(records) > before

    def test_a_gap_a_second_version_and_a_delete_marker_are_found(
        self, store: RegistryStore, locked: LockedAudit
    ) -> None:
        records, stored = list(store.ledger.audit_records()), locked.stored()
        touched = [stored[0], replace(stored[1], versions=2), replace(stored[2], hidden=True), *stored[4:]]
        assert compare(touched, records).problems == (
            "the locked audit record 2 was written over 1 times",
            "the locked audit record 3 was deleted; its first version is kept, and was read",
            "audit record 4 is not locked, though later ones are",
        )

    def test_the_first_version_is_what_counts(
        self, store: RegistryStore, locked: LockedAudit, bucket: FakeAuditBucket
    ) -> None:
        records = list(store.ledger.audit_records())
        bucket.versions[locked.key(2)].append(b"forged")
        assert compare(locked.stored(), records).problems == ("the locked audit record 2 was written over 1 times",)
