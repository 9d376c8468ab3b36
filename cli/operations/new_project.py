"""The files of a new project: an app of a few lines, an example model, and a workflow that checks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from everloop import __version__
from everloop.cli.exceptions import CommandError

TEMPLATE = Path(__file__).parent.parent / "new_project"
ELSEWHERE = {"gitignore": ".gitignore", "workflow.yml": ".github/workflows/everloop.yml"}
"""Files that a tool would take for this repository's own, where they had their names here."""

LEFT_OUT = frozenset({"__pycache__"})
REQUIREMENTS = "requirements.txt"


def write_project(folder: Path) -> list[Path]:
    """Write a new project into a folder, which may be there; the files, relative to it, sorted.

    Raises
    ------
    CommandError
        Where one of its files is there already. Nothing is written then.
    """
    contents = dict(sorted(_contents()))
    there = [str(name) for name in contents if (folder / name).exists()]
    if there:
        raise CommandError(
            f"{folder.resolve()} has {', '.join(there)} already; nothing was written",
            "use a new folder: `everloop init FOLDER`",
        )
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return list(contents)


def _contents() -> Iterator[tuple[Path, bytes]]:
    for path in TEMPLATE.rglob("*"):
        within = path.relative_to(TEMPLATE)
        if path.is_file() and not LEFT_OUT.intersection(within.parts):
            yield Path(ELSEWHERE.get(within.as_posix(), within.as_posix())), path.read_bytes()
    yield Path(REQUIREMENTS), f"# To upgrade, change this version.\neverloop[local]=={__version__}\n".encode()
