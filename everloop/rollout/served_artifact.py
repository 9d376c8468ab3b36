"""What a version is served with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from everloop.serving.standby import Standby

if TYPE_CHECKING:
    from everloop.registry.records import Version


@dataclass(frozen=True)
class ServedArtifact:
    """What a version is served with: its files, and its calibration.

    Attributes
    ----------
    prefix, manifest_sha256 : str
        Where the files stand in the artifact bucket, and the manifest's hash.
    calibration : str
        The calibration's text; empty for none.
    signer : str
        The fingerprint of the key that signed the manifest; empty where it is served by its hash alone.
    standby : Standby or None
        The version that answers where this one can't; None where none is declared, or there is none. It is no part of
        what is served: the same version with another one standing by is the same.
    """

    version: int
    prefix: str
    manifest_sha256: str
    calibration: str = ""
    standby: Standby | None = field(default=None, compare=False)
    signer: str = ""

    @classmethod
    def of(cls, version: Version, calibration: str = "", standby: Standby | None = None) -> Self:
        """A registered version, with a calibration's text."""
        return cls(
            version.version,
            version.artifact_prefix,
            version.manifest_sha256,
            calibration,
            standby,
            signer=version.signer or "",
        )
