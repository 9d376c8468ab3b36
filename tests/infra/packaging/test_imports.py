from __future__ import annotations

from pathlib import Path

import pytest

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.imports import imported_names, local_modules


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A package ``house`` whose kitchen needs the cellar."""
    files = {
        "house/__init__.py": "",
        "house/doors.py": "",
        "house/kitchen/__init__.py": "from house.kitchen.stove import Stove\n",
        "house/kitchen/stove.py": "def light():\n    from ..cellar import gas\n    return gas\n",
        "house/cellar.py": "gas = 1\n",
        "house/attic/__init__.py": "",
        "house/attic/trunk.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def shipped(root: Path, source: str) -> list[str]:
    entry = root / "entry.py"
    entry.write_text(source)
    return [p.as_posix() for p in local_modules([entry], root=root, package="house")]


def test_only_what_is_imported_is_shipped_directly_lazily_or_through_each_other(root: Path) -> None:
    assert shipped(root, "import house.kitchen\n") == [
        "house/__init__.py",
        "house/cellar.py",
        "house/kitchen/__init__.py",
        "house/kitchen/stove.py",
    ]


def test_a_name_imported_from_a_package_may_be_a_module(root: Path) -> None:
    assert shipped(root, "from house.attic import trunk\n") == [
        "house/__init__.py",
        "house/attic/__init__.py",
        "house/attic/trunk.py",
    ]


def test_an_attribute_is_no_module(root: Path) -> None:
    assert shipped(root, "from house.cellar import gas\n") == ["house/__init__.py", "house/cellar.py"]


def test_what_only_a_type_checker_imports_stays_here(root: Path) -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import doors\n"
    assert shipped(root, source) == []


def test_other_packages_are_not_followed(root: Path) -> None:
    assert shipped(root, "import numpy\nimport houseboat\n") == []


def test_a_module_that_is_not_there_is_named_with_its_importer(root: Path) -> None:
    with pytest.raises(PackagingError, match=r"entry\.py: imports 'house\.pool\.diving'"):
        shipped(root, "import house.pool.diving\n")


def test_a_syntax_error_is_named_with_its_line() -> None:
    with pytest.raises(PackagingError, match=r"handler\.py:2: "):
        imported_names("x = 1\ny = = 2\n", file="handler.py")


def test_relative_imports_are_resolved() -> None:
    assert imported_names("from . import a\nfrom ..b import c\n", package="top.sub") >= {"top.sub.a", "top.b.c"}
