"""The directory that stands for /opt/ml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.services.sagemaker.jobs.root import JobRoot


@pytest.fixture
def root(tmp_path: Path) -> JobRoot:
    return JobRoot.create(tmp_path / "job")


@pytest.mark.parametrize("text", ["/opt/ml", "/opt/ml/model", "--path=/opt/ml/model"])
def test_container_paths_are_rewritten(root: JobRoot, text: str) -> None:
    assert root.rewrite(text) == text.replace("/opt/ml", str(root.path))


@pytest.mark.parametrize("text", ["", "x", "/opt/mlx", "s3://bucket/opt/ml", "see /opt/ml", "a=/opt/ml"])
def test_other_text_stays(root: JobRoot, text: str) -> None:
    assert root.rewrite(text) == text


@pytest.mark.parametrize("path", ["/etc", "/opt/ml/../../etc", "/opt/mlx"])
def test_paths_outside_are_refused(root: JobRoot, path: str) -> None:
    with pytest.raises(ValueError, match="only paths below /opt/ml"):
        root.local(path)


@pytest.mark.parametrize("name", ["python", "python3"])
def test_python_is_this_interpreter(root: JobRoot, name: str) -> None:
    answer = subprocess.run(
        [name, "-c", "import sys; print(sys.prefix)"],
        env=root.base_environment(),
        capture_output=True,
        text=True,
        check=True,
        executable=str(root.path / "bin" / name),
    )
    assert answer.stdout.strip() == sys.prefix
