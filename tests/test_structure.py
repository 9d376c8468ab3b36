"""Imports point one way, and every room is imported by one name."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from everloop.infra.packaging.imports import imported_names
from everloop.infra.pipeline_definition import EDGES

ROOT = Path(__file__).resolve().parent.parent
ROOMS = sorted({"everloop"} | EDGES)
PROJECT = ROOT / "cli" / "new_project"
"""What a new project begins with: files of its own, no part of the commands."""

LOCAL_CLOUD = {
    "cli/commands/local.py",
    "cli/commands/replay.py",
    "cli/operations/jobs_here.py",
    "cli/operations/local_cloud.py",
}
"""What may import the local cloud."""


def upward(room: str, names: set[str]) -> set[str]:
    """Those of the imported ``names`` that a file of ``room`` may not import: another room at the edges, or the links'
    targets by their own name, which would load a file twice.
    """
    parts = {name: name.split(".") for name in names}
    others = {name for name, p in parts.items() if p[0] == "everloop" and len(p) > 1 and p[1] in EDGES - {room}}
    return others | {name for name, p in parts.items() if p[0] in EDGES}


@pytest.mark.parametrize("room", ROOMS)
def test_the_edges_import_the_domain_and_not_each_other(room: str) -> None:
    # The links of everloop/ are not followed.
    files = [file for file in sorted((ROOT / room).rglob("*.py")) if PROJECT not in file.parents]
    assert files
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        imported = imported_names(file.read_text(encoding="utf-8"), file=name)
        assert upward(room, imported) == set(), name
        if name not in LOCAL_CLOUD:
            assert "localcloud" not in {i.split(".")[0] for i in imported}, name


def test_an_import_the_wrong_way_is_found() -> None:
    assert upward("everloop", {"everloop.names", "everloop.cli.main"}) == {"everloop.cli.main"}
    assert upward("infra", {"everloop.infra.settings", "everloop.training"}) == {"everloop.training"}
    assert upward("cli", {"everloop", "everloop.names", "everloop.cli", "infra.settings"}) == {"infra.settings"}


def imports_of(modules: dict[str, str]) -> dict[str, set[str]]:
    """Which of these modules (name to source) each names in an import, wherever that stands, TYPE_CHECKING or not."""
    graph: dict[str, set[str]] = {}
    for name, source in modules.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name}: relative imports are not followed here"
                one = (f"{node.module}.{alias.name}" for alias in node.names)
                named |= {full if full in modules else str(node.module) for full in one}
        graph[name] = (named & modules.keys()) - {name}
    return graph


def test_no_module_imports_itself_in_a_circle() -> None:
    folders = {"everloop": ROOT / "everloop", "localcloud": ROOT / "localcloud" / "src" / "localcloud"}
    folders |= {f"everloop.{room}": ROOT / room for room in EDGES}
    modules = {}
    for package, folder in folders.items():
        for file in folder.rglob("*.py"):
            if PROJECT not in file.parents:
                parts = [package, *file.relative_to(folder).with_suffix("").parts]
                modules[".".join(parts).removesuffix(".__init__")] = file.read_text(encoding="utf-8")
    graph = imports_of(modules)
    assert sum(map(len, graph.values())) > 1000
    TopologicalSorter(graph).prepare()


def test_a_circle_is_found_also_where_it_is_only_for_types() -> None:
    lazily = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from room.a import A\n"
    graph = imports_of({"room.a": "import room.b", "room.b": "from room import c", "room.c": lazily})
    assert graph == {"room.a": {"room.b"}, "room.b": {"room.c"}, "room.c": {"room.a"}}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_the_rooms_at_the_edges_and_the_docs_are_linked_into_the_import_root() -> None:
    links = {link.name: link.readlink() for link in (ROOT / "everloop").iterdir() if link.is_symlink()}
    assert links == {room: Path("..") / room for room in EDGES | {"docs"}}
