"""Moves a job's data between S3 and its root, with the credentials of the job's role."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.core.archives import Limits, UnsafeArchiveError, unpack_tar
from localcloud.core.containment import EscapingPathError, inside
from localcloud.services.sagemaker.jobs.exceptions import ClientFailureError

GIB = 1 << 30
MAX_MEMBERS = 100_000
"""Files and directories in one archive; no code or model comes near it."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` URI.

    Raises
    ------
    ClientFailureError
        When it is not one.
    """
    if not uri.startswith("s3://"):
        raise ClientFailureError(f"{uri!r} is not an S3 URI; write s3://bucket/prefix")
    bucket, _, key = uri[len("s3://") :].partition("/")
    return bucket, key


class S3Transfer:
    """Downloads and uploads through one S3 client.

    Parameters
    ----------
    volume_gb : int
        The size of the job's storage volume: what is downloaded and unpacked may not be more.
    """

    def __init__(self, client: Any, volume_gb: int) -> None:
        self._client = client
        self._volume_gb = volume_gb
        self._left = volume_gb * GIB

    def download_prefix(self, uri: str, into: Path) -> int:
        """Fetch every object under a prefix, or the one object it names; the number of files.

        Raises
        ------
        ClientFailureError
            When there are none, or the role may not read them.
        """
        bucket, prefix = split_uri(uri)
        into.mkdir(parents=True, exist_ok=True)
        sizes = self._sizes(bucket, prefix, uri)
        if not sizes:
            raise ClientFailureError(
                f"Data download failed: No S3 objects found under S3 URL {uri!r} given in input data source. "
                "Please ensure that the bucket exists, that it has objects under the prefix and that the job's "
                "role may list and read them"
            )
        for key, size in sizes.items():
            self._take(size, uri)
            self._get(bucket, key, into, _relative(key, prefix))
        return len(sizes)

    def download_object(self, uri: str, target: Path) -> None:
        """Fetch one object.

        Raises
        ------
        ClientFailureError
            When it is not there, or the role may not read it.
        """
        bucket, key = split_uri(uri)
        self._get(bucket, key, target.parent, target.name)

    def unpack(self, archive: Path, into: Path) -> None:
        """Unpack a ``.tar.gz`` of plain files and directories that fits on what is left of the volume.

        Raises
        ------
        ClientFailureError
            When it does not, or has a member that is not a plain file or directory inside ``into``.
        """
        limits = Limits(MAX_MEMBERS, self._left, self._left)
        try:
            unpack_tar(archive, into, limits)
        except UnsafeArchiveError as error:
            raise ClientFailureError(
                f"{archive.name}: not a tar.gz archive that can be unpacked here: {error}"
            ) from error

    def has_objects(self, uri: str) -> bool:
        """Whether there is anything under a prefix."""
        bucket, prefix = split_uri(uri)
        return bool(self._sizes(bucket, prefix, uri))

    def upload_directory(self, directory: Path, uri: str) -> None:
        """Put every file of a directory under a prefix.

        Raises
        ------
        ClientFailureError
            When the role may not write there, or there is something else than files and directories.
        """
        bucket, prefix = split_uri(uri)
        for path in _files_to_upload(directory):
            relative = path.relative_to(directory).as_posix()
            self._put(path, bucket, f"{prefix.rstrip('/')}/{relative}".lstrip("/"))

    def upload_archive(self, directory: Path, uri: str, scratch: Path) -> None:
        """Put a directory's contents as one ``.tar.gz``, links to its own files as those files.

        Raises
        ------
        ClientFailureError
            As :meth:`upload_directory`.
        """
        _files_to_upload(directory)
        archive = scratch / "upload.tar.gz"
        # Without links of either kind: whoever unpacks it takes none.
        with tarfile.open(archive, "w:gz", compresslevel=6, dereference=True) as tar:
            for path in sorted(directory.iterdir()):
                tar.add(path, arcname=path.name)
        bucket, key = split_uri(uri)
        self._put(archive, bucket, key)
        archive.unlink()

    def _sizes(self, bucket: str, prefix: str, uri: str) -> dict[str, int]:
        """Bytes by key of the objects under a prefix, without those that stand for folders."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            found = {item["Key"]: int(item["Size"]) for page in pages for item in page.get("Contents", [])}
        except ClientError as error:
            raise _failure("Data download failed", uri, error) from error
        return {key: size for key, size in found.items() if not key.endswith("/")}

    def _take(self, size: int, uri: str) -> None:
        self._left -= size
        if self._left < 0:
            raise ClientFailureError(
                f"Data download failed: {uri} has {-self._left} bytes more than fit on the volume of "
                f"{self._volume_gb} GB; give the job a larger VolumeSizeInGB"
            )

    def _get(self, bucket: str, key: str, into: Path, name: str) -> None:
        try:
            target = inside(into, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            with target.open("wb") as file:
                shutil.copyfileobj(body, file, 1 << 20)
        except ClientError as error:
            raise _failure("Data download failed", f"s3://{bucket}/{key}", error) from error
        except (EscapingPathError, OSError) as error:
            raise ClientFailureError(
                f"Data download failed for s3://{bucket}/{key}: it can't be a file of the job: {error}; delete the"
                " object or give it another key"
            ) from error

    def _put(self, path: Path, bucket: str, key: str) -> None:
        try:
            with path.open("rb") as file:
                self._client.put_object(Bucket=bucket, Key=key, Body=file)
        except ClientError as error:
            raise _failure("Artifact upload failed", f"s3://{bucket}/{key}", error) from error


def _files_to_upload(directory: Path) -> list[Path]:
    """The files below a directory that a job wrote.

    Raises
    ------
    ClientFailureError
        For a link to anything but a file in it, on AWS it would lead nowhere, and for pipes, sockets and devices.
    """
    files, top = [], directory.resolve()
    for path in sorted(directory.rglob("*")):
        leads_out = path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(top))
        if leads_out or not (path.is_file() or path.is_dir()):
            what = f"a link to {path.readlink()}" if path.is_symlink() else "neither a file nor a directory"
            raise ClientFailureError(
                f"Artifact upload failed: {path.relative_to(directory).as_posix()!r} is {what}; "
                "write the file itself into the directory"
            )
        if path.is_file():
            files.append(path)
    return files


def _relative(key: str, prefix: str) -> str:
    """Where an object goes: below the prefix when that is a folder, else beside the prefix's last part."""
    if prefix.endswith("/") or key.startswith(prefix + "/"):
        return key[len(prefix) :].removeprefix("/")
    folder = prefix.rpartition("/")[0]
    return key[len(folder) :].removeprefix("/")


def _failure(what: str, uri: str, error: ClientError) -> ClientFailureError:
    details = error.response["Error"]
    return ClientFailureError(f"{what} for {uri}: {details['Code']}: {details.get('Message', '')}")
