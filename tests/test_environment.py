"""A test that sets variables leaves none behind."""

from __future__ import annotations

import os

import pytest

from tests.helpers.environment import variables_kept


def test_what_is_set_altered_or_removed_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOVED", "1")
    monkeypatch.setenv("ALTERED", "1")
    before = dict(os.environ)
    with variables_kept():
        os.environ.update(SET="2", ALTERED="2")
        del os.environ["REMOVED"]
    assert dict(os.environ) == before


def test_every_test_here_is_held_to_it(request: pytest.FixtureRequest) -> None:
    assert "environment_as_before" in request.fixturenames
