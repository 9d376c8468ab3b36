"""History comes into the lake once, and as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from everloop.cli.exceptions import RefusedDataError
from everloop.cli.operations.history import import_history
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


def history_objects(loop: Loop) -> list[str]:
    s3, bucket = loop.account.client("s3"), loop.account.platform.lake_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"history/model={loop.name}/")
    return [item["Key"] for item in listed["Contents"]]


def test_the_same_rows_again_double_nothing(loop: Loop, tmp_path: Path) -> None:
    before = history_objects(loop)
    loop.data.history.to_parquet(tmp_path / "again.parquet", index=False)
    imported = import_history(loop.account, loop.declaration, tmp_path / "again.parquet")
    assert imported.already_there
    assert imported.rows == len(loop.data.history)
    assert history_objects(loop) == before


def test_a_file_with_a_bad_row_is_refused_and_names_it(loop: Loop, tmp_path: Path) -> None:
    before = history_objects(loop)
    rows = loop.data.history.head(200).copy()
    rows.iloc[17, [*rows.columns].index("distance_miles")] = -5.0
    rows.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(RefusedDataError) as refused:
        import_history(loop.account, loop.declaration, tmp_path / "bad.csv")
    assert "distance_miles" in refused.value.message
    assert rows.iloc[17]["flight_id"] in refused.value.message
    assert history_objects(loop) == before
