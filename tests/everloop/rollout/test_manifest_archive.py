"""Manifests of what serves are kept once for each change, in the order of time, beside the declaration they name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from everloop.rollout.manifest_archive import ManifestArchive
from tests.fakes.aws import aws_client

BUCKET = "artifacts"
AT = datetime(2013, 3, 1, 5, 0, 0, 250_000, tzinfo=UTC)
DECLARATION = b'{"model": "flights"}\n'
NAMED = hashlib.sha256(DECLARATION).hexdigest()


def detail(version: int, declaration: str = NAMED) -> dict[str, Any]:
    return {"model": "flights", "version": version, "manifest": {"version": version, "declaration_sha256": declaration}}


@pytest.fixture
def archive() -> Iterator[ManifestArchive]:
    with mock_aws():
        s3 = aws_client("s3")
        s3.create_bucket(Bucket=BUCKET)
        yield ManifestArchive(s3, BUCKET, "flights")


def content(key: str) -> bytes:
    body: bytes = aws_client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def test_one_is_kept_once_with_all_that_the_event_says(archive: ManifestArchive) -> None:
    key = archive.keep("Champion Promoted", detail(1), DECLARATION, at=AT)
    assert archive.keep("Champion Promoted", detail(1), DECLARATION, at=AT) == key
    assert key.startswith("serving/flights/2013-03-01T05-00-00.250Z-")
    assert list(archive.keys()) == [key]
    assert json.loads(content(key)) == {"event": "Champion Promoted", "at": "2013-03-01T05:00:00.250Z", **detail(1)}
    assert content(archive.declaration_key(NAMED)) == DECLARATION


def test_they_are_listed_in_the_order_of_time(archive: ManifestArchive) -> None:
    kept = [archive.keep("e", detail(n), DECLARATION, at=AT + timedelta(hours=n)) for n in (3, 1, 2)]
    third, first, second = kept
    assert list(archive.keys()) == [first, second, third]
    assert list(archive.keys(after=first)) == [second, third]
    assert list(archive.keys(after=third)) == []


@pytest.mark.parametrize("said", [detail(1, "0" * 64), {"model": "flights", "version": 1}])
def test_a_declaration_that_the_event_does_not_name_is_not_kept(archive: ManifestArchive, said: dict[str, Any]) -> None:
    archive.keep("Version Rolled Back", said, DECLARATION, at=AT)
    listed = aws_client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [one["Key"] for one in listed] == list(archive.keys())
