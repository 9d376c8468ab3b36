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


SEAM = 'TRUNKS: Seam[object] = Seam(__name__, "trunk", "TRUNK", "trunk")\n'


@pytest.mark.parametrize(
    "use",
    [
        "from house.attic import TRUNKS\nTRUNKS.load(name)\n",
        "from house.attic import TRUNKS as OTHERS\nall_of_them = list(OTHERS)\n",
        "from house.attic import TRUNKS\nfor trunk in TRUNKS: ...\n",
        "from house.attic import TRUNKS\nhand_on(TRUNKS, TRUNKS.names)\n",
    ],
)
def test_what_a_seam_may_load_is_shipped(use: str, root: Path) -> None:
    (root / "house" / "attic" / "__init__.py").write_text(SEAM)
    assert "house/attic/trunk.py" in shipped(root, use)


def test_a_package_that_uses_its_own_seam_is_shipped_with_what_it_loads(root: Path) -> None:
    (root / "house" / "attic" / "__init__.py").write_text(f"{SEAM}def heavy():\n    return max(TRUNKS)\n")
    assert "house/attic/trunk.py" in shipped(root, "from house.attic import heavy\n")


def test_who_only_asks_for_the_names_ships_none(root: Path) -> None:
    (root / "house" / "attic" / "__init__.py").write_text(SEAM)
    use = "from house.attic import TRUNKS\ncheck(TRUNKS.registered)\nassert name in TRUNKS.names\n"
    assert shipped(root, use) == ["house/__init__.py", "house/attic/__init__.py"]


@pytest.mark.parametrize("names", ["*found", "", '"trunk", other'])
def test_a_seam_whose_names_are_not_written_out_is_refused(names: str, root: Path) -> None:
    (root / "house" / "attic" / "__init__.py").write_text(f'TRUNKS = Seam(__name__, "trunk", "TRUNK", {names})\n')
    with pytest.raises(PackagingError, match=r"attic/__init__\.py:1: write the names of the seam as literals"):
        shipped(root, "import house.attic\n")


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
