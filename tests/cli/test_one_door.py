"""The commands do not know whether they talk to AWS or to a local cloud."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CLI = Path(__file__).parents[2] / "cli"
KNOWS_THE_LOCAL_CLOUD = {"commands/local.py", "commands/replay.py", "operations/local_cloud.py", "replay/run.py"}
"""What starts a local cloud. Everything else works on any account."""

FILES = sorted(str(p.relative_to(CLI)) for p in CLI.rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("file", [f for f in FILES if f not in KNOWS_THE_LOCAL_CLOUD])
def test_no_command_imports_the_local_cloud_or_names_an_endpoint(file):
    text = (CLI / file).read_text()
    tree = ast.parse(text)
    roots = {name.split(".")[0] for name in imported(tree)}
    assert not roots & {"local", "moto"}, file
    assert "cli.operations.local_cloud" not in imported(tree)
    for word in ("127.0.0.1", "localhost", "endpoint_url=", "is_local"):
        assert word not in text, f"{file} mentions {word}"


@pytest.mark.parametrize(
    "command", ["check", "data", "train", "predict", "labels", "status", "trace", "runs", "rollout", "audit"]
)
def test_the_commands_for_an_account_load_nothing_of_the_local_cloud(command):
    code = (
        "import sys; from cli.main import everloop, LazyGroup; "
        f"assert everloop.get_command(None, {command!r}) is not None; "
        "loaded = {m.split('.')[0] for m in sys.modules}; "
        "assert not loaded & {'local', 'moto', 'duckdb', 'flask', 'aws_cdk', 'matplotlib'}, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CLI.parent)
