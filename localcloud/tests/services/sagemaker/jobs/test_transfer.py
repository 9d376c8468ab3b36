"""What a job wrote is uploaded as files, or the job fails and says why."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import IO

import pytest

from localcloud.core.archives import Limits, unpack_tar
from localcloud.services.sagemaker.jobs.exceptions import ClientFailureError
from localcloud.services.sagemaker.jobs.transfer import S3Transfer


class Bucket:
    """Keeps what is put, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: IO[bytes]) -> None:
        self.objects[f"{Bucket}/{Key}"] = Body.read()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    directory = tmp_path / "output"
    (directory / "sub").mkdir(parents=True)
    (directory / "sub" / "a").write_bytes(b"one")
    (tmp_path / "secret").write_bytes(b"not the job's")
    return directory


def test_links_to_its_own_files_are_uploaded_as_those_files(written: Path, tmp_path: Path) -> None:
    (written / "last").symlink_to("sub/a")
    os.link(written / "sub" / "a", written / "hard")
    bucket = Bucket()
    transfer = S3Transfer(bucket, 1)

    transfer.upload_directory(written, "s3://b/out")
    transfer.upload_archive(written, "s3://b/model.tar.gz", tmp_path)

    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(bucket.objects.pop("b/model.tar.gz"))
    assert bucket.objects == {"b/out/sub/a": b"one", "b/out/last": b"one", "b/out/hard": b"one"}
    with tarfile.open(archive) as tar:
        assert all(member.isreg() or member.isdir() for member in tar)
    unpack_tar(archive, tmp_path / "next", Limits(10, 1000, 1000))
    assert (tmp_path / "next" / "last").read_bytes() == b"one"


@pytest.mark.parametrize("target", ["../secret", "/etc/hostname", "..", "nowhere", "sub"])
def test_a_link_that_leads_out_fails_the_job(written: Path, tmp_path: Path, target: str) -> None:
    (written / "link").symlink_to(target)
    bucket = Bucket()

    with pytest.raises(ClientFailureError, match="'link' is a link to"):
        S3Transfer(bucket, 1).upload_directory(written, "s3://b/out")
    with pytest.raises(ClientFailureError, match="'link' is a link to"):
        S3Transfer(bucket, 1).upload_archive(written, "s3://b/model.tar.gz", tmp_path)
    assert bucket.objects == {}


def test_a_pipe_fails_the_job(written: Path, tmp_path: Path) -> None:
    os.mkfifo(written / "pipe")

    with pytest.raises(ClientFailureError, match="'pipe' is neither a file nor a directory"):
        S3Transfer(Bucket(), 1).upload_archive(written, "s3://b/model.tar.gz", tmp_path)
