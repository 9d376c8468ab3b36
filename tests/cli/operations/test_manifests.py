"""What serves, as commits of a git repository: one for each change, at its time, and nothing else of the repository."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from moto import mock_aws

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.manifests import archived, commit_new, newest
from tests.fakes.aws import aws_client

AT = datetime(2013, 3, 1, 5, tzinfo=UTC)
DECLARATION = b'{"model": "flights"}\n'
NAMED = hashlib.sha256(DECLARATION).hexdigest()


@dataclass
class Place:
    """An account with an archive, and a repository of one's own."""

    account: Account
    repository: Path

    def serves(self, version: int | None, hours: int) -> None:
        """Archive that a version serves from then on; None for nothing."""
        detail: dict[str, Any] = {"model": "flights", "version": version or 1, "kind": "version", "rollout_id": "r1"}
        if version is not None:
            detail["manifest"] = {"version": version, "declaration_sha256": NAMED}
        archived(self.account, "flights").keep("Promoted", detail, DECLARATION, at=AT + timedelta(hours=hours))

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self.repository), *words], capture_output=True, text=True, check=True
        ).stdout


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name, value in {"NAME": "Cleo", "EMAIL": "cleo@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    with mock_aws():
        aws_client("s3").create_bucket(Bucket="artifacts")
        pretended = SimpleNamespace(client=aws_client, platform=SimpleNamespace(artifact_bucket="artifacts"))
        place = Place(cast("Account", pretended), tmp_path)
        place.git("init", "-q")
        yield place


def test_each_change_is_a_commit_at_its_time_once(place: Place) -> None:
    place.serves(1, 0)
    place.serves(2, 5)
    place.serves(None, 6)
    assert len(commit_new(place.account, "flights", place.repository)) == 3
    assert commit_new(place.account, "flights", place.repository) == []
    assert place.git("log", "--reverse", "--format=%s %aI").splitlines() == [
        "flights: version 1 serves 2013-03-01T05:00:00+00:00",
        "flights: version 2 serves 2013-03-01T10:00:00+00:00",
        "flights: nothing serves 2013-03-01T11:00:00+00:00",
    ]
    assert json.loads(place.git("show", "HEAD~1:flights/serving.json"))["manifest"]["version"] == 2
    assert place.git("show", "HEAD:flights/declaration.json").encode() == DECLARATION
    # AND another change is one more, also from a folder below
    place.serves(1, 9)
    (done,) = commit_new(place.account, "flights", place.repository / "flights")
    assert done.message.startswith("flights: version 1 serves\n")


def test_whatever_else_is_staged_stays_so(place: Place) -> None:
    (place.repository / "other").write_text("mine")
    place.git("add", "other")
    place.serves(1, 0)
    commit_new(place.account, "flights", place.repository)
    assert place.git("show", "--name-only", "--format=").split() == ["flights/declaration.json", "flights/serving.json"]
    assert place.git("status", "--short").strip() == "A  other"


def test_the_newest_is_shown(place: Place) -> None:
    with pytest.raises(CommandError, match="no manifest of flights is archived"):
        newest(place.account, "flights")
    place.serves(1, 0)
    place.serves(2, 5)
    assert newest(place.account, "flights")["version"] == 2


def test_what_is_no_repository_or_no_manifest_is_named(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    place.serves(1, 0)
    with pytest.raises(CommandError, match="git rev-parse in"):
        commit_new(place.account, "flights", tmp_path_factory.mktemp("plain"))
    (place.repository / "flights").mkdir()
    (place.repository / "flights" / "serving.json").write_text("[]")
    with pytest.raises(CommandError, match="is no manifest that"):
        commit_new(place.account, "flights", place.repository)
