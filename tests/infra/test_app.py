"""``python app.py`` as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from everloop.infra.node import PACKAGES
from tests.helpers.declarations import binary_document
from tests.helpers.synthesis import ROOT, write_model


def test_a_bad_declaration_is_said_without_a_traceback(tmp_path: Path) -> None:
    write_model(tmp_path / "models", binary_document(serving={"max_row": 3}))
    context = {"everloop:models_dir": str(tmp_path / "models")}
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != PACKAGES} | {"HOME": str(home)}
    finished = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**environment, "CDK_OUTDIR": str(tmp_path / "out"), "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "the unknown key 'max_row'" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert list(home.iterdir()) == [], "the CDK was imported by then"


def test_a_region_without_what_it_needs_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "CDK_OUTDIR": str(tmp_path / "out"), "CDK_DEFAULT_REGION": "mx-central-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert (
        "region mx-central-1: SageMaker has no sklearn 1.9-0 image there; set AWS_REGION to one of" in finished.stderr
    )
    assert "eu-central-1" in finished.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
