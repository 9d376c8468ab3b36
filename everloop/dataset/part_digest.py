"""One hash for all files of a stored part: whoever reads it can tell whether it is the part that was kept.

The manifest has the SHA-256 of every file. Jobs get one hash of these: it goes along with the pipeline's state,
whatever becomes of the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from everloop.documents.snapshot import PartObject
from everloop.json_text import canonical_json

CHUNK = 1 << 20


def part_sha256(files: Mapping[str, str]) -> str:
    """SHA-256 over the files of a part: over their names and the SHA-256 of each, in the order of the names.

    Parameters
    ----------
    files : mapping of str to str
        By the name below the part's prefix, SHA-256 in hexadecimal digits.
    """
    return hashlib.sha256(canonical_json(sorted(files.items())).encode()).hexdigest()


def listed_sha256(objects: Sequence[PartObject]) -> str:
    """The same of a part as its manifest lists it."""
    return part_sha256({item["key"].rpartition("/")[2]: item["sha256"] for item in objects})


def files_of(folder: Path) -> dict[str, str]:
    """What a job finds of a part: by the name below ``folder``, SHA-256 of each file, read piece by piece."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        found[path.relative_to(folder).as_posix()] = digest.hexdigest()
    return found
