"""What a stranger has: the two wheels, an empty folder, a fresh environment; nothing of this repository."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_string
from email.message import Message
from pathlib import Path, PurePosixPath

import pandas as pd
import pytest
from packaging.requirements import Requirement

from everloop import __version__
from everloop.cli.exceptions import DEPLOY
from everloop.infra.node import PACKAGES
from everloop.infra.packaging.requirements import read_lines
from support.npm import install_program

pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
"""Where the set-up left it; pip takes its place, and more time."""

ROOMS = ("cli", "everloop", "functions", "infra", "training")
MODEL, UNTIL_HISTORY, END = "bread_sold", "2026-02-01", "2026-02-02"
STACKS = {"EverloopPlatform", "EverloopModel-bread-sold"}
SYNTHESIZED = ("--app", "cdk.out")
NEXT_VERSION = "999.0.0"
STACKS_LEFT = (
    "import boto3; print(*(s['StackName'] for s in boto3.client('cloudformation').describe_stacks()['Stacks']))"
)


@dataclass(frozen=True)
class Project:
    """A folder with an environment of its own, and a shell in it."""

    folder: Path
    environment: dict[str, str]

    def having(self, **variables: str) -> Project:
        """The same, where the shell has these variables as well."""
        return Project(self.folder, self.environment | variables)

    def run(self, *command: str, status: int = 0) -> str:
        """What a command prints; the test fails where it ends with another status."""
        return self._finished(command, status).stdout

    def fails(self, *command: str) -> str:
        """What a command that can't do what was asked says of it."""
        return self._finished(command, 1).stderr

    def _finished(self, command: tuple[str, ...], status: int) -> subprocess.CompletedProcess[str]:
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program is not None
        finished = subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert finished.returncode == status, finished.stdout + finished.stderr
        return finished


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git knows: what lies about in a checkout is in no wheel."""
    clone = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name, follow_symlinks=False)
    return clone


@pytest.fixture(scope="module")
def wheels(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both wheels, built from that."""
    wheels = tmp_path_factory.mktemp("wheels")
    for source in (clone, clone / "localcloud"):
        _build(source, wheels)
    return wheels


@pytest.fixture(scope="module")
def cdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CDK's command line in the version that the docs name, from its registry."""
    (package,) = (word for word in DEPLOY.split() if word.startswith("aws-cdk@"))
    return install_program(package, "cdk", tmp_path_factory.mktemp("cdk"))


@pytest.fixture(scope="module")
def project(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """``everloop init`` in an empty folder, after ``pip install 'everloop[local]'`` into an empty environment."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "project"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
    python = folder / ".venv" / "bin" / "python"
    _install(python, wheels, "everloop[local]", "pytest")
    _share_compiled(folder / ".venv")
    kept = ("LANG", "TMPDIR", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "UV_CACHE_DIR", "SSL_CERT_FILE", "OMP_NUM_THREADS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    # The tools behind are for Node.js, uv and pip; everloop is the project's own.
    path = [str(python.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    environment |= {"PATH": os.pathsep.join(path), "HOME": str(home)}
    # What only takes time, and is the same: the CDK's library unpacked, and the layers built.
    environment[PACKAGES] = os.environ.get(PACKAGES, str(ROOT / ".cache" / "jsii"))
    if (ROOT / ".cache" / "layers").is_dir():
        shutil.copytree(ROOT / ".cache" / "layers", folder / ".cache" / "layers")
    made = Project(folder, environment)
    made.run("everloop", "init")
    made.run("python", f"models/{MODEL}/make_data.py", "sales.csv")
    yield made
    shutil.rmtree(folder)


def _build(source: Path, target: Path) -> None:
    if UV.is_file():
        _run(str(UV), "build", "--quiet", "--wheel", "--out-dir", str(target), str(source))
    else:
        _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(source))


def _install(python: Path, wheels: Path, *packages: str) -> None:
    what = ["--quiet", "--find-links", str(wheels), *packages]
    if UV.is_file():
        _run(str(UV), "pip", "install", "--python", str(python), *what)
    else:
        _run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile", *what)


def _share_compiled(environment: Path) -> None:
    """What only takes time: modules that uv linked into both environments from one cache are compiled already.

    Python looks at size and time of a module's source, and compiles anew what is another one.
    """
    ours, its = (Path(sysconfig.get_path("purelib", vars={"base": str(base)})) for base in (sys.prefix, environment))
    with contextlib.suppress(OSError):  # no links from one file system to another
        for compiled in ours.rglob("__pycache__"):
            beside = its / compiled.relative_to(ours)
            if beside.parent.is_dir() and not beside.exists():
                shutil.copytree(compiled, beside, copy_function=os.link)


def _run(*command: str) -> None:
    environment = {"UV_CACHE_DIR": str(ROOT / ".cache" / "uv"), **os.environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_has_every_module_of_every_room_and_one_import_root(wheels: Path) -> None:
    (wheel,) = wheels.glob("everloop-*.whl")
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert {name.parts[0] for name in names if not name.parts[0].endswith(".dist-info")} == {"everloop"}
    listed = subprocess.run(["git", "ls-files", *ROOMS], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {PurePosixPath(name) for name in listed.stdout.splitlines() if not (ROOT / name).is_symlink()}
    wanted = {name if name.parts[0] == "everloop" else "everloop" / name for name in tracked}
    assert len(wanted) > 250
    assert wanted - set(names) == {PurePosixPath("everloop/training/requirements.in")}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode())


def test_its_metadata_has_the_pins(wheels: Path) -> None:
    (wheel,) = wheels.glob("everloop-*.whl")
    told = metadata(wheel)
    needs = [Requirement(line) for line in told.get_all("Requires-Dist", [])]
    plain = {need.name: str(need.specifier) for need in needs if need.marker is None}
    assert plain == {
        line.requirement.name: str(line.requirement.specifier) for line in read_lines(ROOT / "requirements.txt")
    }
    assert str(told.get_payload()).strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert told["License-Expression"] == "Apache-2.0"


def test_what_the_local_half_and_the_server_need_is_what_is_tested_here(wheels: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = {need.name: str(need.specifier) for need in map(Requirement, project["optional-dependencies"]["local"])}
    (local_cloud,) = wheels.glob("everloop_localcloud-*.whl")
    told = metadata(local_cloud)
    assert pins.pop(told["Name"]) == f"=={told['Version']}"
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.partition(";")[0].split("==") for line in lines if "==" in line and not line.startswith("#"))
    pins |= {need.name: str(need.specifier) for need in map(Requirement, project["optional-dependencies"]["serve"])}
    assert pins == {name: f"=={tested[name]}" for name in pins}


def test_its_environment_has_the_wheels_alone(project: Project) -> None:
    where = project.run("python", "-c", "import everloop.cli.main as a, localcloud as b; print(a.__file__, b.__file__)")
    assert [Path(file).is_relative_to(project.folder / ".venv") for file in where.split()] == [True, True]


def test_the_declarations_and_the_script_are_good(project: Project) -> None:
    (checked,) = json.loads(project.run("everloop", "check", "--json"))
    assert (checked["model"], checked["ok"]) == (MODEL, True)
    told = json.loads(project.run("everloop", "try", MODEL, "--data", "sales.csv", "--json"))
    assert told["verdict"] == "pass"
    project.run("python", "-m", "pytest", "-q")


def test_it_synthesizes_and_the_loop_turns(project: Project) -> None:
    rows = pd.read_csv(project.folder / "sales.csv")
    few = rows[rows["sold_at"] < END]
    few.to_csv(project.folder / "few.csv", index=False)
    project.run("everloop", "replay", MODEL, "--data", "few.csv", "--until-history", UNTIL_HISTORY)

    told = json.loads((project.folder / "out" / MODEL / "summary.json").read_text(encoding="utf-8"))
    assert told["open_links"] == []
    assert told["rows_served"] == told["predictions_captured"] == (few["sold_at"] >= UNTIL_HISTORY).sum()
    assert list((project.folder / ".everloop").iterdir()) == []
    # The replay has `python app.py` synthesize what a `cdk deploy` would take.
    assert templates(project.folder / ".cache" / "assembly").keys() == STACKS


def templates(folder: Path) -> dict[str, object]:
    """The synthesized templates below a folder, by their stacks' names."""
    return {path.name.split(".")[0]: json.loads(path.read_bytes()) for path in folder.rglob("*.template.json")}


@contextlib.contextmanager
def local_cloud(project: Project, *options: str) -> Iterator[Project]:
    """A shell after ``everloop local up`` and ``eval "$(everloop local env)"``, while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    project.run("everloop", "local", "up", "--port", str(port), *options)
    try:
        yield project.having(**json.loads(project.run("everloop", "local", "env", "--json"))["set"])
    finally:
        project.run("everloop", "local", "down")


def test_what_is_typed_for_aws_deploys_into_the_local_cloud(project: Project, cdk: Path) -> None:
    """``cdk bootstrap`` and ``cdk deploy``, then a champion, its prediction and its bake, then ``cdk destroy``.

    Only ``cdk deploy`` runs the app, and leaves the templates' validation out. All other commands take what has been
    synthesized (``--app``), by the replay or by it: that is the same.
    """
    (synthesized,) = (file.parent for file in (project.folder / ".cache" / "assembly").rglob("manifest.json"))
    rows = pd.read_csv(project.folder / "sales.csv")
    rows[rows["sold_at"] < UNTIL_HISTORY].to_csv(project.folder / "history.csv", index=False)
    write_request(project.folder)
    with local_cloud(project, "--empty") as shell:
        shell.run(str(cdk), "bootstrap", "--app", str(synthesized))
        shell.having(CDK_VALIDATION="false").run(str(cdk), "deploy", "--all", "--require-approval", "never")
        assert templates(project.folder / "cdk.out") == templates(project.folder / ".cache" / "assembly")
        assert set(shell.run(str(cdk), "ls", *SYNTHESIZED).split()) == STACKS
        shell.run("everloop", "data", "import", MODEL, "history.csv")
        shell.run("everloop", "train", MODEL)
        told = json.loads(shell.run("everloop", "predict", MODEL, "request.json", "--json"))
        assert len(told["predictions"]) == 1
        shell.run(str(cdk), "diff", "--fail", *SYNTHESIZED)  # which it does where there are differences
        time_passes(shell)
        shell.run(str(cdk), "destroy", "--all", "--force", *SYNTHESIZED)
        assert shell.run("python", "-c", STACKS_LEFT).split() == ["CDKToolkit"]


def time_passes(shell: Project) -> None:
    """Whoever meets a run that waits is told, and lets the time go by: this cloud's is real.

    Until the rollout has baked, its state machine would hold a deletion, as on AWS.
    """
    # GIVEN a first version that bakes; WHEN another training is asked for, THEN it is told what the run waits for
    for _ in range(30):
        met = shell.fails("everloop", "train", MODEL)
        if "bake lasts until" in met:
            break
        time.sleep(1)
    assert "version 1 serves, and its bake lasts until " in met
    assert "everloop local pass " in met
    # WHEN the time goes by; THEN the bake ends, and it is told
    passed = json.loads(shell.run("everloop", "local", "pass", "13h", "--json"))
    to = datetime.fromisoformat(passed["to"])
    assert to - datetime.fromisoformat(passed["from"]) == timedelta(hours=13)
    assert any("completed" in told["what"] for told in passed["happened"])
    (told,) = json.loads(shell.run("everloop", "status", "--json"))
    assert told["active_run"] is None
    # WHEN a day goes by, until an instant; THEN the schedule has fired on the way, and the clock goes on from there
    until = to + timedelta(days=1)
    output = shell.run("everloop", "local", "pass", "--until", until.isoformat())
    assert f"{MODEL}: window until " in output
    assert f"the local cloud's clock is at {until:%Y-%m-%d %H:%M} UTC" in output


def write_request(folder: Path) -> None:
    row = {"sale_id": "a", "shop": "market", "hour": 8, "price": 3.5, "rain": 0.1}
    (folder / "request.json").write_text(json.dumps({"instances": [row]}), encoding="utf-8")


@pytest.fixture(scope="module")
def shell(project: Project) -> Iterator[Project]:
    with local_cloud(project) as shell:
        yield shell


def test_a_local_cloud_stays_and_answers(shell: Project) -> None:
    shell.run("everloop", "data", "import", MODEL, "few.csv")
    (told,) = json.loads(shell.run("everloop", "status", "--json"))
    assert (told["model"], told["champion"]) == (MODEL, None)
    write_request(shell.folder)
    # Nothing was trained: the endpoint is there, and says that nothing serves.
    assert "503" in shell.fails("everloop", "predict", MODEL, "request.json")
    # What has not changed is not deployed again.
    up = json.loads(shell.run("everloop", "local", "up", "--json"))
    assert up["endpoint"] == shell.environment["AWS_ENDPOINT_URL"]


def test_an_upgrade_is_another_version_installed(shell: Project, clone: Path, tmp_path: Path) -> None:
    module = clone / "everloop" / "__init__.py"
    text = module.read_text(encoding="utf-8")
    assert text.count(__version__) == 1
    module.write_text(text.replace(__version__, NEXT_VERSION), encoding="utf-8")
    _build(clone, tmp_path)
    requirements = shell.folder / "requirements.txt"
    told = requirements.read_text(encoding="utf-8")
    assert f"everloop[local]=={__version__}\n" in told
    requirements.write_text(told.replace(__version__, NEXT_VERSION), encoding="utf-8")
    _install(shell.folder / ".venv" / "bin" / "python", tmp_path, "--requirement", str(requirements))
    assert shell.run("everloop", "--version").split()[-1] == NEXT_VERSION
    (checked,) = json.loads(shell.run("everloop", "check", "--deployed", "--json"))
    assert (checked["model"], checked["ok"], checked["changes"]) == (MODEL, True, [])


def test_nothing_is_written_over(project: Project) -> None:
    (project.folder / "app.py").write_text("mine\n", encoding="utf-8")
    project.run("everloop", "init", status=1)
    assert (project.folder / "app.py").read_text(encoding="utf-8") == "mine\n"
