"""What ``everloop init`` writes, and that it writes over nothing."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from everloop import __version__
from everloop.cli.commands.docs import docs
from everloop.cli.commands.init import init
from everloop.cli.exceptions import CommandError
from everloop.cli.main import COMMANDS, everloop
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.remedies import module_remedy

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ".github/workflows/everloop.yml",
    ".gitignore",
    "README.md",
    "app.py",
    "cdk.json",
    "models/bread_sold/make_data.py",
    "models/bread_sold/model.yaml",
    "models/bread_sold/train.py",
    "requirements-dev.txt",
    "requirements.txt",
    "tests/test_bread_sold.py",
}


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_project_is_written_whole(tmp_path: Path) -> None:
    told = json.loads(CliRunner().invoke(init, [str(tmp_path / "new"), "--json"]).output)
    assert written(tmp_path / "new") == set(told["files"]) == FILES
    assert f"\neverloop[local]=={__version__}\n" in (tmp_path / "new" / "requirements.txt").read_text()
    assert find_declaration("bread_sold", tmp_path / "new" / "models").problem.type == "regression"


@pytest.mark.parametrize("there", sorted(FILES))
def test_nothing_is_written_where_one_of_its_files_is(there: str, tmp_path: Path) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("mine")
    refused = CliRunner().invoke(init, [str(tmp_path)])
    assert isinstance(refused.exception, CommandError)
    assert there in refused.exception.message
    assert written(tmp_path) == {there}


def test_beside_other_files_it_is(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("mine")
    assert CliRunner().invoke(init, [str(tmp_path)]).exit_code == 0
    assert written(tmp_path) == FILES | {"LICENSE"}


def test_the_workflow_types_commands_that_there_are(tmp_path: Path) -> None:
    CliRunner().invoke(init, [str(tmp_path)])
    workflow = yaml.safe_load((tmp_path / ".github/workflows/everloop.yml").read_text())
    (job,) = workflow["jobs"].values()
    typed = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
    commands = [line.split()[1] for line in typed if line.startswith("everloop ")]
    assert commands == ["check", "replay"]
    assert set(commands) < set(COMMANDS)
    assert "pytest" in typed


def test_it_is_deployed_by_the_same_command_as_this_repository() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (version,) = {word for word in readme.split() if word.startswith("aws-cdk@")}
    for page in ("cli/new_project/README.md", "docs/your-project.md"):
        words = (ROOT / page).read_text(encoding="utf-8").replace("`", " ").split()
        assert {word for word in words if word.startswith("aws-cdk@")} == {version}, page


def test_the_pages_are_listed_and_shown() -> None:
    listed = CliRunner().invoke(docs, []).output
    assert "your-project     A project of your own\n" in listed
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(docs, ["limits"]).output.rstrip() == page.rstrip()
    assert Path(CliRunner().invoke(docs, ["limits", "--path"]).output.strip()).samefile(ROOT / "docs" / "limits.md")


def test_machines_get_the_pages_whole() -> None:
    pages = json.loads(CliRunner().invoke(docs, ["--json"]).output)
    assert {"page": "your-project", "title": "A project of your own"}.items() <= pages[-1].items()
    (found,) = [one for one in pages if one["page"] == "limits"]
    shown = json.loads(CliRunner().invoke(docs, ["limits", "--json"]).output)
    assert shown == {**found, "text": Path(found["path"]).read_text(encoding="utf-8")}


@pytest.mark.parametrize("page", ["no-such-page", "../README", "decisions/0003-time-comes-with-the-event"])
def test_a_page_that_is_not_there_is_refused(page: str) -> None:
    refused = CliRunner().invoke(docs, [page])
    assert isinstance(refused.exception, CommandError)
    assert "`everloop docs`" in refused.exception.remedy


def test_pages_that_commands_name_are_there() -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    named = set()
    for room in ("cli", "everloop", "functions", "infra", "training"):
        for file in (ROOT / room).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            named |= {part.split("`")[0] for part in text.split("`everloop docs ")[1:]}
    assert {"add-a-model", "change-a-model", "data-formats"} <= named <= pages


@pytest.mark.parametrize(
    ("module", "packages"),
    [("awswrangler", "[local]"), ("localcloud", "[local]"), ("sklearn", "[local]"), ("numpy", "")],
)
def test_a_missing_package_is_told_with_what_brings_it(module: str, packages: str) -> None:
    remedy = module_remedy(ModuleNotFoundError(f"No module named {module}", name=module))
    assert f"pip install 'everloop{packages}=={__version__}'" in remedy


def test_the_extras_of_the_remedies_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) == {"local", "serve"}
    assert everloop.name == "everloop"
