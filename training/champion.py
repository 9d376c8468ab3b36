"""The champion, fetched to be scored on the same rows as the candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.standing import Period
from everloop.instants import parse_instant
from everloop.json_text import read_json
from everloop.limits import largest_file
from everloop.manifest import CONTRACT, MANIFEST, MODEL, Manifest, verify_files
from everloop.objects import ObjectTooLargeError, read_object
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import (
    ArtifactRefusedError,
    ContractFormatError,
    ManifestFormatError,
    ScorerError,
)
from everloop.serving.scorer import Scorer
from everloop.shown import shown
from everloop.training.exceptions import ChampionError

RECORD = "training.json"

NONE = "none"
"""What stands for the champion's address where there is none."""


@dataclass(frozen=True)
class Champion:
    """The version that serves now.

    Attributes
    ----------
    learned_until : datetime
        The newest row it learned from: rows up to then say nothing about how it answers new ones.
    held_out : Period or None
        Of which it has learned nothing, though it is older.
    held_groups : HeldGroups or None
        From which it has learned nothing.
    """

    version: int
    contract: ServingContract
    scorer: Scorer
    learned_until: datetime
    held_out: Period | None = None
    held_groups: HeldGroups | None = None

    def has_not_learned(self, times: np.ndarray) -> np.ndarray:
        """Which of the rows at these instants (datetime64[ms]) it can't have learned from, bool [rows]."""
        return times > np.datetime64(self.learned_until.replace(tzinfo=None), "ms")


def fetch_champion(uri: str, s3_client: Any, *, model: str) -> Champion:
    """Download the champion's model, contract and training record, and check them against their manifest.

    Raises
    ------
    ChampionError
        When a file is absent, or is not what the manifest says.
    """
    return fetch_registered(uri, s3_client, model=model)[0]


def fetch_registered(
    uri: str, s3_client: Any, *, model: str, names: Iterable[str] = (CONTRACT, MODEL)
) -> tuple[Champion, Manifest, dict[str, bytes]]:
    """Download files of a registered version, and check them against their manifest.

    Parameters
    ----------
    uri : str
        ``s3://bucket/artifacts/<model>/<version>/``.
    s3_client
        A boto3 S3 client.
    names : iterable of str
        Model and contract, and what else is wanted; the training record comes with them where there is one.

    Returns
    -------
    The version, its manifest, and the files by name.

    Raises
    ------
    ChampionError
        When a file is absent, or is not what the manifest says.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise ChampionError(f"the champion's address {uri!r} is neither s3://bucket/prefix/ nor {NONE!r}")
    prefix = parts.path.strip("/")

    def read(name: str) -> bytes:
        return _read(s3_client, parts.netloc, f"{prefix}/{name}")

    try:
        manifest = Manifest.from_bytes(read(MANIFEST))
        if manifest.model != model:
            raise ChampionError(f"{uri} is an artefact of {manifest.model!r}, not of {model!r}")
        record = [RECORD] if RECORD in manifest.files else []
        files = verify_files(manifest, read, names=dict.fromkeys([*names, *record]))
        contract = ServingContract.from_json(files[CONTRACT])
        scorer = Scorer.from_bytes(files[MODEL], contract)
        learned_until = _learned_until(manifest, files.get(RECORD), uri)
        told = read_json(files[RECORD]) if RECORD in files else {}
        return (
            Champion(
                manifest.version,
                contract,
                scorer,
                learned_until,
                held_out_of(told),
                HeldGroups.from_record(told),
            ),
            manifest,
            files,
        )
    except (ArtifactRefusedError, ContractFormatError, ManifestFormatError, ScorerError) as error:
        raise ChampionError(f"the champion {uri} is refused: {error}") from error


def _learned_until(manifest: Manifest, record: bytes | None, uri: str) -> datetime:
    """By its training record; a version that is too old to have one learned from no row later than its registration."""
    try:
        return manifest.created_at if record is None else parse_instant(read_json(record)["time_range"][1])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ChampionError(
            f"{uri}training.json does not say until which row the champion learned: {shown(error)}"
        ) from (error)


def held_out_of(record: Mapping[str, Any]) -> Period | None:
    """Of which period a version has learned nothing, by its training record."""
    found = record.get("held_out")
    return None if found is None else Period(parse_instant(found["after"]), parse_instant(found["until"]))


def _read(s3_client: Any, bucket: str, key: str) -> bytes:
    from botocore.exceptions import ClientError

    try:
        return read_object(s3_client, bucket, key, largest_file(key))
    except (ClientError, ObjectTooLargeError) as error:
        raise ChampionError(f"s3://{bucket}/{key} cannot be read: {error}") from error
