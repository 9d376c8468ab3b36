"""What a person sets for the services, in one TOML file with a table for each.

Paths in it are relative to the file. What no service reads is an error: a misspelt name would have no effect.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A settings file that can't be used; the message names the file, the place and what is expected."""


@dataclass(frozen=True)
class Settings:
    """The tables of a settings file, by service.

    Attributes
    ----------
    file : Path
        Where they are from; for messages, and what paths are relative to.
    tables : mapping
        By the service's name.
    """

    file: Path = Path("localcloud.toml")
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, known: frozenset[str]) -> Settings:
        """Those in a file.

        Parameters
        ----------
        known : frozenset of str
            The tables that some service reads.

        Raises
        ------
        SettingsError
            When there is no such file, it is not TOML, or it has a table that nobody reads.
        """
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{file}: can't be read as TOML: {error}") from error
        unknown = sorted(set(tables) - known)
        if unknown:
            raise SettingsError(
                f"{file}: no service reads [{unknown[0]}]; the tables are {', '.join(sorted(known)) or 'none'}"
            )
        return cls(file, tables)

    def of(self, service: str) -> Mapping[str, Any]:
        """The table of a service; empty where there is none."""
        return self.tables.get(service, {})

    def but(self, service: str, values: Mapping[str, Any]) -> Settings:
        """These, with other values in the table of a service."""
        return replace(self, tables={**self.tables, service: {**self.of(service), **values}})

    def path(self, text: str) -> Path:
        """A path as the file means it."""
        return self.file.parent / text
