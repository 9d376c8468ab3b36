"""Moves a job's data between S3 and its root, with the credentials of the job's role."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from local.jobs.exceptions import ClientFailureError


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
    """Downloads and uploads through one S3 client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def download_prefix(self, uri: str, into: Path) -> int:
        """Fetch every object under a prefix, or the one object it names; the number of files.

        Raises
        ------
        ClientFailureError
            When there are none, or the role may not read them.
        """
        bucket, prefix = split_uri(uri)
        into.mkdir(parents=True, exist_ok=True)
        keys = self._keys(bucket, prefix, uri)
        if not keys:
            raise ClientFailureError(
                f"Data download failed: No S3 objects found under S3 URL {uri!r} given in input data source. "
                "Please ensure that the bucket exists, that it has objects under the prefix and that the job's "
                "role may list and read them"
            )
        for key in keys:
            target = into / _relative(key, prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._get(bucket, key, target)
        return len(keys)

    def download_object(self, uri: str, target: Path) -> None:
        """Fetch one object.

        Raises
        ------
        ClientFailureError
            When it is not there, or the role may not read it.
        """
        bucket, key = split_uri(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._get(bucket, key, target)

    def has_objects(self, uri: str) -> bool:
        """Whether there is anything under a prefix."""
        bucket, prefix = split_uri(uri)
        return bool(self._keys(bucket, prefix, uri))

    def upload_directory(self, directory: Path, uri: str) -> None:
        """Put every file of a directory under a prefix.

        Raises
        ------
        ClientFailureError
            When the role may not write there.
        """
        bucket, prefix = split_uri(uri)
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                relative = path.relative_to(directory).as_posix()
                self._put(path, bucket, f"{prefix.rstrip('/')}/{relative}".lstrip("/"))

    def upload_archive(self, directory: Path, uri: str, scratch: Path) -> None:
        """Put a directory's contents as one ``.tar.gz``."""
        archive = scratch / "upload.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
            for path in sorted(directory.iterdir()):
                tar.add(path, arcname=path.name)
        bucket, key = split_uri(uri)
        self._put(archive, bucket, key)
        archive.unlink()

    def _keys(self, bucket: str, prefix: str, uri: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        except ClientError as error:
            raise _failure("Data download failed", uri, error) from error
        return [key for key in found if not key.endswith("/")]

    def _get(self, bucket: str, key: str, target: Path) -> None:
        try:
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            with target.open("wb") as file:
                shutil.copyfileobj(body, file, 1 << 20)
        except ClientError as error:
            raise _failure("Data download failed", f"s3://{bucket}/{key}", error) from error

    def _put(self, path: Path, bucket: str, key: str) -> None:
        try:
            with path.open("rb") as file:
                self._client.put_object(Bucket=bucket, Key=key, Body=file)
        except ClientError as error:
            raise _failure("Artifact upload failed", f"s3://{bucket}/{key}", error) from error


def _relative(key: str, prefix: str) -> PurePosixPath:
    """Where an object goes: below the prefix when that is a folder, else beside the prefix's last part."""
    if prefix.endswith("/") or key.startswith(prefix + "/"):
        return PurePosixPath(key[len(prefix) :].lstrip("/"))
    folder = prefix.rpartition("/")[0]
    return PurePosixPath(key[len(folder) :].lstrip("/"))


def _failure(what: str, uri: str, error: ClientError) -> ClientFailureError:
    details = error.response["Error"]
    return ClientFailureError(f"{what} for {uri}: {details['Code']}: {details.get('Message', '')}")


def unpack(archive: Path, into: Path) -> None:
    """Unpack a ``.tar.gz``; members may not lead out of ``into``.

    Raises
    ------
    ClientFailureError
        When it is not a readable archive.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise ClientFailureError(f"{archive.name}: not a tar.gz archive that can be unpacked: {error}") from error
