"""Who synthesizes, and with which Pythons at hand, changes neither the templates nor an asset's name."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.synthesis import Assembly


def names(folder: Path) -> dict[str, str]:
    """The file of every template and list of assets, by name; the names of the assets beside it."""
    # What the CDK found is reported where it looks, which the synthesis of all other tests leaves out.
    made = {
        path.name: path for path in folder.glob("*.json") if path.name not in ("tree.json", "validation-report.json")
    }
    return {
        **{name: path.read_text(encoding="utf-8") for name, path in made.items()},
        **{path.name: "" for path in folder.glob("asset.*")},
    }


def caches(folder: Path) -> list[Path]:
    return [path for asset in folder.glob("asset.*") for path in asset.rglob("*.pyc")]


def test_a_python_of_the_runtime_changes_no_template(assembly: Assembly, other_process: Path) -> None:
    """GIVEN one who has the runtime's Python, WHEN one without it synthesizes, THEN all is named alike; or turned."""
    other = other_process / "out"
    assert bool(caches(other)) != bool(caches(assembly.folder))
    assert names(other) == names(assembly.folder)
