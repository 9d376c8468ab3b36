"""The registry by commands: the same refusals arrive, and what becomes of the function on the way is told apart."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from everloop.busy_services import ServiceBusyError
from everloop.registry import exceptions as declared
from everloop.registry.audit import Entry
from everloop.registry.exceptions import (
    CommandRefusedError,
    QuotaExceededError,
    RegistryError,
    RunAlreadyActiveError,
    UnknownRefusalError,
    UnknownRunError,
    UnknownStatusError,
    WriterFailedError,
)
from everloop.registry.refusals import Refusal, refusal_document, refusal_from
from everloop.registry.remote import RemoteRegistry, RemoteRollouts, RemoteRuns, RemoteVersions, invoking
from everloop.registry.rollouts import Rollouts
from everloop.registry.runs import Runs
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.versions import Versions
from tests.fakes.registry_function import FakeRegistryFunction, remote_registry
from tests.fakes.registry_table import TABLE, UnreliableClient
from tests.helpers.registry_scenes import at, close_run, open_run, register, start_rollout, text_at

CLASSES = [
    kind
    for _, kind in inspect.getmembers(declared, inspect.isclass)
    if issubclass(kind, RegistryError) and kind.__module__ == declared.__name__
]
WRITES = {
    "versions": {"register", "mark_evaluated", "retire"},
    "runs": {"open", "close", "release_stale"},
    "rollouts": {
        *("start", "step", "record_check", "pause", "resume", "promote", "roll_back", "end", "republish"),
        "note_reconciled",
    },
}
READS = {
    "versions": {"all", "champion", "check_place", "expect", "get", "of_snapshot", "place"},
    "runs": {"active", "all", "check_active", "find", "get"},
    "rollouts": {"all", "find", "get"},
}
NOT_OFFERED = {"versions": {"transition"}, "runs": set(), "rollouts": set()}
ROOMS = {"versions": (Versions, RemoteVersions), "runs": (Runs, RemoteRuns), "rollouts": (Rollouts, RemoteRollouts)}


@pytest.fixture
def function(client: UnreliableClient) -> FakeRegistryFunction:
    return FakeRegistryFunction(client, "flights")


@pytest.fixture
def remote(client: UnreliableClient, function: FakeRegistryFunction) -> RemoteRegistry:
    return remote_registry(client, "flights", function=function)


class TestRefusals:
    @pytest.mark.parametrize("kind", [*CLASSES, ServiceBusyError])
    def test_each_comes_back_as_itself(self, kind: type[Refusal]) -> None:
        error = kind.__new__(kind, "why")
        error.__dict__["fact"] = 3
        back = refusal_from(refusal_document(error))
        assert (type(back), str(back), vars(back)) == (kind, "why", {"fact": 3})

    def test_with_what_it_says_besides(self, remote: RemoteRegistry) -> None:
        open_run(remote, "train-1", when=at(1))
        with pytest.raises(RunAlreadyActiveError, match="train-1 has been active") as refused:
            open_run(remote, "train-2")
        assert (refused.value.run_id, refused.value.started_at) == ("train-1", text_at(1))
        close_run(remote, "train-1")
        with pytest.raises(QuotaExceededError) as spent:
            open_run(remote, "train-2", runs=1)
        assert spent.value.allowed == 1

    def test_one_of_a_newer_function_is_still_a_refusal(self) -> None:
        error = refusal_from({"error": "QuiteNewError", "message": "why", "facts": {}})
        assert type(error) is UnknownRefusalError
        assert isinstance(error, RegistryError)
        assert str(error) == "QuiteNewError: why"


class TestTheWay:
    @pytest.mark.parametrize("fault", ["after", "twice", "ended"])
    def test_a_command_that_was_carried_out_may_be_sent_again(
        self, remote: RemoteRegistry, function: FakeRegistryFunction, fault: str
    ) -> None:
        function.faults = [fault]
        if fault == "twice":
            open_run(remote, "train-1")
        else:
            with pytest.raises(Exception, match=r"timeout|timed out|ended"):
                open_run(remote, "train-1")
        assert open_run(remote, "train-1").status == "open"
        assert [r.action for r in remote.ledger.audit_records()] == ["run_opened"]

    def test_a_function_that_was_ended_is_busy(self, remote: RemoteRegistry, function: FakeRegistryFunction) -> None:
        function.faults = ["ended"]
        with pytest.raises(ServiceBusyError, match=r"flights-registry:run was stopped .* try again"):
            open_run(remote, "train-1")

    def test_a_function_that_failed_is_not(self, remote: RemoteRegistry, function: FakeRegistryFunction) -> None:
        function.faults = ["crashed"]
        with pytest.raises(WriterFailedError, match="KeyError: 'pk'"):
            open_run(remote, "train-1")
        with pytest.raises(UnknownRunError):
            remote.runs.get("train-1")

    def test_a_busy_table_behind_it_is_busy(self, remote: RemoteRegistry, client: UnreliableClient) -> None:
        client.faults = ["before"]
        with pytest.raises(ServiceBusyError):
            open_run(remote, "train-1")


class TestWhatItOffers:
    @pytest.mark.parametrize("room", sorted(ROOMS))
    def test_every_write_of_the_store_is_a_command_or_not_offered(self, room: str) -> None:
        local, remote = ROOMS[room]
        public = {name for name, _ in inspect.getmembers(local, inspect.isfunction) if name[0] != "_"}
        sent = {name for name in vars(remote) if name[0] != "_"}
        assert sent == WRITES[room]
        assert public - sent - READS[room] == NOT_OFFERED[room]

    def test_the_ledger_commits_nothing(self, remote: RemoteRegistry) -> None:
        with pytest.raises(CommandRefusedError, match="it has no command for this"):
            remote.ledger.note(Entry(at(1), "noted", "a"), operation="o")

    def test_nothing_is_written_from_here(self, remote: RemoteRegistry) -> None:
        open_run(remote, "train-1")
        register(remote, "train-1")
        with pytest.raises(CommandRefusedError):
            remote.versions.transition(
                1, State.RETIRED, expected=State.EVALUATED, operation="o", at=at(1), actor="a", reason="why"
            )
        assert remote.versions.get(1).state is State.EVALUATED

    def test_another_callers_command_is_refused(self, client: UnreliableClient, function: FakeRegistryFunction) -> None:
        run = RemoteRegistry(client, TABLE, "flights", send=invoking(function, "everloop-flights-registry:run"))
        open_run(run, "train-1")
        with pytest.raises(CommandRefusedError, match="the caller run may send"):
            run.rollouts.promote("train-1", at=at(1), actor="forger")
        unqualified = RemoteRegistry(client, TABLE, "flights", send=invoking(function, "everloop-flights-registry"))
        with pytest.raises(CommandRefusedError, match="this one came to none"):
            open_run(unqualified, "train-2")


class TestBeginnings:
    """What a caller says of a rollout is its beginning, and its ends are two."""

    def test_a_rollout_that_would_begin_in_the_middle(self, store: RegistryStore, direct: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1")
        begun = start_rollout(store, "train-1", 1)
        facts: Any = begun.to_json()
        for change in ({"status": "baking"}, {"step_index": 3}, {"kind": "quietly"}):
            with pytest.raises(UnknownStatusError, match="a rollout starts"):
                direct.rollouts.start(type(begun)(**facts | change), at=at(2), actor="a")

    def test_a_rollout_that_would_end_as_anything(self, store: RegistryStore) -> None:
        with pytest.raises(UnknownStatusError, match="not 'canary'"):
            store.rollouts.end("train-1", status="canary", at=at(2), actor="a")

    def test_a_version_whose_gate_failed_is_not_evaluated(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1", gate={"verdict": "fail", "reasons": []})
        with pytest.raises(RegistryError, match="said 'fail'"):
            store.versions.mark_evaluated(1, at=at(1), actor="a")
