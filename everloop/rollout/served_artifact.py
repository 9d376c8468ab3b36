"""What a version is served with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServedArtifact:
    """What a version is served with: its files, and its calibration.

    Attributes
    ----------
    prefix, manifest_sha256 : str
        Where the files stand in the artifact bucket, and the manifest's hash.
    calibration : str
        The calibration's text; empty for none.
    """

    version: int
    prefix: str
    manifest_sha256: str
    calibration: str = ""
