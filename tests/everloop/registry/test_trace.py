from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from everloop.documents.records import Trigger
from everloop.documents.snapshot import SnapshotDocument
from everloop.registry import keys
from everloop.registry.audit import Entry, seal
from everloop.registry.evidence import record_sha256
from everloop.registry.exceptions import RegistryError, UnknownVersionError
from everloop.registry.records import Snapshot, Window
from everloop.registry.store import RegistryStore
from everloop.registry.trace import status, trace
from everloop.registry.trace import verify_audit as verify
from tests.fakes.registry_table import TABLE, UnreliableClient, alter
from tests.helpers.present import present
from tests.helpers.registry_scenes import (
    REFIT,
    at,
    champion_and_rejected,
    close_run,
    crown,
    manifest_of,
    open_run,
    register,
    start_rollout,
    text_at,
)


@pytest.fixture
def history(store: RegistryStore) -> RegistryStore:
    return champion_and_rejected(store)


class TestStatus:
    def test_of_a_model_that_never_ran(self, store: RegistryStore) -> None:
        found = status(store)
        assert found.champion is None
        assert found.runs == []

    @pytest.mark.slow
    def test_says_what_serves_and_what_ran(self, history: RegistryStore, client: UnreliableClient) -> None:
        client.page_size = 2
        open_run(history, "train-3", when=at(90))
        found = status(history)
        assert present(found.champion).version == 1
        assert present(found.champion_version).manifest_sha256 == manifest_of(present(found.champion_version)).sha256
        assert present(found.active_run).run_id == "train-3"
        assert [(r.run_id, r.verdict) for r in found.runs] == [
            ("train-3", None),
            ("train-2", "fail"),
            ("train-1", "pass"),
        ]
        assert found.versions == {"retraining": [1], "experimenting": [2]}
        assert json.loads(json.dumps(found.to_json()))["champion_version"]["state"] == "retraining"


class TestTrace:
    def test_of_what_serves(self, history: RegistryStore, client: UnreliableClient) -> None:
        client.page_size = 3
        found = trace(history)
        assert found.serves
        assert present(found.champion).code_sha256 == "fc1"
        assert found.version.files["model.onnx"]["sha256"] == "hash-of-train-1"
        assert present(found.snapshot).uri == "s3://lake/s1/"
        assert found.run.trigger["reason"] == "a person asked"
        moves = [(d["from"], d["to"]) for d in found.decided_by if d["action"] == "transition"]
        assert moves[:3] == [("experimenting", "evaluated"), ("evaluated", "staging"), ("staging", "production")]
        assert {d["by"] for d in found.decided_by} == {"test"}
        assert found.same_snapshot == [("flights", 2)]
        assert json.loads(json.dumps(found.to_json()))["version"]["version"] == 1

    def test_of_a_rejected_version(self, history: RegistryStore) -> None:
        found = trace(history, 2)
        assert not found.serves
        assert found.champion is None
        assert "not better" in present(found.version.reason)

    def test_back_from_a_snapshot_to_every_model(self, history: RegistryStore, client: UnreliableClient) -> None:
        crown(RegistryStore(client, TABLE, "loans"), "train-1")
        client.page_size = 1
        found = set(history.versions.of_snapshot("s1"))
        assert found == {("flights", 1), ("flights", 2), ("loans", 1)}

    def test_of_nothing(self, store: RegistryStore) -> None:
        with pytest.raises(RegistryError, match="has no champion"):
            trace(store)
        with pytest.raises(UnknownVersionError):
            trace(store, 4)


class TestVerify:
    def test_an_untouched_record_is_sound(self, history: RegistryStore, client: UnreliableClient) -> None:
        client.page_size = 4
        verdict = verify(history)
        assert verdict.sound
        assert verdict.chain.records == present(history.ledger.audit_head()).sequence

    def test_a_chain_hashed_anew_that_tells_of_nothing_is_no_crash(
        self, history: RegistryStore, client: UnreliableClient
    ) -> None:
        """Whoever can rewrite the whole chain makes it intact; what it then leaves out, the table still says."""
        entries = [Entry(r.at, r.action, r.actor, r.version, r.run_id) for r in history.ledger.audit_records()]
        records, head = seal(entries, model="flights", operation="forged", head=None)
        for record in [*records, head]:
            client.put_item(TableName=TABLE, Item=record.to_item())
        verdict = verify(history)
        assert verdict.chain.intact
        assert "version 1: state is production; the audit chain says None" in verdict.problems
        assert "the champion pointer: lambda_version is 10; the audit chain says None" in verdict.problems

    def test_an_unreadable_version_hides_nothing_about_the_others(
        self, history: RegistryStore, client: UnreliableClient
    ) -> None:
        alter(client, keys.version(1), "files", {"S": "{"})
        alter(client, keys.version(2), "state", {"S": "evaluated"})
        alter(client, keys.version(2), "state_pk", {"S": "STATE#evaluated"})
        problems = "\n".join(verify(history).problems)
        assert "MODEL#flights / VERSION#000001 is not a valid Version" in problems
        assert "version 2: state is evaluated; the audit chain says experimenting" in problems

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "sort_key", [keys.audit(1), keys.audit(4), keys.AUDIT_HEAD, keys.version(1), keys.version(2), keys.CHAMPION]
    )
    def test_removing_any_record_is_found(
        self, history: RegistryStore, client: UnreliableClient, sort_key: str
    ) -> None:
        client.delete_item(TableName=TABLE, Key={"pk": {"S": "MODEL#flights"}, "sk": {"S": sort_key}})
        assert not verify(history).sound

    def test_cutting_off_the_end_is_found(self, history: RegistryStore, client: UnreliableClient) -> None:
        last = present(history.ledger.audit_head()).sequence
        client.delete_item(TableName=TABLE, Key={"pk": {"S": "MODEL#flights"}, "sk": {"S": keys.audit(last)}})
        assert [p.kind for p in verify(history).chain.problems] == ["truncated"]

    def test_records_appended_meanwhile_are_no_tampering(
        self, history: RegistryStore, client: UnreliableClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original: Any = client._client.query
        calls: list[int] = []

        def query(**arguments: Any) -> Any:
            if not calls:
                calls.append(1)
                open_run(history, "train-8", when=at(99))
            return original(**arguments)

        monkeypatch.setattr(client, "query", query)
        assert verify(history).sound


class TestVerifyTheChampion:
    """The pointer is what the last promotion, or the rollback of one, says."""

    def test_while_new_code_bakes_after_it_and_after_its_rollback(self, history: RegistryStore) -> None:
        # GIVEN the champion of version 1 under new code
        open_run(history, "code-1", when=at(100), kind="rollout")
        start_rollout(history, "code-1", 1, kind="code", code="fc2")
        assert verify(history).sound
        history.rollouts.promote("code-1", at=at(110), actor="test")
        assert (present(history.versions.champion()).lambda_version, present(history.versions.champion()).since) == (
            "11",
            at(30),
        )
        assert verify(history).sound
        # WHEN it is taken back, the pointer is what it was, since now
        history.rollouts.roll_back("code-1", reasons=[], at=at(120), actor="test")
        assert (
            present(history.versions.champion()).lambda_version,
            present(history.versions.champion()).code_sha256,
        ) == ("10", "fc1")
        assert verify(history).problems == []

    @pytest.mark.slow
    def test_after_the_rollback_of_a_successor_and_of_a_first_one(self, store: RegistryStore) -> None:
        crown(store, "train-1", complete=False)
        store.rollouts.roll_back("train-1", reasons=[], at=at(40), actor="test")
        close_run(store, "train-1", status="rolled_back")
        assert store.versions.champion() is None
        assert verify(store).problems == []
        crown(store, "train-2")
        open_run(store, "train-3")
        number = register(store, "train-3").version
        start_rollout(store, "train-3", number)
        store.rollouts.promote("train-3", at=at(60), actor="test")
        store.rollouts.roll_back("train-3", reasons=[], at=at(70), actor="test")
        assert present(store.versions.champion()).version == 2
        assert verify(store).problems == []

    def test_a_rollback_before_the_promotion_moves_no_pointer(
        self, history: RegistryStore, client: UnreliableClient
    ) -> None:
        open_run(history, "train-3", when=at(100))
        number = register(history, "train-3").version
        start_rollout(history, "train-3", number)
        history.rollouts.roll_back("train-3", reasons=[], at=at(120), actor="test")
        assert verify(history).problems == []
        alter(client, keys.CHAMPION, "lambda_version", {"S": f"{number}0"})
        assert verify(history).problems == [
            f"the champion pointer: lambda_version is {number}0; the audit chain says 10"
        ]


def test_a_registration_recorded_by_an_earlier_release_is_sound(
    history: RegistryStore, client: UnreliableClient
) -> None:
    """GIVEN records that do not have every fact yet; THEN the facts they have are compared."""
    entries = []
    for record in history.ledger.audit_records():
        details = {k: v for k, v in record.details.items() if k not in ("artifact_prefix", "metrics")}
        entries.append(
            Entry(record.at, record.action, record.actor, record.version, record.run_id, record.reason, details)
        )
    records, head = seal(entries, model="flights", operation="old", head=None)
    for written in [*records, head]:
        client.put_item(TableName=TABLE, Item=written.to_item())
    assert verify(history).problems == []


SNAPSHOT: SnapshotDocument = {"rows": {"train": 9000, "test": 1000}, "boundary": at(1), "time_range": [at(0), at(2)]}


class TestOrigin:
    """Which bytes serve, and which were evaluated on what."""

    def test_of_evaluated_bytes(self, store: RegistryStore) -> None:
        store.snapshots.put(Snapshot(store.model, "s1", "s3://lake/s1/", at(0), SNAPSHOT))
        crown(store, "train-1")
        found = trace(store).origin
        assert (found.kind, found.evaluated_file) == ("evaluated", "model.onnx")
        assert found.serving_sha256 == found.evaluated_sha256 == "hash-of-train-1"
        assert (found.evaluated_rows, found.evaluated_after) == (1000, at(1))
        assert (found.learned_rows, found.learned_until) == (9000, at(1))

    def test_of_a_refit(self, store: RegistryStore) -> None:
        store.snapshots.put(Snapshot(store.model, "s1", "s3://lake/s1/", at(0), SNAPSHOT))
        open_run(store, "train-1")
        register(store, "train-1", refit=REFIT)
        found = trace(store, 1)
        assert (found.origin.kind, found.origin.evaluated_file) == ("refit", "evaluated/model.onnx")
        assert found.origin.serving_sha256 == "hash-of-train-1"
        assert found.origin.evaluated_sha256 == "sibling-of-train-1"
        assert (found.origin.evaluated_rows, found.origin.evaluated_after) == (1000, at(1))
        assert (found.origin.learned_rows, found.origin.learned_until) == (10_000, at(2))
        assert found.own_labels.state == "awaiting"
        assert json.loads(json.dumps(found.to_json()))["origin"]["kind"] == "refit"

    def test_of_a_snapshot_whose_record_is_gone(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1", refit=REFIT)
        found = trace(store, 1).origin
        assert (found.evaluated_rows, found.learned_rows, found.learned_until) == (None, None, None)

    def test_another_word_on_the_refit_contradicts_the_chain(
        self, store: RegistryStore, client: UnreliableClient
    ) -> None:
        open_run(store, "train-1")
        register(store, "train-1", refit=REFIT)
        assert verify(store).sound
        alter(client, keys.version(1), "refit", {"S": "{}"})
        assert [p for p in verify(store).problems if "version 1: refit is" in p]


class TestVerifyWhatDecided:
    """Windows and snapshots are written by others; the chain keeps the hash of those that a run or version rests on."""

    END = at(0)

    @pytest.fixture
    def decided(self, store: RegistryStore) -> RegistryStore:
        for day in (0, 1440):
            store.windows.put(Window("flights", at(day), {"drift": 0.25}))
        store.snapshots.put(Snapshot("flights", "s1", "s3://lake/s1/", at(0), {"rows": {"train": 5}}))
        trigger: Trigger = {"kind": "drift", "reason": "it drifted", "requested_at": at(0), "window_end": at(0)}
        store.runs.open("train-1", kind="train", trigger=trigger, at=at(1), actor="t", quota_runs=9, quota_days=7)
        register(store, "train-1")
        assert verify(store).problems == []
        return store

    def test_the_chain_keeps_their_hashes(self, decided: RegistryStore) -> None:
        opened, registered, *_ = decided.ledger.audit_records()
        assert opened.details["window_sha256"] == record_sha256(present(decided.windows.find(self.END)))
        assert registered.details["snapshot_sha256"] == record_sha256(present(decided.snapshots.find("s1")))

    def test_a_window_that_was_written_over_is_found(self, decided: RegistryStore, client: UnreliableClient) -> None:
        client.put_item(TableName=TABLE, Item=Window("flights", self.END, {"drift": 0.5}).to_item())
        assert verify(decided).problems == [
            f"window {text_at(0)} was changed after the decision: the audit chain has another hash of it"
        ]

    def test_a_snapshot_that_was_written_over_is_found(self, decided: RegistryStore, client: UnreliableClient) -> None:
        client.put_item(TableName=TABLE, Item=Snapshot("flights", "s1", "s3://lake/s2/", at(0), {}).to_item())
        assert verify(decided).problems == [
            "snapshot s1 was changed after the decision: the audit chain has another hash of it"
        ]

    def test_one_that_is_gone_or_can_not_be_read_is_found(
        self, decided: RegistryStore, client: UnreliableClient
    ) -> None:
        window, snapshot = (
            present(decided.windows.find(self.END)).to_item(),
            present(decided.snapshots.find("s1")).to_item(),
        )
        client.delete_item(TableName=TABLE, Key={name: window[name] for name in ("pk", "sk")})
        client.put_item(TableName=TABLE, Item=snapshot | {"document": {"S": "{"}})
        gone, unreadable = verify(decided).problems
        assert gone == f"window {text_at(0)} is in the audit chain, but its record is missing"
        assert "is not a valid Snapshot" in unreadable

    def test_a_window_on_which_nothing_rests_is_its_writers_own(
        self, decided: RegistryStore, client: UnreliableClient
    ) -> None:
        client.put_item(TableName=TABLE, Item=Window("flights", at(1440), {"drift": 0.5}).to_item())
        assert verify(decided).sound

    @pytest.mark.parametrize("end", [None, at(1440)])
    def test_a_trigger_that_names_no_recorded_window(self, store: RegistryStore, end: datetime | None) -> None:
        trigger: Trigger = {"kind": "manual", "reason": "asked", "window_end": end}
        store.runs.open("train-1", kind="train", trigger=trigger, at=at(1), actor="t", quota_runs=9, quota_days=7)
        (opened,) = store.ledger.audit_records()
        assert "window_sha256" not in opened.details
        assert verify(store).sound
