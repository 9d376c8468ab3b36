"""One synthesis for all tests of the templates: it takes seconds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from everloop.infra.settings import Settings
from tests.helpers.declarations import binary_document, everything_document
from tests.helpers.synthesis import ROOT, Assembly, synthesize, write_model

FOLDER = Path(__file__).parent
SYNTHESIZED = {"settings", "assembly", "later_assembly"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of the templates: another would synthesize them again."""
    for item in items:
        if SYNTHESIZED.intersection(getattr(item, "fixturenames", ())) and item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.xdist_group("synthesis"))


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The project's own functions and training code, with two small models, one that declares everything."""
    models = tmp_path_factory.mktemp("project") / "models"
    write_model(models, binary_document())
    write_model(models, everything_document(serving={"authorization": "none"}))
    return replace(Settings.of(ROOT, models=str(models)))


@pytest.fixture(scope="session")
def assembly(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(settings, tmp_path_factory.mktemp("assembly") / "out")


@pytest.fixture(scope="session")
def later_assembly(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The same app after new code in every function, with one model left, and that declared anew, features too."""
    folder = tmp_path_factory.mktemp("later")
    shutil.copytree(settings.functions, folder / "functions")
    for handler in sorted((folder / "functions").glob("*/handler.py")):
        handler.write_text(handler.read_text(encoding="utf-8") + "\n\nCHANGED = True\n", encoding="utf-8")
    rollout = {"steps": [], "bake_minutes": 60}
    serving = {"memory_mb": 2048, "timeout_seconds": 20, "threshold": 0.4}
    document = binary_document(serving=serving, rollout=rollout, monitoring={"schedule": "rate(6 hours)"})
    # One feature is removed (distance), one is of another type, one takes other values, one is added.
    document["data"]["features"] = [
        {"name": "wind", "type": "category", "missing": "allow"},
        {"name": "line", "type": "category", "values": ["north", "south", "east"], "unseen": "refuse"},
        {"name": "operator", "type": "category", "missing": "allow"},
        {"name": "seats", "type": "number", "missing": "allow"},
    ]
    write_model(folder / "models", document)
    later = replace(settings, functions=folder / "functions", models=folder / "models")
    return synthesize(later, folder / "out")
