"""The house: imports go down its floors, services meet in their seams only, and nothing here knows the product."""

from __future__ import annotations

import ast
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
FLOORS = ("core", "iam", "cloudformation", "services")
"""From the ground up; what is in no room of these is the top floor."""

SHARED = {"localcloud.services.service", "localcloud.services.registry"}
"""What belongs to no one service."""

COMPOSITION = {"localcloud.services.registry"}
"""What loads services by name, not by import."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted((SOURCE / "localcloud").rglob("*.py"))}


@cache
def imports_of(source: str, module: str) -> frozenset[str]:
    """Every module that is imported anywhere in a source, in functions and under TYPE_CHECKING as well."""
    package = module if MODULES.get(module, Path()).name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            name = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                whole = f"{name}.{alias.name}"
                found.add(whole if whole in MODULES else name)
    return frozenset(found)


def floor_of(module: str) -> int:
    room = module.split(".")[1:2]
    return FLOORS.index(room[0]) if room and room[0] in FLOORS else len(FLOORS)


def service_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["services"] and len(parts) > 2 and module not in SHARED else None


def problems(source: str, module: str) -> list[str]:
    """What of a module's imports the house does not allow."""
    said = []
    for other in sorted(imports_of(source, module)):
        if other.split(".")[0] != "localcloud":
            continue
        if floor_of(other) > floor_of(module):
            said.append(f"{module} imports {other}, which is above it")
        here, there = service_of(module), service_of(other)
        if here != there and there is not None and floor_of(module) == FLOORS.index("services"):
            if module in SHARED:
                said.append(f"{module} knows the service {there}")
            elif other != f"localcloud.services.{there}.seam":
                said.append(f"{module} imports {other}: of another service only its seam")
    return said


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_and_through_seams(module: str) -> None:
    assert problems(MODULES[module].read_text(), module) == []


def test_no_imports_make_a_circle() -> None:
    graph = {
        module: {other for other in imports_of(path.read_text(), module) if other in MODULES and other != module}
        for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_services_make_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        here = service_of(module)
        if here is not None:
            others = {service_of(other) for other in imports_of(path.read_text(), module) if other in MODULES}
            graph.setdefault(here, set()).update(other for other in others if other not in (None, here))

    TopologicalSorter(graph).prepare()


def test_nothing_is_imported_but_what_the_distribution_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {text.split(";")[0].split("=")[0].split(">")[0].split("[")[0].strip() for text in project["dependencies"]}
    # moto's own parts, which `moto[server]` brings: its HTTP interfaces are werkzeug's, its paths jsonpath_ng's.
    asked |= {"botocore", "werkzeug", "Werkzeug", "jsonpath-ng", "xmltodict"}
    of_module = packages_distributions()
    unknown = {
        f"{module}: {root}"
        for module, path in MODULES.items()
        for root in {name.split(".")[0] for name in imports_of(path.read_text(), module)}
        if root not in sys.stdlib_module_names and root != "localcloud" and not asked & set(of_module.get(root, ()))
    }

    assert unknown == set()


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("localcloud.core.clock", "from localcloud.iam import policy", "above"),
        ("localcloud.core.clock", "def late():\n    import localcloud.daemon", "above"),
        ("localcloud.iam.guard", "if TYPE_CHECKING:\n    from localcloud.services.s3 import accesses", "above"),
        ("localcloud.cloudformation.engine", "from localcloud.services.registry import handlers", "above"),
        ("localcloud.services.athena.engine", "from localcloud.services.s3.objects import ObjectStore", "seam"),
        ("localcloud.services.athena.engine", "from localcloud.services.s3 import objects", "seam"),
        ("localcloud.services.athena.engine", "from ..s3.objects import ObjectStore", "seam"),
        ("localcloud.services.athena.engine", "from localcloud import daemon", "above"),
        ("localcloud.services.registry", "from localcloud.services.s3.service import SERVICE", "knows"),
    ],
)
def test_what_the_house_does_not_allow_is_found(module: str, source: str, problem: str) -> None:
    assert problem in " ".join(problems(source, module))
