"""What a function imports is there: in Python, in the runtime, in its layers, or in the package itself."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from everloop.infra.packaging.imports import imported_names, local_modules
from everloop.infra.packaging.requirements import read_lines
from everloop.names import FUNCTIONS, PROBE_FUNCTION
from tests.helpers.synthesis import ROOT

RUNTIME = {"boto3", "botocore"}
FITTED_ELSEWHERE = {"predict": {"sklearn"}}
"""What a shipped file imports only to fit: a fallback answers by a rule that a training has fitted."""


def provided_by(requirements: Path) -> set[str]:
    """The modules of the packages that a requirements file names directly."""
    wanted = {line.name for line in read_lines(requirements)}
    return {
        module
        for module, packages in metadata.packages_distributions().items()
        if wanted & {p.lower().replace("_", "-") for p in packages}
    }


@pytest.mark.parametrize("name", [*FUNCTIONS, PROBE_FUNCTION])
def test_nothing_is_imported_that_is_not_there(name: str) -> None:
    folder = ROOT / "functions" / name
    own = sorted(folder.glob("*.py"))
    shipped = own + [ROOT / path for path in local_modules(own, root=ROOT, package="everloop")]
    imported = {
        n.split(".")[0]
        for path in shipped
        for n in imported_names(path.read_text(encoding="utf-8"), file=str(path), package="everloop")
    }
    known = set(sys.stdlib_module_names) | RUNTIME | {"everloop"} | {path.stem for path in own}
    known |= provided_by(folder / "requirements.txt") | FITTED_ELSEWHERE.get(name, set())
    assert imported - known == set()
