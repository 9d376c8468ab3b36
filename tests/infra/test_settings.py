from __future__ import annotations

from pathlib import Path

import pytest

from everloop.infra.exceptions import SynthesisError
from everloop.infra.settings import Settings, read_models
from tests.helpers.declarations import binary_document, regression_document
from tests.helpers.synthesis import ROOT, write_model


def test_models_come_sorted(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    write_model(tmp_path, regression_document())
    assert [m.declaration.model for m in read_models(tmp_path)] == ["delay_minutes", "late_train"]


def test_all_mistakes_of_all_models_come_at_once(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document() | {"surprise": 1})
    write_model(tmp_path, regression_document(serving={"max_row": 3}))
    (tmp_path / "third").mkdir()
    with pytest.raises(SynthesisError) as caught:
        read_models(tmp_path)
    lines = str(caught.value).splitlines()
    assert [part for part in ("surprise", "max_row", "third") if not any(part in line for line in lines)] == []


def test_a_misspelt_file_does_not_take_a_model_away(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    (tmp_path / "late_train" / "model.yaml").rename(tmp_path / "late_train" / "model.yml")
    with pytest.raises(SynthesisError, match=r"model\.yaml"):
        read_models(tmp_path)


def test_the_document_is_the_same_however_the_file_is_written(tmp_path: Path) -> None:
    folder = write_model(tmp_path, binary_document())
    before = read_models(tmp_path)[0]
    text = (folder / "model.yaml").read_text(encoding="utf-8")
    (folder / "model.yaml").write_text(f"# a comment\n{text}", encoding="utf-8")
    assert read_models(tmp_path)[0].sha256 == before.sha256


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(SynthesisError, match="'sparc' is not one of x86_64, arm64"):
        Settings.of(ROOT, models="tests", architecture="sparc")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="nowhere"):
        Settings.of(tmp_path, models="nowhere")
