from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from everloop.dataset.lake_listing import LakeListing, list_lake
from tests.fakes.aws import aws_client


class Bucket:
    """A lake, and the prefixes that it was asked to list."""

    def __init__(self) -> None:
        self.client = aws_client("s3")
        self.client.create_bucket(Bucket="lake")
        self.asked: list[tuple[str, Any]] = []

    @contextmanager
    def listening(self) -> Iterator[Bucket]:
        """Note what is asked; the client is that of other tests too."""
        events, asking = self.client.meta.events, "provide-client-params.s3.ListObjectsV2"
        events.register(asking, self._asks)
        yield self
        events.unregister(asking, self._asks)

    def put(self, key: str, *, day: int = 1) -> None:
        """Put an object, as on a day of January 2013."""
        self.client.put_object(Bucket="lake", Key=key, Body=b"x")
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets["lake"].keys[key].last_modified = datetime(2013, 1, day)

    def listing(self) -> LakeListing:
        return list_lake(self.client, "lake", "late_train")

    def _asks(self, params: dict[str, Any], **_: Any) -> None:
        self.asked.append((params["Prefix"], params.get("MaxKeys")))


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws(), Bucket().listening() as bucket:
        yield bucket


def test_an_empty_lake(bucket: Bucket) -> None:
    assert bucket.listing() == LakeListing(None, None, (), "s3://lake/history/model=late_train/")


def test_the_first_partitions_are_found_with_one_object_each(bucket: Bucket) -> None:
    for day in ("2013-03-04", "2013-03-02", "2013-11-01"):
        bucket.put(f"predictions/model=late_train/date={day}/part.parquet")
    bucket.put("labels/model=late_train/date=2013-03-05/part.parquet")
    # of another model, and no partition at all
    bucket.put("predictions/model=late/date=2012-01-01/part.parquet")
    bucket.put("predictions/model=late_train/README")
    listing = bucket.listing()
    assert (listing.first_predictions, listing.first_labels) == (date(2013, 3, 2), date(2013, 3, 5))
    assert [limit for prefix, limit in bucket.asked if not prefix.startswith("history/")] == [1, 1]
    # below the prefixes that the snapshot function's role may list
    allowed = [f"{kind}/model=late_train/" for kind in ("history", "predictions", "labels")]
    assert all(prefix.startswith(tuple(allowed)) for prefix, _ in bucket.asked)


def test_imports_are_told_in_their_order(bucket: Bucket) -> None:
    bucket.put("history/model=late_train/c.parquet", day=2)
    bucket.put("history/model=late_train/a.parquet", day=3)
    bucket.put("history/model=late_train/b.parquet", day=1)
    bucket.put("history/model=late/a.parquet", day=1)
    assert bucket.listing().imports == ("b.parquet", "c.parquet", "a.parquet")


def test_a_day_that_is_none_is_told(bucket: Bucket) -> None:
    bucket.put("labels/model=late_train/date=yesterday/part.parquet")
    with pytest.raises(ValueError, match="yesterday"):
        bucket.listing()


def test_an_import_that_was_set_aside_is_none_any_more(bucket: Bucket) -> None:
    # GIVEN two imports; WHEN one is moved as docs/change-a-model.md moves it, THEN no query is told of it
    bucket.put("history/model=late_train/good.parquet")
    bucket.put("history/model=late_train/wrong.parquet", day=2)
    assert bucket.listing().imports == ("good.parquet", "wrong.parquet")
    bucket.put("set-aside/history/model=late_train/wrong.parquet")
    bucket.client.delete_object(Bucket="lake", Key="history/model=late_train/wrong.parquet")
    assert bucket.listing().imports == ("good.parquet",)
