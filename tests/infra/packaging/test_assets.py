"""What goes into a function's package, and into the jobs' archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.files import write_folder
from everloop.infra.packaging.function_code import function_code
from everloop.infra.packaging.training_source import main, training_source
from everloop.infra.settings import read_models
from everloop.model_file.samples import SAMPLES
from tests.helpers.declarations import binary_document
from tests.helpers.synthesis import write_model


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "everloop/__init__.py": b"",
        "everloop/used.py": b"",
        "everloop/unused.py": b"",
        "everloop/of_user.py": b"",
        "everloop/functions/f/handler.py": b"import everloop.used\n",
        "everloop/functions/f/helper.py": b"",
        "everloop/functions/f/requirements.txt": b"numpy\n",
        "everloop/training/__init__.py": b"",
        "everloop/training/train.py": b"from everloop import used\n",
        "everloop/training/requirements.txt": b"numpy\n",
        "everloop/training/entry/train_entry.py": b"from everloop.training.train import main\n",
        "everloop/training/entry/evaluate.sh": b"#!/bin/sh\n",
        "everloop/training/entry/probe.sh": b"#!/bin/sh\n",
        "models/m/model.yaml": b"model: m\n",
        "models/m/train.py": b"import everloop.of_user\n",
        "models/m/rates.csv": b"1\n",
    }
    return write_folder(files, tmp_path)


def test_a_function_ships_only_what_it_imports(root: Path) -> None:
    code = function_code(root / "everloop" / "functions" / "f", root=root, declaration=b"{}")
    assert set(code) == {"handler.py", "helper.py", "declaration.json", "everloop/__init__.py", "everloop/used.py"}


def test_a_function_has_a_handler(root: Path) -> None:
    (root / "everloop" / "functions" / "f" / "handler.py").unlink()
    with pytest.raises(PackagingError, match=r"handler\.py: no such file"):
        function_code(root / "everloop" / "functions" / "f", root=root, declaration=b"{}")


def test_the_jobs_archive(root: Path) -> None:
    source = training_source(root / "models" / "m", b"{}", root=root)
    assert set(source) == {
        "declaration.json",
        "evaluate.sh",
        "everloop/__init__.py",
        "everloop/of_user.py",
        "everloop/training/__init__.py",
        "everloop/training/train.py",
        "everloop/used.py",
        "probe.sh",
        "requirements.txt",
        "train_entry.py",
        "user_model/model.yaml",
        "user_model/rates.csv",
        "user_model/train.py",
    }


@pytest.mark.parametrize("name", ["entry/train_entry.py", "entry/evaluate.sh", "entry/probe.sh", "requirements.txt"])
def test_what_the_jobs_start_by_has_to_be_there(root: Path, name: str) -> None:
    (root / "everloop" / "training" / name).unlink()
    with pytest.raises(PackagingError, match="no such file"):
        training_source(root / "models" / "m", b"{}", root=root)


def test_sample_rows_stay_behind(root: Path) -> None:
    model = root / "models" / "m"
    before = training_source(model, b"{}", root=root)
    for name in SAMPLES:
        (model / name).write_bytes(b"1\n")
    assert training_source(model, b"{}", root=root) == before


def test_the_written_archive_is_the_one_that_a_synthesis_ships(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "models", binary_document())
    assert main([str(folder), str(tmp_path / "code")]) == 0
    (declared,) = read_models(tmp_path / "models")
    shipped = training_source(folder, declared.document)
    written = {p.relative_to(tmp_path / "code").as_posix(): p.read_bytes() for p in (tmp_path / "code").rglob("*.*")}
    assert written == shipped


def test_a_model_that_can_not_be_packaged_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "models", binary_document())
    (folder / "train.py").write_text("import (\n", encoding="utf-8")
    assert main([str(folder), str(tmp_path / "code")]) == 1
    assert "train.py:1" in capsys.readouterr().err
