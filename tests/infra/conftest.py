"""One synthesis for all tests of the templates: it takes seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from everloop.infra.node import PACKAGES
from everloop.infra.packaging.compiled import interpreter
from everloop.infra.settings import PYTHON_VERSION, Settings
from tests.helpers.declarations import binary_document, everything_document
from tests.helpers.synthesis import ROOT, VALIDATION, Assembly, synthesize, write_model

FOLDER = Path(__file__).parent
SYNTHESIZED = {"settings", "assembly", "later_assembly", "other_process"}


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


SYNTHESES = """
import os, sys
from dataclasses import replace
from pathlib import Path
from everloop.infra.packaging import compiled, layers
from everloop.infra.packaging.compiled import interpreter
from everloop.infra.settings import PYTHON_VERSION, Settings
from tests.helpers.declarations import ENDPOINT
from tests.helpers.synthesis import ROOT, synthesize
compiled.interpreter = layers.interpreter = lambda version: sys.argv[4] or None
home = os.environ["HOME"]
synthesize(replace(Settings.of(ROOT, models=sys.argv[1]), cache=Path(sys.argv[5])), Path(sys.argv[2]))
from aws_cdk import App, CfnResource, Stack
careless = App(outdir=sys.argv[3], analytics_reporting=False)
CfnResource(Stack(careless, "Careless"), "Queue", type="AWS::SQS::Queue", properties={"DelaySeconds": "soon"})
careless.synth()
assert os.environ["HOME"] == home, "what is started later has the home directory again"
"""


SMALL_BYTES = 5_000_000
"""A layer that is packed in no time."""


def layers_of_the_other(cache: Path, folder: Path, *, compiled: bool) -> Path:
    """A cache with the layers of ``cache``, ``compiled`` or not, for one who has them the other way round.

    The small ones are as they are, and made into the other kind. The large ones are under the name of the other kind:
    to pack them again takes long, and what identifies a layer is hashed before anything in it is compiled.
    """
    folder.mkdir()
    for kept in (path.parent for path in cache.glob("*/layer.json")):
        identity = kept.name.removesuffix("-sources")
        if compiled == (kept.name == identity):
            large = (kept / "layer.zip").stat().st_size > SMALL_BYTES
            (folder / (f"{identity}-sources" if large == compiled else identity)).symlink_to(kept)
    return folder


@pytest.fixture(scope="session")
def other_process(settings: Settings, assembly: Assembly, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the CDK makes of the app of ``assembly`` in another process, and of one with a mistake; it looks at them.

    Who has the runtime's Python is one who has not there, or the other way round; and sets of text have another order.
    The home directory is an empty one.
    """
    folder = tmp_path_factory.mktemp("other")
    (folder / "home").mkdir()
    has_python = interpreter(PYTHON_VERSION) is not None
    layers = layers_of_the_other(settings.cache, folder / "layers", compiled=has_python)
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    python = "" if has_python else sys.executable
    places = [str(settings.models), str(folder / "out"), str(folder / "careless")]
    caches = {"UV_CACHE_DIR": str(folder / "uv"), "PIP_CACHE_DIR": str(folder / "pip")}
    own = {"PYTHONHASHSEED": seed, VALIDATION: "true", "HOME": str(folder / "home"), **caches}
    environment = {name: value for name, value in os.environ.items() if name != PACKAGES} | own
    command = [sys.executable, "-c", SYNTHESES, *places, python, str(layers)]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return folder


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
