"""What a person starts who brings an older version back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from everloop.cli.commands import restore as command
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.instants import format_instant
from everloop.names import ModelNames
from everloop.registry.exceptions import NotRestorableError
from everloop.registry.store import RegistryStore
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import at, crown


@dataclass
class Pretended:
    """An account with one model, whose pipeline starts and does nothing."""

    store: RegistryStore
    started: list[dict[str, Any]] = field(default_factory=list)

    def model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(state_machine_arn=f"arn:{name}")

    def registry(self, name: str) -> RegistryStore:
        return self.store

    def now(self) -> datetime:
        return at(60)

    def client(self, service: str) -> SimpleNamespace:
        return SimpleNamespace(
            start_execution=lambda **given: self.started.append(given),
            get_caller_identity=lambda: {"Arn": "arn:aws:iam::123456789012:user/cleo"},
        )


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """GIVEN version 1, which was replaced by version 2."""
    with mock_aws():
        found = Pretended(RegistryStore(dynamodb(), TABLE, "flights", pause=lambda _: None))
        crown(found.store, "train-1")
        crown(found.store, "train-2")
        monkeypatch.setattr(command, "Account", lambda: found)
        yield found


def typed(version: str, reason: str = "the summer is back") -> Result:
    return CliRunner().invoke(everloop, ["restore", "flights", version, "--reason", reason, "--detach", "--json"])


def test_the_pipeline_is_started_for_that_version_with_the_reason(account: Pretended) -> None:
    told = typed("1")
    assert told.exit_code == 0, told.output
    (started,) = account.started
    given = json.loads(started["input"])
    assert (given["model"], given["kind"]) == ("flights", "restore")
    assert given["trigger"] == {
        "kind": "manual",
        "reason": "the summer is back",
        "version": 1,
        "window_end": None,
        "requested_at": format_instant(at(60)),
        "started_by": "arn:aws:iam::123456789012:user/cleo",
    }
    # SageMaker takes 63 characters, with the longest name that a model may have.
    assert len(ModelNames("m" * 31).job_prefix + started["name"]) <= 63


def test_a_version_that_may_not_come_back_is_refused_before_anything_starts(account: Pretended) -> None:
    told = typed("2")
    assert isinstance(told.exception, NotRestorableError)
    assert str(told.exception) == "model flights: version 2 is not brought back: it serves"
    assert account.started == []


def test_without_a_reason_nothing_starts(account: Pretended) -> None:
    assert isinstance(typed("1", " ").exception, CommandError)
    assert account.started == []
