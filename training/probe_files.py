"""Files that the job of a probe reads of others: those of kept probes, and of registered versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from everloop.documents.probe import KeptProbe, OlderVersion, PlannedWarmStart
from everloop.limits import largest_file
from everloop.manifest import ESTIMATOR, sha256_hex
from everloop.objects import ObjectTooLargeError, read_object
from everloop.training.champion import Champion, fetch_champion
from everloop.training.exceptions import KeptProbeError, ParentError


class ProbeFiles(Protocol):
    """Where they are."""

    def of_probe(self, kept: KeptProbe, name: str) -> bytes:
        """A file of a kept probe, which may be another one than was recorded; raises :class:`KeptProbeError`."""
        ...

    def version(self, older: OlderVersion) -> Champion:
        """A registered version; raises :class:`everloop.training.exceptions.ChampionError`."""
        ...


@dataclass(frozen=True)
class FilesOnS3:
    """Where the registry says; ``s3`` is a boto3 client."""

    s3: Any
    model: str

    def of_probe(self, kept: KeptProbe, name: str) -> bytes:
        """See :class:`ProbeFiles`."""
        from botocore.exceptions import ClientError

        parts = urlsplit(kept["uri"])
        key = parts.path.lstrip("/") + name
        try:
            return read_object(self.s3, parts.netloc, key, largest_file(name))
        except ClientError as error:
            raise KeptProbeError(f"s3://{parts.netloc}/{key} can't be read: {error}") from error

    def version(self, older: OlderVersion) -> Champion:
        """See :class:`ProbeFiles`."""
        return fetch_champion(older["uri"], self.s3, model=self.model)

    def kept_estimator(self, planned: PlannedWarmStart) -> bytes:
        """The kept estimator of the version that a warm start continues, not yet held against its hash.

        Raises
        ------
        ParentError
            When it can't be read.
        """
        from botocore.exceptions import ClientError

        parts = urlsplit(planned["estimator_uri"])
        try:
            return read_object(self.s3, parts.netloc, parts.path.lstrip("/"), largest_file(ESTIMATOR))
        except (ClientError, ObjectTooLargeError) as error:
            raise ParentError(f"{planned['estimator_uri']} can't be read: {error}") from error


def recorded_file(files: ProbeFiles, kept: KeptProbe, name: str) -> bytes:
    """A file of a kept probe, which is what was recorded.

    Raises
    ------
    KeptProbeError
        When it is not, or can't be read.
    """
    data = files.of_probe(kept, name)
    if sha256_hex(data) != kept["files"].get(name):
        raise KeptProbeError(f"{kept['uri']}{name} is not the file that was recorded")
    return data
