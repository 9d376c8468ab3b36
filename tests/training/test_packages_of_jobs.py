"""A job installs nothing into the environment that it runs in, which is the project's own."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from localcloud.services.sagemaker.jobs.root import JobRoot

TRAINING = Path(__file__).parents[2] / "training"
WITHOUT_INDEX = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture
def root(tmp_path: Path) -> JobRoot:
    return JobRoot.create(tmp_path / "job")


def run(root: JobRoot, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**root.base_environment(), **WITHOUT_INDEX, **variables}
    program = shutil.which(command[0], path=environment["PATH"])
    assert program is not None
    command = (program, *command[1:])
    return subprocess.run(command, cwd=root.path, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package that pip can install without an index."""
    file = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("thing.py", "")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return file


def test_the_evaluation_goes_on_with_pins_that_are_not_met(root: JobRoot, tmp_path: Path) -> None:
    # GIVEN the code of the evaluation job, with a pin that nothing here meets
    code = tmp_path / "code"
    package = code / "everloop" / "training"
    package.mkdir(parents=True)
    shutil.copy(TRAINING / "entry" / "evaluate.sh", code)
    for name in ("__init__.py", "packages.py"):
        shutil.copy(TRAINING / name, package)
    (package / "evaluate.py").write_text("print('evaluated')\n")
    (code / "requirements.txt").write_text("no-such-package-here==1.0\n")

    # WHEN it runs as the local cloud runs it
    finished = run(root, "sh", str(code / "evaluate.sh"))

    # THEN it says what it lacks, and evaluates
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lacking, left_out, evaluated = finished.stdout.splitlines()
    assert lacking == "to install: no-such-package-here==1.0"
    assert left_out.startswith("left out, because")
    assert evaluated == "evaluated"


@pytest.mark.parametrize("pip", ["python -m pip", "python3 -m pip", "pip", "pip3"])
def test_pip_is_left_out(root: JobRoot, pip: str) -> None:
    for change in (["install", "no-such-package-here"], ["uninstall", "--yes", "no-such-package-here"]):
        finished = run(root, *pip.split(), *change)
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.startswith("left out, because"), finished.stdout
        assert finished.stdout.endswith(f"-m pip {' '.join(change)}\n")


def test_what_pip_only_tells_it_still_tells(root: JobRoot) -> None:
    assert run(root, "python3", "-m", "pip", "--version").stdout.startswith("pip ")
    assert "pytest" in run(root, "pip", "list").stdout


@pytest.mark.parametrize(("variables", "installed"), [({}, False), ({"PIP_DRY_RUN": "0"}, True)])
def test_a_pip_reached_by_another_way_installs_nothing(
    root: JobRoot, wheel: Path, tmp_path: Path, variables: dict[str, str], installed: bool
) -> None:
    install = f"[sys.executable, '-m', 'pip', 'install', '--target', {str(tmp_path / 'there')!r}, {str(wheel)!r}]"
    finished = run(root, "python3", "-c", f"import subprocess, sys; subprocess.run({install}, check=True)", **variables)
    assert finished.returncode == 0, finished.stderr
    assert ("Would install thing-1.0" in finished.stdout) is not installed
    assert (tmp_path / "there" / "thing.py").is_file() is installed
