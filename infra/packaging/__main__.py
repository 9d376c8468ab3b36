"""Builds every layer into the cache: ``python -m everloop.infra.packaging``. Synthesis then needs no network."""

from __future__ import annotations

import sys
from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.layers import build_layer
from everloop.infra.packaging.requirements import Target
from everloop.infra.settings import PYTHON_VERSION
from everloop.shown import visible

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = "x86_64"
"""The default; another one is built when it is synthesized."""


def main() -> int:
    """Build what is not there; the exit status."""
    target = Target(PYTHON_VERSION, ARCHITECTURE)
    try:
        for requirements in sorted((ROOT / "functions").glob("*/requirements.txt")):
            build_layer(requirements, ROOT / "constraints.txt", target, ROOT / ".cache" / "layers")
    except PackagingError as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
