"""``everloop check`` ends with a verdict on every declaration, whatever stands in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.commands.check import check
from tests.helpers.declarations import binary_document, regression_document
from tests.helpers.synthesis import write_model


def checked(models: Path, *arguments: str) -> Any:
    return CliRunner().invoke(check, [*arguments, "--models-directory", str(models)])


def test_a_good_declaration_is_told_with_what_it_may_cost(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    found = checked(tmp_path)
    assert found.exit_code == 0
    assert "late_train: good (binary_classification, 4 features, at most $0.460" in found.output


def test_mistakes_of_every_kind_are_told_with_their_lines(tmp_path: Path) -> None:
    # GIVEN one declaration that is no YAML of ours, one whose parts do not fit, and a good one
    broken = write_model(tmp_path, binary_document(model="broken")) / "model.yaml"
    broken.write_text(broken.read_text().replace("  seed: 7", "  seed: &a [*a]"))
    write_model(tmp_path, regression_document(gate={"metric": "brier"}))
    write_model(tmp_path, binary_document())
    # WHEN all are checked
    found = checked(tmp_path, "--json")
    # THEN each has its verdict
    assert found.exit_code == 1
    results = {result["model"]: result for result in json.loads(found.output)}
    assert {name: result["ok"] for name, result in results.items()} == {
        "broken": False,
        "delay_minutes": False,
        "late_train": True,
    }
    line = (tmp_path / "broken" / "model.yaml").read_text().splitlines().index("  seed: &a [*a]") + 1
    assert [m["line"] for m in results["broken"]["mistakes"]] == [line, line]
    (mistake,) = results["delay_minutes"]["mistakes"]
    assert (mistake["path"], mistake["found"]) == ("gate.metric", "'brier'")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"model: \x00"])
def test_a_file_that_is_no_text_of_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = write_model(tmp_path, binary_document()) / "model.yaml"
    file.write_bytes(content)
    found = checked(tmp_path)
    assert found.exit_code == 1
    assert str(file) in found.output.replace("\n", "")
    assert found.exception is None or isinstance(found.exception, SystemExit)
