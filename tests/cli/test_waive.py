"""What a person types who lets a reason of the gate pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from everloop.cli.commands import waive as command
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.cli.operations.stories import describe, waiver_cells
from everloop.registry.exceptions import NotWaivableError, UnknownVersionError
from everloop.registry.store import RegistryStore
from tests.everloop.registry.test_waivers import ANN, BOB, NOT_BETTER, WHY, refused
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import at


class Pretended:
    """An account with one model, whose registry is written as the caller that was asked for."""

    def __init__(self) -> None:
        self.person = BOB
        self.stores = {via: RegistryStore(dynamodb(), TABLE, "flights", via=via) for via in ("waive",)}

    def model(self, name: str) -> None:
        pass

    def registry(self, name: str, *, caller: str) -> RegistryStore:
        return self.stores[caller]

    def now(self) -> datetime:
        return at(80)

    def client(self, service: str) -> SimpleNamespace:
        return SimpleNamespace(get_caller_identity=lambda: {"Arn": self.person})


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """GIVEN version 2, which the gate refused; ann started its run."""
    with mock_aws():
        found = Pretended()
        refused(found.stores["waive"], NOT_BETTER)
        monkeypatch.setattr(command, "Account", lambda: found)
        yield found


def typed(what: str, **options: str) -> Result:
    told = {"reason": "better_than_champion", "why": WHY, "until": "2013-03-20", **options}
    return CliRunner().invoke(
        everloop, ["waive", "flights", what, *(word for k, v in told.items() for word in (f"--{k}", v)), "--json"]
    )


@pytest.mark.parametrize("what", ["2", "train-2"])
def test_a_reason_is_waived_by_version_or_run(account: Pretended, what: str) -> None:
    told = typed(what)
    assert told.exit_code == 0, told.output
    document: dict[str, Any] = json.loads(told.stdout)
    assert (document["version"], document["by"], document["until"]) == (2, BOB, "2013-03-20T00:00:00Z")
    (record,) = [r for r in account.stores["waive"].ledger.audit_records() if r.action == "waived"]
    assert record.details["via"] == "waive"


def test_what_can_not_be_is_refused(account: Pretended) -> None:
    account.person = ANN
    assert isinstance(typed("2").exception, NotWaivableError)
    account.person = BOB
    assert isinstance(typed("1").exception, CommandError)
    assert isinstance(typed("9").exception, UnknownVersionError)
    assert typed("2", until="tomorrow").exit_code == 2
    assert isinstance(typed("2", reason="Latenz ⏱").exception, NotWaivableError)


def test_it_is_taken_back(account: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed("2").exit_code == 0
    words = ["waive", "flights", "2", "--reason", "better_than_champion", "--why", "the regulator waits after all"]
    told = CliRunner().invoke(everloop, [*words, "--revoke"])
    assert told.exit_code == 0, told.output
    assert f"is not waived any more: the waiver of {BOB} is revoked" in told.output
    assert not account.stores["waive"].waivers.in_force(2, at(80))
    monkeypatch.setattr(account, "now", lambda: at(81))
    assert isinstance(CliRunner().invoke(everloop, [*words, "--revoke"]).exception, NotWaivableError)
    # AND it is one or the other
    for both in ([], ["--revoke", "--until", "2013-03-20"]):
        assert CliRunner().invoke(everloop, [*words, *both]).exit_code == 2


def test_what_was_revoked_is_told_so(account: Pretended) -> None:
    store = account.stores["waive"]
    granted = store.waivers.grant("train-2", code="better_than_champion", why=WHY, until=at(999), at=at(80), actor=BOB)
    assert waiver_cells(granted) == ["better_than_champion", BOB, "2013-03-01T16:39:00Z", WHY]
    revoked = store.waivers.revoke(2, code="better_than_champion", why="it is no longer needed", at=at(81), actor=ANN)
    assert waiver_cells(revoked)[2] == f"revoked 2013-03-01T01:21:00Z by {ANN}: it is no longer needed"
    (record,) = [r for r in store.ledger.audit_records() if r.action == "waiver_revoked"]
    assert describe(record).endswith("is revoked: it is no longer needed")
