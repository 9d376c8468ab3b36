from __future__ import annotations

import json
from typing import Any

import pytest

from everloop.registry import RegistryError, RegistryStore, Snapshot, UnknownVersionError, keys, status, trace
from everloop.registry import verify_audit as verify
from tests.fakes.registry_table import TABLE, UnreliableClient
from tests.helpers.registry_scenes import FAILED, at, close_run, crown, open_run, register


@pytest.fixture
def history(store: RegistryStore) -> RegistryStore:
    """Version 1 serves; version 2 failed its gate; both were trained on s1."""
    store.put_snapshot(Snapshot("flights", "s1", "s3://lake/s1/", at(0), {"rows": {"train": 5}}))
    crown(store, "train-1")
    open_run(store, "train-2", when=at(60))
    register(store, "train-2", gate=FAILED)
    close_run(store, "train-2", status="rejected")
    return store


class TestStatus:
    def test_of_a_model_that_never_ran(self, store: RegistryStore):
        found = status(store)
        assert found.champion is None
        assert found.runs == []

    def test_says_what_serves_and_what_ran(self, history: RegistryStore, client: UnreliableClient):
        client.page_size = 2
        open_run(history, "train-3", when=at(90))
        found = status(history)
        assert found.champion.version == 1
        assert found.champion_version.manifest_sha256 == "manifest-1"
        assert found.active_run.run_id == "train-3"
        assert [(r.run_id, r.verdict) for r in found.runs] == [
            ("train-3", None),
            ("train-2", "fail"),
            ("train-1", "pass"),
        ]
        assert found.versions == {"retraining": [1], "experimenting": [2]}
        assert json.loads(json.dumps(found.to_json()))["champion_version"]["state"] == "retraining"


class TestTrace:
    def test_of_what_serves(self, history: RegistryStore, client: UnreliableClient):
        client.page_size = 3
        found = trace(history)
        assert found.serves
        assert found.champion.code_sha256 == "fc1"
        assert found.version.files["model.onnx"]["sha256"] == "hash-of-train-1"
        assert found.snapshot.uri == "s3://lake/s1/"
        assert found.run.trigger["reason"] == "a person asked"
        moves = [(d["from"], d["to"]) for d in found.decided_by if d["action"] == "transition"]
        assert moves[:3] == [("experimenting", "evaluated"), ("evaluated", "staging"), ("staging", "production")]
        assert {d["by"] for d in found.decided_by} == {"test"}
        assert found.same_snapshot == [("flights", 2)]
        assert json.loads(json.dumps(found.to_json()))["version"]["version"] == 1

    def test_of_a_rejected_version(self, history: RegistryStore):
        found = trace(history, 2)
        assert not found.serves
        assert found.champion is None
        assert "not better" in found.version.reason

    def test_back_from_a_snapshot_to_every_model(self, history: RegistryStore, client: UnreliableClient):
        crown(RegistryStore(client, TABLE, "loans"), "train-1")
        client.page_size = 1
        found = set(history.versions_of_snapshot("s1"))
        assert found == {("flights", 1), ("flights", 2), ("loans", 1)}

    def test_of_nothing(self, store: RegistryStore):
        with pytest.raises(RegistryError, match="nothing serves"):
            trace(store)
        with pytest.raises(UnknownVersionError):
            trace(store, 4)


class TestVerify:
    def test_an_untouched_record_is_sound(self, history: RegistryStore, client: UnreliableClient):
        client.page_size = 4
        verdict = verify(history)
        assert verdict.sound
        assert verdict.chain.records == history.audit_head().sequence

    @pytest.mark.parametrize(
        ("sort_key", "name", "value"),
        [
            (keys.audit(3), "details", {"S": '{"from":"experimenting","to":"production"}'}),
            (keys.audit(2), "actor", {"S": "somebody else"}),
            (keys.AUDIT_HEAD, "hash", {"S": "0" * 64}),
            (keys.AUDIT_HEAD, "sequence", {"N": "2"}),
            (keys.version(1), "manifest_sha256", {"S": "another artefact"}),
            (keys.version(1), "code_sha256", {"S": "other code"}),
            (keys.version(2), "state", {"S": "evaluated"}),
            (keys.version(2), "gate", {"S": '{"reasons":[],"verdict":"pass"}'}),
            (keys.CHAMPION, "version", {"N": "2"}),
        ],
    )
    def test_altering_any_record_is_found(
        self, history: RegistryStore, client: UnreliableClient, sort_key: str, name: str, value: dict[str, Any]
    ):
        key = {"pk": {"S": "MODEL#flights"}, "sk": {"S": sort_key}}
        client.update_item(
            TableName=TABLE,
            Key=key,
            UpdateExpression="SET #n = :v",
            ExpressionAttributeNames={"#n": name},
            ExpressionAttributeValues={":v": value},
        )
        verdict = verify(history)
        assert not verdict.sound
        assert verdict.problems

    @pytest.mark.parametrize(
        "sort_key", [keys.audit(1), keys.audit(4), keys.AUDIT_HEAD, keys.version(1), keys.version(2), keys.CHAMPION]
    )
    def test_removing_any_record_is_found(self, history: RegistryStore, client: UnreliableClient, sort_key: str):
        client.delete_item(TableName=TABLE, Key={"pk": {"S": "MODEL#flights"}, "sk": {"S": sort_key}})
        assert not verify(history).sound

    def test_cutting_off_the_end_is_found(self, history: RegistryStore, client: UnreliableClient):
        last = history.audit_head().sequence
        client.delete_item(TableName=TABLE, Key={"pk": {"S": "MODEL#flights"}, "sk": {"S": keys.audit(last)}})
        assert [p.kind for p in verify(history).chain.problems] == ["truncated"]

    def test_records_appended_meanwhile_are_no_tampering(self, history: RegistryStore, client: UnreliableClient):
        original, calls = client._client.query, []

        def query(**arguments: Any) -> Any:
            if not calls:
                calls.append(1)
                open_run(history, "train-8", when=at(99))
            return original(**arguments)

        client.query = query
        assert verify(history).sound
