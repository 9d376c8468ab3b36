"""The manifest of a version: what it is made of, with the hash of every file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from everloop.registry.items import canonical_json

MODEL = "model.onnx"

EVALUATED = (MODEL, "contract.json", "profile.json", "parity.json", "training.json")
"""The files an evaluation is about; its report carries their hashes."""

FILES = (*EVALUATED, "report.json")
"""The files of a version, besides its manifest."""

REFIT = "refit.json"
"""The report of the check of a refit, where there was one."""

SIBLING = "evaluated/"
"""Below it stand the evaluated files of a version whose refit serves: the ones that ``report.json`` is about."""

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """A manifest as it is stored.

    Attributes
    ----------
    content : bytes
        Its JSON text.
    sha256 : str
        The hash of ``content``: the one hash that stands for the whole version.
    """

    content: bytes
    sha256: str


def artifact_prefix(model: str, version: int) -> str:
    """Where a version's files stand in the artifact bucket, with a final slash."""
    return f"artifacts/{model}/{version:06d}/"


def build_manifest(
    *,
    model: str,
    version: int,
    run_id: str,
    snapshot_hash: str,
    code_sha256: str,
    created_at: str,
    files: dict[str, Any],
) -> Manifest:
    """Write the manifest. The same facts give the same bytes.

    Parameters
    ----------
    files : dict
        File name to ``{"sha256", "bytes"}``.
    """
    document = {
        "model": model,
        "version": version,
        "run_id": run_id,
        "snapshot_hash": snapshot_hash,
        "code_sha256": code_sha256,
        "created_at": created_at,
        "files": files,
    }
    content = canonical_json(document).encode()
    return Manifest(content, hashlib.sha256(content).hexdigest())
