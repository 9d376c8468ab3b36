"""What the type check passes over has a reason beside it."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PASSED_OVER = re.compile(r"#\s*type:\s*ignore(?P<codes>\[[a-z, -]+\])?(?P<rest>.*)$")
REASON = re.compile(r"\s+# \w.{3,}")


def unexplained(text: str) -> list[str]:
    """The lines that pass over a complaint without naming it, or without a reason after it."""
    found = (PASSED_OVER.search(line) for line in text.splitlines())
    return [m.string.strip() for m in found if m and not (m["codes"] and REASON.match(m["rest"]))]


def test_a_complaint_is_passed_over_with_its_name_and_a_reason() -> None:
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in files.stdout.split() if (ROOT / name).exists()}
    assert len(texts) > 100
    own = Path(__file__).relative_to(ROOT).as_posix()
    assert {name: lines for name, text in texts.items() if name != own and (lines := unexplained(text))} == {}


def test_one_without_either_is_found() -> None:
    explained = "a = b()  # type: ignore[arg-type]  # the stubs know less"
    assert unexplained(explained) == []
    bare, unnamed = "a = b()  # type: ignore[arg-type]", "a = b()  # type: ignore  # the stubs know less"
    assert unexplained(f"{bare}\n{unnamed}\n{explained}") == [bare, unnamed]


def test_every_room_is_checked() -> None:
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    checked = set(mypy["files"])
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    rooms = {name.split("/")[0] for name in listed.stdout.split()}
    linked = {link.name for link in (ROOT / "everloop").iterdir() if link.is_symlink()}
    # Both ways in would load a file twice, as two modules.
    assert not checked & linked
    assert rooms == checked | linked
    assert "exclude" not in mypy
