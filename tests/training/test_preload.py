"""What the local cloud imports for jobs beforehand is what a training imports."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from everloop.cli.operations.jobs_here import SETTINGS
from localcloud.core.preloaded.preloading import CAN_PRELOAD
from tests.helpers.declarations import binary_document, declare
from tests.helpers.job_python import VARIABLES, job_path
from tests.training.scenes import CLASSIFIER, unpacked_source

pytestmark = pytest.mark.xdist_group("jobs")
LIST = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["sagemaker"]["preload"]


def test_a_training_imports_all_of_it_by_itself() -> None:
    """So no job finds a module imported that it would have to import itself."""
    program = (
        "import importlib, json, sys, everloop.training.train\n"
        "there = set(sys.modules)\n"
        f"for name in {LIST}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(set(sys.modules) - there)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == []


def test_a_job_starts_from_it_with_the_code_of_its_archive(tmp_path: Path) -> None:
    code = unpacked_source(tmp_path / "code", declare(binary_document()), CLASSIFIER)
    (code / "told.py").write_text(
        "import json, sys\n"
        f"there = [name in sys.modules for name in {LIST}]\n"
        "import everloop.training\n"
        "print(json.dumps([*there, everloop.training.__file__]))"
    )
    for words in (["told.py"], ["-m", "told"]):
        ran = subprocess.run(
            ["python3", *words],
            env={"PATH": job_path(), **VARIABLES},
            cwd=code,
            capture_output=True,
            text=True,
            check=True,
        )
        *there, file = json.loads(ran.stdout)
        assert there == [CAN_PRELOAD] * len(LIST)
        assert file == str(code / "everloop" / "training" / "__init__.py")
