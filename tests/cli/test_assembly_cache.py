from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from everloop.cli.operations import assembly_cache
from everloop.cli.operations.assembly_cache import (
    IN_USE,
    KEPT,
    SynthesisFailedError,
    inputs_hash,
    synthesize_if_changed,
)

APP = """
import json, os, pathlib, sys
out = pathlib.Path(os.environ["CDK_OUTDIR"])
calls = pathlib.Path("../calls.log")
calls.write_text((calls.read_text() if calls.exists() else "") + "x")
if pathlib.Path("models/bad").exists():
    sys.exit("models/bad/model.yaml:1: a mistake")
out.mkdir()
(out / "manifest.json").write_text(os.environ["CDK_CONTEXT_JSON"])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    (folder / "cdk.json").write_text('{"context": {"everloop:architecture": "x86_64"}}')
    return folder


def calls(root: Path) -> int:
    log = root.parent / "calls.log"
    return len(log.read_text()) if log.exists() else 0


def test_the_same_inputs_are_synthesized_once(root: Path, tmp_path: Path) -> None:
    told: list[str] = []
    first = synthesize_if_changed(root, tmp_path / "cache", told.append)
    second = synthesize_if_changed(root, tmp_path / "cache", told.append)
    assert first == second
    assert calls(root) == 1
    assert len(told) == 1


def test_a_changed_source_is_synthesized_anew(root: Path, tmp_path: Path) -> None:
    first = synthesize_if_changed(root, tmp_path / "cache")
    (root / "models" / "new.yaml").write_text("x")
    assert synthesize_if_changed(root, tmp_path / "cache") != first
    assert calls(root) == 2


def test_caches_are_no_sources(root: Path) -> None:
    before = inputs_hash(root, {})
    (root / "models" / "__pycache__").mkdir()
    (root / "models" / "__pycache__" / "a.pyc").write_text("x")
    (root / ".venv").mkdir()
    (root / ".venv" / "a.py").write_text("x")
    assert inputs_hash(root, {}) == before


def test_a_module_beside_the_app_is_a_source(root: Path) -> None:
    before = inputs_hash(root, {})
    (root / "more_stacks.py").write_text("x")
    assert inputs_hash(root, {}) != before


OWN_STACKS = """
import importlib, os
from pathlib import Path
from ours import stacks
importlib.import_module("plugins.one")
code = Code.from_asset("assets/handler")
queries = Path(__file__).parent / "sql"
stage = os.environ["THE_STAGE"]
"""


@pytest.fixture
def own_stacks(root: Path) -> Path:
    """A project with stacks of its own beside the models."""
    for name, text in {
        "app.py": OWN_STACKS,
        "ours/stacks.py": "from .more import names\nimport shared.tags\nCONFIG = 'config/dev.json'\n",
        "ours/more/names.py": "",
        "ours/lambda/node_modules/x/index.js": "",
        "shared/tags.py": "TEMPLATE = Path(__file__).parent / '../templates/t.json'",
        "plugins/one.py": "",
        "assets/handler/index.py": "import boto3",
        "config/dev.json": "{}",
        "templates/t.json": "{}",
        "sql/of_a_day.sql": "",
        "tests/test_stacks.py": "import ours",
        "sales.csv": "a,b",
        "assets/unused.bin": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    "file",
    [
        "ours/stacks.py",
        "ours/more/names.py",
        "ours/more/new.py",
        "ours/lambda/node_modules/x/index.js",
        "ours/lambda/.env",
        "shared/tags.py",
        "plugins/one.py",
        "assets/handler/index.py",
        "config/dev.json",
        "templates/t.json",
        "sql/of_a_day.sql",
    ],
)
def test_what_the_app_imports_or_names_is_a_source(file: str, own_stacks: Path) -> None:
    before = inputs_hash(own_stacks, {})
    (own_stacks / file).write_text("changed")
    assert inputs_hash(own_stacks, {}) != before


@pytest.mark.parametrize("file", ["tests/test_stacks.py", "sales.csv", "assets/unused.bin", "ours/__pycache__/x.pyc"])
def test_what_it_neither_imports_nor_names_is_none(file: str, own_stacks: Path) -> None:
    before = inputs_hash(own_stacks, {})
    (own_stacks / file).parent.mkdir(exist_ok=True)
    (own_stacks / file).write_text("changed")
    assert inputs_hash(own_stacks, {}) == before


def test_what_the_app_makes_is_no_source(root: Path) -> None:
    (root / "app.py").write_text('start_node(project / ".cache")\nout = ["cdk.out", "out", ".", "..", "/", "app.py"]\n')
    before = inputs_hash(root, {})
    for name in (".cache/a", "cdk.out/a", "out/a", ".venv/a", "b", "../c"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    assert inputs_hash(root, {}) == before


def test_a_variable_that_the_app_names_is_an_input(own_stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs_hash(own_stacks, {})
    monkeypatch.setenv("ANOTHER_STAGE", "test")
    assert inputs_hash(own_stacks, {}) == before
    monkeypatch.setenv("THE_STAGE", "test")
    assert inputs_hash(own_stacks, {}) != before


def test_another_version_of_the_cdk_is_an_input(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs_hash(root, {})
    monkeypatch.setattr(assembly_cache, "version", lambda package: "2.999.0")
    assert inputs_hash(root, {}) != before


def test_a_module_that_is_no_python_is_left_to_the_synthesis(root: Path) -> None:
    (root / "app.py").write_bytes(b"from ours import (\n\x00")
    assert inputs_hash(root, {})


def test_folders_that_lead_into_each_other_come_to_an_end(own_stacks: Path) -> None:
    (own_stacks / "ours" / "again").symlink_to(own_stacks / "ours")
    assert inputs_hash(own_stacks, {})


@pytest.mark.parametrize("file", ["infra/packaging/aws-sdk-pandas.txt", "functions/f/handler.py", "names.py", "a/b.py"])
def test_an_installed_everloop_is_a_source(file: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = root / "site-packages" / "everloop"
    monkeypatch.setattr(assembly_cache, "PACKAGE", package)
    (package / file).parent.mkdir(parents=True)
    before = inputs_hash(root, {})
    (package / file).write_text("x")
    assert inputs_hash(root, {}) != before


def test_the_commands_and_the_docs_are_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = root / "site-packages" / "everloop"
    monkeypatch.setattr(assembly_cache, "PACKAGE", package)
    package.mkdir(parents=True)
    before = inputs_hash(root, {})
    for name in ("cli", "docs"):
        (package / name).mkdir()
        (package / name / "a.py").write_text("x")
    assert inputs_hash(root, {}) == before


def test_context_is_that_of_the_project_unless_it_is_given(root: Path, tmp_path: Path) -> None:
    own = synthesize_if_changed(root, tmp_path / "cache")
    given = synthesize_if_changed(root, tmp_path / "cache", context={"everloop:architecture": "arm64"})
    assert json.loads((own / "manifest.json").read_text()) == {"everloop:architecture": "x86_64"}
    assert json.loads((given / "manifest.json").read_text()) == {"everloop:architecture": "arm64"}


@pytest.mark.parametrize(
    ("flags", "own", "expected"),
    [
        ({}, None, "false"),
        ({}, "true", "true"),
        ({"@aws-cdk/core:validateAgainstDefaultRules": True}, None, None),
        ({"@aws-cdk/core:strictCfnValidateErrors": True}, None, None),
        ({"@aws-cdk/core:strictCfnValidateErrors": False}, None, "false"),
    ],
)
def test_the_cdk_looks_at_the_templates_where_that_can_fail(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, bool],
    own: str | None,
    expected: str | None,
) -> None:
    monkeypatch.delenv("CDK_VALIDATION", raising=False)
    if own is not None:
        monkeypatch.setenv("CDK_VALIDATION", own)
    (root / "app.py").write_text(APP + '(out / "asked").write_text(json.dumps(os.environ.get("CDK_VALIDATION")))\n')
    (root / "cdk.json").write_text(json.dumps({"context": flags}))
    made = synthesize_if_changed(root, tmp_path / "cache")
    assert json.loads((made / "asked").read_text()) == expected


def test_a_failure_says_what_the_app_said_and_keeps_nothing(root: Path, tmp_path: Path) -> None:
    (root / "models" / "bad").mkdir()
    with pytest.raises(SynthesisFailedError, match=r"models/bad/model\.yaml:1: a mistake"):
        synthesize_if_changed(root, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_old_assemblies_go(root: Path, tmp_path: Path) -> None:
    made = []
    for number in range(KEPT + 2):
        (root / "models" / "m.yaml").write_text(str(number))
        made.append(synthesize_if_changed(root, tmp_path / "cache"))
        os.utime(made[-1], (number + 1, number + 1))
    assert [p.is_dir() for p in made] == [False, False, *[True] * KEPT]


def test_what_another_process_may_be_deploying_stays(root: Path, tmp_path: Path) -> None:
    made = []
    for number in range(KEPT + 2):
        (root / "models" / "m.yaml").write_text(str(number))
        made.append(synthesize_if_changed(root, tmp_path / "cache"))
    assert all(p.is_dir() for p in made)
    # WHEN they were asked for that long ago, THEN the next one takes their place
    for number, folder in enumerate(made):
        then = time.time() - IN_USE.total_seconds() - 60 + number
        os.utime(folder, (then, then))
    (root / "models" / "m.yaml").write_text("next")
    made.append(synthesize_if_changed(root, tmp_path / "cache"))
    assert [p.is_dir() for p in made] == [*[False] * 3, *[True] * KEPT]


def test_a_models_folder_elsewhere_is_an_input_and_its_place_is_not(root: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "m").mkdir(parents=True)
        (tmp_path / name / "m" / "model.yaml").write_text("x")
    one, other = ({"everloop:models_dir": str(tmp_path / name)} for name in ("one", "other"))
    before = inputs_hash(root, one)
    assert inputs_hash(root, other) == before
    (root / "models" / "new.yaml").write_text("x")
    assert inputs_hash(root, one) == before
    (tmp_path / "one" / "m" / "model.yaml").write_text("y")
    assert inputs_hash(root, one) != before
