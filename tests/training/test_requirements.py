"""The lock of the jobs' packages: whole, equal to what the project is tested with, and one that pip takes."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from everloop.infra.packaging.requirements import Target, read_lines
from everloop.training.packages import unmet

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "training" / "requirements.txt"
IMAGE = Target("3.12", "x86_64")
"""The SageMaker image's Python."""


def locked() -> dict[str, tuple[Requirement, list[str]]]:
    """What is installed in the image: each requirement with its hashes."""
    found: dict[str, tuple[Requirement, list[str]]] = {}
    name = ""
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        text = line.removesuffix("\\").strip()
        if text.startswith("--hash=sha256:"):
            if name:
                found[name][1].append(text.removeprefix("--hash=sha256:"))
        elif text and not text.startswith("#"):
            requirement = Requirement(text)
            holds = requirement.marker is None or requirement.marker.evaluate(IMAGE.markers)
            name = canonicalize_name(requirement.name) if holds else ""
            if holds:
                assert name not in found
                found[name] = requirement, []
    return found


def test_what_is_wanted_is_locked_and_nothing_else_is() -> None:
    lock = locked()
    wanted = [line for line in read_lines(ROOT / "training" / "requirements.in") if line.holds_on(IMAGE)]
    assert len(wanted) == 9
    reached, waiting = set(), [line.name for line in wanted]
    for line in wanted:
        assert lock[line.name][0].specifier == line.requirement.specifier
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [canonicalize_name(needed.name) for needed in needs_of(name)]
    # cloudpickle and narwhals: what a release of scikit-learn brings along.
    assert reached == set(lock)


def needs_of(name: str) -> list[Requirement]:
    """What a package needs in the image, by its own word. The other Python's release here has the same needs."""
    needs = map(Requirement, metadata.requires(name) or [])
    return [need for need in needs if need.marker is None or need.marker.evaluate(IMAGE.markers)]


@pytest.mark.parametrize("name", sorted(locked()))
def test_every_need_is_locked_in_a_version_that_meets_it(name: str) -> None:
    lock = locked()
    requirement, hashes = lock[name]
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    assert hashes
    assert all(len(digest) == 64 for digest in hashes)
    for need in needs_of(name):
        (chosen,) = lock[canonicalize_name(need.name)][0].specifier
        assert need.specifier.contains(chosen.version), f"{name} needs {need}"


def test_the_lock_has_the_projects_versions() -> None:
    """What a candidate is trained with is what the exporter is tested with."""
    constraints = {
        line.name: line.requirement.specifier for line in read_lines(ROOT / "constraints.txt") if line.holds_on(IMAGE)
    }
    assert {n: str(r.specifier) for n, (r, _) in locked().items() if constraints[n] != r.specifier} == {}
    assert unmet(LOCK.read_text(encoding="utf-8").splitlines()) == []


def test_pip_takes_the_file_with_its_hashes(tmp_path: Path) -> None:
    """A few small packages of it, as the whole is a quarter of a gigabyte."""
    small = {"six", "annotated-types", "typing-extensions", "threadpoolctl"}
    chosen, keep = [], False
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            keep = Requirement(line.removesuffix("\\").strip()).name in small
        if keep:
            chosen.append(line)
    file = tmp_path / "requirements.txt"
    file.write_text("\n".join(chosen) + "\n")
    asked = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--require-hashes", "--no-deps"]
    asked += ["--retries", "1", "--timeout", "10", "-r", str(file)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
    if "No matching distribution found" in done.stderr or "Connection" in done.stderr:
        pytest.skip("the package index can't be reached, so pip was not asked whether it takes the lock")
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stdout
