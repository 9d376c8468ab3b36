"""Adds an implementation to a seam as an engineer would: a file in its folder, and its name in the registration."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from everloop.seams import Seam


def add(monkeypatch: pytest.MonkeyPatch, folder: Path, seam: Seam[Any], name: str, source: str) -> None:
    """Write ``source`` as the file of ``name``, and register it until the test ends."""
    (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
    package = importlib.import_module(seam.package)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    monkeypatch.setattr(seam, "names", (*seam.names, name))
    monkeypatch.setattr(seam, "_loaded", {})
    # What is imported meanwhile goes with the test.
    monkeypatch.delitem(sys.modules, f"{seam.package}.{name}", raising=False)
    monkeypatch.delattr(package, name, raising=False)
    monkeypatch.setitem(sys.modules, f"{seam.package}.{name}", importlib.import_module(f"{seam.package}.{name}"))
