"""``python -m tools.roles [FOLDER…]``: merge what local clouds below the folders used, and write the page anew."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.helpers.declarations import binary_document, everything_document
from tests.helpers.synthesis import ROOT, synthesize, write_model
from tools.roles import evidence
from tools.roles.page import page
from tools.roles.statements import RoleStatement, statements_of

PAGE = ROOT / "docs" / "roles.md"
EVIDENCE = ROOT / "tools" / "roles" / "evidence.json"
BROKEN = ROOT / "tools" / "roles" / "broken.json"
WITH_EVERYTHING = "EverloopModel-delay-minutes"
"""The stack of a model that declares all that adds a role or a statement."""


def main(folders: list[Path]) -> int:
    """Write the evidence and the page."""
    from everloop.infra.settings import Settings

    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch) / "models"
        write_model(models, binary_document())
        write_model(models, everything_document())
        templates = synthesize(Settings.of(ROOT, models=str(models)), Path(scratch) / "out").templates
    known = statements_in(templates[WITH_EVERYTHING])
    found = evidence.read(EVIDENCE)
    for folder in folders:
        for one in set(evidence.merge(found, folder)):
            print(f"{folder}: {one.role} used {one.action} by a statement of no template", file=sys.stderr)
    evidence.write(EVIDENCE, found, known)
    PAGE.write_text(page(known, evidence.read(EVIDENCE), broken()), encoding="utf-8")
    return 0


def statements_in(template: dict[str, object]) -> list[RoleStatement]:
    """The statements of the stack that has everything."""
    return [statement for _, _, statement in statements_of(template, WITH_EVERYTHING)]


def broken() -> dict[str, str]:
    """What broke without a statement, as it was recorded."""
    kept: dict[str, str] = json.loads(BROKEN.read_text(encoding="utf-8")) if BROKEN.exists() else {}
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders", nargs="*", type=Path, help="state directories of local clouds, or folders above them"
    )
    sys.exit(main(parser.parse_args().folders))
