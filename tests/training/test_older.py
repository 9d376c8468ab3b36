"""An older version in a candidate's place is the registered one, and fits what is declared now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.training.exceptions import ChampionError, OlderVersionError
from everloop.training.older import fetch_older
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import PREFIX, StoredArtifact, small_contract
from tests.training.scenes import classification

URI = f"s3://artifacts/{PREFIX}"


def test_a_version_without_all_that_was_evaluated_is_refused() -> None:
    with pytest.raises(ChampionError, match=r"profile\.json"):
        fetch_older(URI, FakeS3(StoredArtifact().objects), classification())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "the feature 'day' as a category"),
        ({"numbers": [replace(n, name=n.name.replace("wind", "gust")) for n in small_contract().numbers]}, "'gust'"),
        ({"key": "ticket"}, "the key 'ticket'"),
        ({"target": "cancelled"}, "the target 'cancelled'"),
    ],
)
def test_a_version_that_takes_what_is_no_longer_declared_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], told: str
) -> None:
    """GIVEN an artefact of another declaration; THEN its callers are not sent to it."""
    monkeypatch.setattr("everloop.training.older.EVALUATED", ("model.onnx", "contract.json"))
    contract = small_contract(**changes)
    stored = StoredArtifact(contract=contract)
    with pytest.raises(OlderVersionError, match=told) as refused:
        fetch_older(URI, FakeS3(stored.objects), classification())
    assert "not what is declared now: callers would be refused" in str(refused.value)
