"""Builds every layer into the project's cache, so that a synthesis needs no network.

``python -m everloop.infra.packaging``, in the project's folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.layers import build_layer
from everloop.infra.packaging.requirements import Target
from everloop.infra.settings import CONSTRAINTS, PACKAGE, PYTHON_VERSION
from everloop.shown import visible

ARCHITECTURE = "x86_64"
"""The default; another one is built when it is synthesized."""


def main() -> int:
    """Build what is not there; the exit status."""
    target = Target(PYTHON_VERSION, ARCHITECTURE)
    try:
        for requirements in sorted((PACKAGE / "functions").glob("*/requirements.txt")):
            build_layer(requirements, CONSTRAINTS, target, Path(".cache") / "layers")
    except PackagingError as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
