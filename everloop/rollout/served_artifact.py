"""What a version is served with."""

from __future__ import annotations

from dataclasses import dataclass, field

from everloop.serving.standby import Standby


@dataclass(frozen=True)
class ServedArtifact:
    """What a version is served with: its files, and its calibration.

    Attributes
    ----------
    prefix, manifest_sha256 : str
        Where the files stand in the artifact bucket, and the manifest's hash.
    calibration : str
        The calibration's text; empty for none.
    standby : Standby or None
        The version that answers where this one can't; None where none is declared, or there is none. It is no part of
        what is served: the same version with another one standing by is the same.
    """

    version: int
    prefix: str
    manifest_sha256: str
    calibration: str = ""
    standby: Standby | None = field(default=None, compare=False)
