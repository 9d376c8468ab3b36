"""Whatever comes, in whatever order, however often, and however the network fails: one champion, an intact chain.

Whether the store writes itself, or sends commands to the registry function, on the way to which the network fails too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from moto import mock_aws

from everloop.busy_services import ServiceBusyError
from everloop.reasons import ReasonDocument
from everloop.registry.exceptions import RegistryError
from everloop.registry.states import SERVING, State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.fakes.registry_function import FakeRegistryFunction, remote_registry
from tests.fakes.registry_table import TABLE, UnreliableClient, dynamodb
from tests.helpers.registry_scenes import FAILED, PASSED, at, calibrate, close_run, open_run, register, start_rollout

pytestmark = pytest.mark.slow

RUNS = st.sampled_from(["train-1", "train-2", "train-3", "train-4"])
FAULTS = st.sampled_from(["fine", "fine", "before", "after", "twice"])
REASONS: list[ReasonDocument] = [{"code": "c", "sentence": "it failed"}]

Action = Callable[[RegistryStore, str], Any]


def _roll_out(store: RegistryStore, run_id: str) -> None:
    version = store.runs.get(run_id).version
    if version is not None:
        start_rollout(store, run_id, version)


def _retire(store: RegistryStore, run_id: str) -> None:
    version = store.runs.get(run_id).version
    if version is not None:
        store.versions.retire(version, reason="old", at=at(9), actor="t")


def _serving(store: RegistryStore) -> int:
    champion = store.versions.champion()
    return champion.version if champion else 1


def _revert(store: RegistryStore, run_id: str) -> None:
    given: dict[str, Any] = {
        "lambda_version": "20",
        "code_sha256": "fc1",
        "reason": "worse",
        "actor": "t",
        "at": at(int(run_id[-1])),
    }
    store.calibrations.revert(_serving(store), to=None, **given)


def _retire_from_any_state(store: RegistryStore, run_id: str) -> None:
    """By the store's own means, which no command reaches."""
    version = store.runs.get(run_id).version
    if version is not None:
        state = store.versions.get(version).state
        store.versions.transition(
            version, State.RETIRED, expected=state, operation=f"retire:{version}", at=at(9), actor="t", reason="old"
        )


ACTIONS: dict[str, Action] = {
    "open": open_run,
    "close": close_run,
    "release": lambda s, r: s.runs.release_stale(r, reason="dead", at=at(9), actor="t"),
    "register a good one": lambda s, r: register(s, r, gate=PASSED),
    "register a bad one": lambda s, r: register(s, r, gate=FAILED),
    "roll out": _roll_out,
    "step": lambda s, r: s.rollouts.step(r, step_index=0, percent=10, at=at(21), actor="t"),
    "promote": lambda s, r: s.rollouts.promote(r, at=at(30), actor="t"),
    "roll back": lambda s, r: s.rollouts.roll_back(r, reasons=REASONS, at=at(35), actor="t"),
    "complete": lambda s, r: s.rollouts.end(r, status="completed", at=at(40), actor="t"),
    "retire": _retire,
    "calibrate": lambda s, r: calibrate(s, at(int(r[-1]) + 50), version=_serving(s)),
    "take a calibration back": _revert,
    "freeze": lambda s, r: s.calibrations.freeze(reason="wait", at=at(int(r[-1])), actor="t"),
    "resume": lambda s, r: s.calibrations.resume(reason="go on", at=at(int(r[-1])), actor="t"),
    "retire from any state": _retire_from_any_state,
}


NAMES = st.sampled_from(sorted(ACTIONS))


class AnyInterleaving(RuleBasedStateMachine):
    """The store under test, of which every call may fail, and a rival that writes directly."""

    @initialize()
    def begin(self) -> None:
        self.mock = mock_aws()
        self.mock.start()
        raw = dynamodb()
        self.client = UnreliableClient(raw)
        self.rival = RegistryStore(raw, TABLE, "flights", pause=lambda _: None)
        self.store = self.make_store()

    def make_store(self) -> RegistryStore:
        return RegistryStore(self.client, TABLE, "flights", pause=lambda _: None)

    def fail(self, fault: str) -> None:
        """Let the next write fail in this way; ``fine`` for no failure."""
        self.client.faults = [fault]

    @rule(name=NAMES, run_id=RUNS, fault=FAULTS)
    def act(self, name: str, run_id: str, fault: str) -> None:
        self.fail(fault)
        self._attempt(self.store, name, run_id)
        self.fail("fine")

    @rule(name=NAMES, run_id=RUNS, other=NAMES, other_run=RUNS)
    def act_overtaken(self, name: str, run_id: str, other: str, other_run: str) -> None:
        self.client.overtake = lambda: self._attempt(self.rival, other, other_run)
        self._attempt(self.store, name, run_id)
        self.client.overtake = None

    @rule(run_id=RUNS, steps=st.integers(1, 6), fault=FAULTS)
    def the_pipeline(self, run_id: str, steps: int, fault: str) -> None:
        """The usual order, as far as it gets, so that deep states are reached often."""
        for name in ["open", "register a good one", "roll out", "promote", "complete", "close"][:steps]:
            self.fail(fault)
            self._attempt(self.store, name, run_id)
        self.fail("fine")

    @rule(name=NAMES, run_id=RUNS)
    def act_twice(self, name: str, run_id: str) -> None:
        if self._attempt(self.store, name, run_id):
            before = self._snapshot()
            self._attempt(self.store, name, run_id)
            assert self._snapshot() == before

    @invariant()
    def at_most_one_serves_and_the_pointer_names_it(self) -> None:
        versions = list(self.rival.versions.all())
        serving = [v.version for v in versions if v.state in SERVING]
        champion = self.rival.versions.champion()
        assert serving == ([champion.version] if champion else [])

    @invariant()
    def at_most_one_is_staged_and_the_pointer_names_it(self) -> None:
        staged = [v.version for v in self.rival.versions.all() if v.state is State.STAGING]
        pointed = self.rival.versions.place(State.STAGING)
        assert staged == ([pointed] if pointed else [])

    @invariant()
    def at_most_one_run_is_open(self) -> None:
        active = self.rival.runs.active()
        assert [r.run_id for r in self.rival.runs.all() if r.status == "open"] == ([active.run_id] if active else [])

    @invariant()
    def the_record_is_sound(self) -> None:
        verdict = verify_audit(self.rival)
        assert verdict.sound, verdict.problems

    def teardown(self) -> None:
        if hasattr(self, "mock"):
            self.mock.stop()

    def _attempt(self, store: RegistryStore, name: str, run_id: str) -> bool:
        try:
            ACTIONS[name](store, run_id)
        except (RegistryError, BotoCoreError, ServiceBusyError):
            return False
        return True

    def _snapshot(self) -> list[dict[str, Any]]:
        items = self.client._client.scan(TableName=TABLE)["Items"]
        return sorted(items, key=lambda item: item["sk"]["S"])


class AnyInterleavingOfCommands(AnyInterleaving):
    """The same by commands: they get lost before the function, their answers after it, or the function is ended."""

    def make_store(self) -> RegistryStore:
        self.function = FakeRegistryFunction(self.client, "flights")
        return remote_registry(self.client, "flights", function=self.function)

    @rule(name=NAMES, run_id=RUNS, fault=st.sampled_from(["before", "after", "twice", "ended", "crashed"]))
    def act_while_the_function_fails(self, name: str, run_id: str, fault: str) -> None:
        self.function.faults = [fault]
        self._attempt(self.store, name, run_id)
        self.function.faults = []


AS_OFTEN = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = AS_OFTEN
TestAnyInterleavingOfCommands = AnyInterleavingOfCommands.TestCase
TestAnyInterleavingOfCommands.settings = AS_OFTEN
