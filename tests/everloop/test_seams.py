"""Every seam's registration is what stands in its folder, and asking for names alone imports no implementation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from everloop.evaluation.baselines import BASELINES
from everloop.monitoring.detectors import DETECTORS
from everloop.rollout.strategies import STRATEGIES
from everloop.rollout.targets import TARGETS
from everloop.seams import Seam, UnknownImplementationError
from everloop.serving.protocols import PROTOCOLS

SEAMS: list[Seam[Any]] = [BASELINES, DETECTORS, PROTOCOLS, STRATEGIES, TARGETS]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.what)
def test_what_is_registered_is_what_stands_in_the_folder(seam: Seam[Any]) -> None:
    folder = ROOT / seam.package.replace(".", "/")
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == set(seam.names)
    assert len(list(seam)) == len(seam.names)


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.what)
def test_what_is_not_registered_is_refused_with_what_is(seam: Seam[Any]) -> None:
    with pytest.raises(UnknownImplementationError, match=f"'os' is not a {seam.what}; registered are {seam.names[0]}"):
        seam.load("os")
    for wrong in ("os", 3, None, ["prior"]):
        with pytest.raises(ValueError, match=repr(seam.names[0])):
            seam.registered(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.what)
def test_to_know_the_names_is_to_import_no_implementation(seam: Seam[Any]) -> None:
    loaded = [f"{seam.package}.{name}" for name in seam.names]
    question = f"import sys, {seam.package}; print([m for m in {[*loaded, 'numpy']} if m in sys.modules])"
    asked = subprocess.run([sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
