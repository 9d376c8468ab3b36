"""Holds the files of a job's channels against the snapshot that the run was given: what was locked is what is read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from everloop.dataset.part_digest import files_of, part_sha256
from everloop.documents.snapshot import channel_variable
from everloop.shown import listed
from everloop.training.exceptions import DataDiffersError

logger = logging.getLogger("everloop.training")


def hold_channel(folder: Path, channel: str, environment: Mapping[str, str]) -> str:
    """The SHA-256 of the part that stands in a channel, which is the one that the pipeline sends, where it sends one.

    A job that is started by hand has none to hold it against, and says so in its log.

    Raises
    ------
    DataDiffersError
        When a file was changed, added or taken away since the snapshot was made.
    """
    files = files_of(folder)
    found, expected = part_sha256(files), environment.get(channel_variable(channel))
    if expected is None:
        variable = channel_variable(channel)
        logger.warning("the rows of channel %s are held against no snapshot: %s is not set", channel, variable)
    elif found != expected:
        told = listed([f"{name} {sha256}" for name, sha256 in files.items()])
        raise DataDiffersError(
            f"the files of channel {channel!r} are not those of the snapshot: together they have sha256 {found}, and "
            f"the snapshot's have {expected}. A file was changed, added or taken away after the snapshot was made. "
            "Compare each with the snapshot's manifest, restore the first version of the object that differs, and "
            f"train again. Found, with sha256: {told or 'no file'}"
        )
    return found
