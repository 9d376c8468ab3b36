"""A request to train that came while none could start is kept once, audited, and not to be altered unseen."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.registry import keys
from everloop.registry.kept_requests import KeptRequest
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import TABLE, UnreliableClient, alter
from tests.helpers.registry_scenes import at

ASKED: dict[str, Any] = {
    "trigger": {"kind": "manual", "reason": "new stations", "requested_at": at(5), "window_end": None},
    "held_by": "the run train-1",
    "actor": "a person",
}


def test_it_is_kept_once_by_whoever_asks_first(client: UnreliableClient) -> None:
    store = remote_registry(client, "flights")
    first = store.kept_requests.keep("asked-1", at=at(5), **ASKED)
    again = store.kept_requests.keep("asked-1", at=at(9), **{**ASKED, "actor": "another"})
    assert first == again == store.kept_requests.find("asked-1")
    assert (first.kept_at, first.actor) == (at(5), "a person")
    entries = [r for r in store.ledger.audit_records() if r.action == "request_kept"]
    assert [(e.actor, e.reason, e.details["request_id"]) for e in entries] == [("a person", "new stations", "asked-1")]
    # AND the audit says by whom it came: a person, or the pipeline whose run could not open
    store.kept_requests.keep_refused("train-2", at=at(10), **ASKED)
    via = [r.details["via"] for r in store.ledger.audit_records() if r.action == "request_kept"]
    assert via == ["release", "run"]
    assert [r.request_id for r in store.kept_requests.all()] == ["train-2", "asked-1"]
    assert verify_audit(store).sound


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("held_by", {"S": "nothing"}, "request asked-1: held_by is nothing"),
        ("trigger", {"S": '{"kind":"manual","reason":"none"}'}, "request asked-1: trigger is"),
        ("actor", None, "actor"),
    ],
)
def test_what_is_altered_is_found(
    client: UnreliableClient, direct: RegistryStore, name: str, value: dict[str, Any] | None, said: str
) -> None:
    direct.kept_requests.keep("asked-1", at=at(5), **ASKED)
    assert verify_audit(direct).sound
    alter(client, keys.kept_request("asked-1"), name, value)
    assert any(said in problem for problem in verify_audit(direct).problems)


def test_one_that_nobody_asked_for_is_found(client: UnreliableClient, direct: RegistryStore) -> None:
    forged = KeptRequest("flights", "asked-9", at(5), ASKED["trigger"], "nothing", "nobody")
    client.put_item(TableName=TABLE, Item=forged.to_item())
    assert "request asked-9 is in the table, but not in the audit chain" in verify_audit(direct).problems
