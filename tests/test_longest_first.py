"""Workers begin with what takes longest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.longest_first import GROUPS, are_in_order

ROOT = Path(__file__).resolve().parents[1]


def test_every_group_has_its_place() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py"))]
    found = {name for text in texts for name in re.findall(r'mark\.xdist_group\("([^"]+)"\)', text)}
    assert found == set(GROUPS), "groups that helpers/longest_first.py does not list, or that are no more"


def test_this_run_is_in_that_order(request: pytest.FixtureRequest) -> None:
    assert are_in_order(request.session.items)


def test_tests_of_one_group_stay_in_their_order() -> None:
    """Whatever the command line names first; those that have no group come last."""
    files = ["tests/test_longest_first.py", "tests/loop/test_taking_back.py", "tests/cli/test_try.py"]
    files += ["tests/loop/test_bad_requests.py", "tests/wheel"]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    order = list(dict.fromkeys(line.partition("::")[0] for line in listed.splitlines() if "::" in line))
    assert order[:2] == ["tests/loop/test_taking_back.py", "tests/loop/test_bad_requests.py"]
    assert [name.split("/")[1] for name in order[2:]] == ["wheel", "cli", "test_longest_first.py"]


def test_the_makefile_tells_the_workers_so() -> None:
    """Otherwise they begin with the group that has most tests."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    runs = [line for line in makefile.splitlines() if "--dist loadgroup" in line and "localcloud/tests" not in line]
    assert len(runs) == 4
    assert all("--no-loadscope-reorder" in line for line in runs)
