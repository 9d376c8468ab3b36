"""The declaration, as both jobs find it."""

from __future__ import annotations

from pathlib import Path

from everloop.model_file.schema import ModelDeclaration


def read_declaration(code: Path) -> ModelDeclaration:
    """The declaration in the unpacked code archive ``code``."""
    return ModelDeclaration.model_validate_json((code / "declaration.json").read_text(encoding="utf-8"))
