"""A removal is the last record of a model's life in an account: once, with its reason, and with the bake it ends."""

from __future__ import annotations

import pytest

from everloop.registry.exceptions import ReasonMissingError, RunAlreadyActiveError
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import UnreliableClient
from tests.helpers.registry_scenes import at, close_run, crown, open_run

STACK = "arn:aws:cloudformation:us-east-1:1:stack/EverloopModel-flights/4d2e"


def begin(store: RegistryStore, *, stack: str = STACK, reason: str = "no longer sold", minute: int = 90) -> None:
    store.removals.begin(stack, reason=reason, at=at(minute), actor="a person")


def test_it_is_recorded_once_for_each_stack_and_changes_nothing_that_was_decided(client: UnreliableClient) -> None:
    store = remote_registry(client, "flights")
    crown(store, "train-1")
    champion, version = store.versions.champion(), store.versions.get(1)
    begin(store)
    begin(store, reason="typed again")
    # AND a model that was deployed again is removed once more
    begin(store, stack=f"{STACK}-again", reason="and for good", minute=95)
    told = [r for r in store.ledger.audit_records() if r.action == "removal_begun"]
    assert [(r.reason, r.actor, r.details["stack_id"], r.details["via"]) for r in told] == [
        ("no longer sold", "a person", STACK, "release"),
        ("and for good", "a person", f"{STACK}-again", "release"),
    ]
    assert (store.versions.champion(), store.versions.get(1)) == (champion, version)
    assert verify_audit(store).sound


def test_the_bake_that_it_ends_is_named_and_what_was_promoted_stays_the_champion(store: RegistryStore) -> None:
    crown(store, "train-1", complete=False)
    close_run(store, "train-1", status="failed")
    (baking,) = store.rollouts.all()
    assert baking.status == "baking"
    begin(store)
    (ended,) = store.rollouts.all()
    assert (ended.status, ended.ended_at, ended.is_open) == ("removed", at(90), False)
    (record,) = [r for r in store.ledger.audit_records() if r.action == "removal_begun"]
    assert record.details["rollouts_ended"] == [baking.rollout_id]
    assert store.versions.get(1).state is State.PRODUCTION
    assert verify_audit(store).sound


def test_while_a_run_is_open_it_is_refused(store: RegistryStore) -> None:
    open_run(store, "train-1")
    before = store.ledger.audit_head()
    with pytest.raises(RunAlreadyActiveError, match="train-1"):
        begin(store)
    assert store.ledger.audit_head() == before


def test_it_needs_a_reason(store: RegistryStore) -> None:
    with pytest.raises(ReasonMissingError, match="removing flights needs a reason"):
        begin(store, reason=" ")
    assert store.ledger.audit_head() is None
