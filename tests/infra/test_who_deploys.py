"""Who synthesizes, and with which Pythons at hand, changes neither the templates nor an asset's name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from everloop.infra.packaging import compiled, layers
from everloop.infra.settings import PYTHON_VERSION, Settings
from tests.helpers.synthesis import Assembly, synthesize


def names(assembly: Assembly) -> dict[str, str]:
    """The file of every template and list of assets, by name; the names of the assets beside it."""
    texts = {path.name: path.read_text() for path in assembly.folder.glob("*.json") if path.name != "tree.json"}
    return {**texts, **{path.name: "" for path in assembly.folder.glob("asset.*")}}


def caches(assembly: Assembly) -> list[Path]:
    return [path for asset in assembly.folder.glob("asset.*") for path in asset.rglob("*.pyc")]


def test_a_python_of_the_runtime_changes_no_template(
    settings: Settings, assembly: Assembly, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GIVEN one who has the runtime's Python, WHEN one without it synthesizes, THEN all is named alike; or turned."""
    other_python = None if compiled.interpreter(PYTHON_VERSION) else sys.executable
    monkeypatch.setattr(compiled, "interpreter", lambda version: other_python)
    monkeypatch.setattr(layers, "interpreter", lambda version: other_python)
    other = synthesize(settings, tmp_path / "out")
    assert bool(caches(other)) != bool(caches(assembly))
    assert names(other) == names(assembly)
