"""Syntheses for the tests of the templates."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from everloop.infra.node import start_node
from everloop.infra.settings import Settings
from tests.helpers.declarations import as_yaml

ROOT = Path(__file__).resolve().parents[2]
PLATFORM_STACK = "EverloopPlatform"
MODEL_STACK = "EverloopModel-late-train"
SECOND_STACK = "EverloopModel-delay-minutes"


@dataclass(frozen=True)
class Assembly:
    """A synthesized app: its folder, and the app itself."""

    folder: Path
    app: Any

    @property
    def templates(self) -> dict[str, dict[str, Any]]:
        """By stack name."""
        paths = sorted(self.folder.glob("*.template.json"))
        return {p.name.removesuffix(".template.json"): json.loads(p.read_text(encoding="utf-8")) for p in paths}

    def of_type(self, stack: str, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of a stack's resources of one type, by logical id."""
        resources = self.templates[stack]["Resources"]
        return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every resource: stack, logical id, resource."""
        for stack, template in self.templates.items():
            for name, resource in template["Resources"].items():
                yield stack, name, resource


VALIDATION = "CDK_VALIDATION"


SCRIPT = "def train(features, target, *, seed, parameters):\n    raise NotImplementedError\n"
"""A training script as far as a check can tell."""


def write_model(models: Path, document: Mapping[str, Any]) -> Path:
    """Write a model's folder below ``models``."""
    folder = models / str(document["model"])
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(as_yaml(dict(document)), encoding="utf-8")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    return folder


def synthesize_models(models: Path, output: Path) -> Path:
    """Synthesize this project's app with the declarations in ``models``; the assembly's folder, below ``output``.

    In this process, which starts the CDK once: a process of its own, as ``app.py``, takes four times as long. What a
    deployment archives, it finds where an assembly of before has it: the layers are the same in all of them.
    """
    folder = synthesize(Settings.of(ROOT, models=str(models)), Path(tempfile.mkdtemp(dir=output)) / "assembly").folder
    (folder / ".cache").symlink_to(_archives())
    return folder


def with_one_model(assembly: Path, model: str, folder: Path) -> Path:
    """An assembly like another one, in which a model's stack and what it stands on are left of all; in ``folder``."""
    cached = assembly / ".cache"
    cached.mkdir(exist_ok=True)
    shutil.copytree(assembly, folder, copy_function=os.link, ignore=shutil.ignore_patterns(cached.name))
    (folder / cached.name).symlink_to(cached)
    file, own = folder / "manifest.json", f"EverloopModel-{model.replace('_', '-')}"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    others = [name for name in manifest["artifacts"] if name.startswith("EverloopModel-")]
    for name in others:
        if name not in (own, f"{own}.assets"):
            del manifest["artifacts"][name]
    assert own in manifest["artifacts"]
    file.unlink()  # it is the other's too
    file.write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@cache
def _archives() -> Path:
    """Where a deployment keeps archives by their content's hash; it goes with this process."""
    folder = tempfile.mkdtemp(prefix="archives-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def synthesize(settings: Settings, output: Path) -> Assembly:
    """Synthesize into ``output``, in this process.

    Without the CDK's own validation of the templates, which takes 5 s of processor time: one test has it, for all.
    """
    start_node()
    from everloop.infra.application import add_stacks, new_app

    app = new_app(output=output, validated=os.environ.get(VALIDATION) == "true")
    add_stacks(app, settings)
    app.synth()
    return Assembly(output, app)
