"""Which version stands by for another, as a rollout tells it whoever serves that other one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from everloop.exceptions import TerminalError
from everloop.instants import format_instant, parse_instant

STANDBY_VARIABLE = "EVERLOOP_STANDBY"
"""The environment variable that has the text."""


class StandbyFormatError(TerminalError):
    """A text says of no version that it stands by."""


@dataclass(frozen=True)
class Standby:
    """The version that was the champion before, and answers where the one that followed it can't.

    Attributes
    ----------
    version, prefix, manifest_sha256
        Its number, where its files stand in the artifact bucket, and the hash that their manifest must have.
    refused_until : datetime or None
        Until then it is also asked what the other version's contract refuses: a rollout is a trial of that too. None
        where it is not.
    calibration : str
        The text of the calibration that it served with; empty for none.
    signer : str
        The fingerprint of the key that signed its manifest; empty where its hash alone is checked.
    """

    version: int
    prefix: str
    manifest_sha256: str
    refused_until: datetime | None = None
    calibration: str = ""
    signer: str = ""

    def to_text(self) -> str:
        """The text that :meth:`from_text` reads."""
        until = "" if self.refused_until is None else format_instant(self.refused_until)
        facts = [self.version, self.prefix, self.manifest_sha256, until]
        more = [self.calibration, self.signer]
        while more and not more[-1]:
            more.pop()
        return json.dumps([*facts, *more], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The version that a text names; None for the empty one.

        Raises
        ------
        StandbyFormatError
        """
        if not text:
            return None
        try:
            version, prefix, manifest_sha256, until, *more = json.loads(text)
            refused_until = parse_instant(until) if until else None
            return cls(int(version), str(prefix), str(manifest_sha256), refused_until, *map(str, more))
        except (TypeError, ValueError) as error:
            raise StandbyFormatError(f"{text[:200]!r} names no version that stands by: {error}") from error
