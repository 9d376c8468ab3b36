"""What the type check passes over has a reason beside it."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PASSED_OVER = re.compile(r"#\s*type:\s*ignore(?P<codes>\[[a-z, -]+\])?(?P<rest>.*)$")
REASON = re.compile(r"\s+# \w.{3,}")


def unexplained(text: str) -> list[str]:
    """The lines that pass over a complaint without naming it, or without a reason after it."""
    found = (PASSED_OVER.search(line) for line in text.splitlines())
    return [m.string.strip() for m in found if m and not (m["codes"] and REASON.match(m["rest"]))]


@cache
def texts() -> dict[str, str]:
    """Every file of Python here, by its name."""
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = {name: (ROOT / name).read_text(encoding="utf-8") for name in files.stdout.split() if (ROOT / name).exists()}
    assert len(found) > 100
    return found


def test_a_complaint_is_passed_over_with_its_name_and_a_reason() -> None:
    own = Path(__file__).relative_to(ROOT).as_posix()
    assert {name: lines for name, text in texts().items() if name != own and (lines := unexplained(text))} == {}


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


def imports(text: str) -> Iterator[str]:
    """The modules that a file imports, as far as their names tell: what begins with a capital is in one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name.islower())


def passed_over(module: str, overrides: list[dict[str, object]]) -> bool:
    """Whether the check takes what is in a module for anything. A name goes before a pattern, a longer one first."""
    patterns = {
        pattern: override["follow_imports"]
        for override in overrides
        if "follow_imports" in override
        for pattern in (str(name) for name in override["module"])  # type: ignore[attr-defined]  # a list, as it stands
    }
    # A pattern takes the package itself in.
    fitting = [p for p in patterns if p == module or fnmatch(f"{module}.", p) or fnmatch(module, p)]
    return bool(fitting) and patterns[max(fitting, key=lambda p: ("*" not in p, len(p)))] == "skip"


def test_what_the_check_does_not_follow_nobody_imports() -> None:
    """GIVEN packages whose modules are skipped, to be faster, THEN each that a file here imports is followed."""
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert "follow_imports" not in mypy
    overrides = mypy["overrides"]
    skipped = {
        name.split(".")[0] for each in overrides if each.get("follow_imports") == "skip" for name in each["module"]
    }
    assert "aws_cdk" in skipped
    naming = {name: text for name, text in texts().items() if any(package in text for package in skipped)}
    imported = {module for text in naming.values() for module in imports(text) if module.split(".")[0] in skipped}
    assert len(imported) > 20
    assert sorted(module for module in imported if passed_over(module, overrides)) == []
    # AND it is seen where one is not
    assert passed_over("aws_cdk.aws_quicksight", overrides)
    assert passed_over("sqlalchemy", overrides)
    assert not passed_over("aws_cdk", overrides)
    assert not passed_over("aws_cdk.interfaces.aws_kms", overrides)
    assert list(imports("from aws_cdk import Stack, aws_pipes")) == ["aws_cdk", "aws_cdk.aws_pipes"]


def test_no_room_of_ours_is_checked_less_strictly() -> None:
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    of_others = {"module", "ignore_missing_imports", "follow_imports"}
    relaxed = {name for each in mypy["overrides"] if set(each) - of_others for name in each["module"]}
    # Scripts for environments and frameworks that are not installed here.
    peers = {path.stem for path in (ROOT / "benchmarks" / "serving_peers").glob("*.py")}
    assert relaxed <= {*peers, "everloop.docs.examples.*"}
