"""Says whether the packages a requirements file pins are installed: exit status 0 when they all are.

    python3 -m everloop.training.packages requirements.txt

So a job installs nothing where the image has everything already. Standard library and ``packaging`` only: it
runs before the rest is there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def pins(lines: Iterable[str]) -> Iterator[Requirement]:
    """The requirements of ``lines`` that hold for this Python. Hashes, on lines of their own, are pip's to check."""
    from packaging.requirements import Requirement

    for line in lines:
        text = line.split("#")[0].strip().removesuffix("\\").strip()
        if not text or text.startswith("--hash="):
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def unmet(lines: Iterable[str]) -> list[str]:
    """The pins of ``lines`` that this Python does not meet."""
    found = []
    for requirement in pins(lines):
        try:
            met = requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
        except metadata.PackageNotFoundError:
            met = False
        if not met:
            found.append(str(requirement))
    return found


if __name__ == "__main__":
    missing = unmet(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())
    for pin in missing:
        sys.stdout.write(f"to install: {pin}\n")
    sys.exit(1 if missing else 0)
