"""An object is read up to what may stand there."""

from __future__ import annotations

import io
from typing import Any

import pytest

from everloop.objects import ObjectTooLargeError, read_object
from tests.fakes.object_store import FakeS3


class Endless(io.RawIOBase):
    """A body without an end, which counts what was read of it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "read without a limit"
        self.taken += size
        return bytes(size)


class OneObject:
    def __init__(self, body: Endless, stated: int | None) -> None:
        self.body, self.stated = body, stated

    def get_object(self, **_place: str) -> dict[str, Any]:
        return {"Body": self.body, **({} if self.stated is None else {"ContentLength": self.stated})}


def test_an_object_that_may_be_so_large_is_read() -> None:
    assert read_object(FakeS3({"a/b": b"12345"}), "bucket", "a/b", 5) == b"12345"


@pytest.mark.parametrize(("stated", "told"), [(3_000_000_000, "3,000,000,000 bytes"), (None, "more than 5 bytes")])
def test_no_more_is_read_than_may_stand_there(stated: int | None, told: str) -> None:
    body = Endless()
    with pytest.raises(ObjectTooLargeError) as refused:
        read_object(OneObject(body, stated), "bucket", "a/b", 5)
    assert str(refused.value) == f"s3://bucket/a/b has {told}; at most 5 bytes are read"
    assert body.taken == 6
