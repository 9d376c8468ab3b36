"""The stream shows the world what it could have known, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from cli.replay.exceptions import ReplayDataError
from cli.replay.stream import Outcomes, Questions, load, timeline
from tests.helpers.declarations import binary_document, declare

CUT = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def declaration():
    return declare(binary_document())


@pytest.fixture
def file(tmp_path):
    times = pd.date_range("2024-02-27", periods=240, freq="h", tz="UTC") + pd.Timedelta(minutes=20)
    frame = pd.DataFrame(
        {
            "train_id": [f"t{i:04}" for i in range(len(times))],
            "departure": times,
            "late": [float(i % 3 == 0) for i in range(len(times))],
            "distance": 10.0,
            "wind": None,
            "line": "north",
            "operator": None,
        }
    )
    frame["wind"] = frame["wind"].astype(float)
    path = tmp_path / "trains.parquet"
    frame.to_parquet(path)
    return path


def test_history_knows_no_outcome_that_came_after_the_cut(file, declaration):
    data = load(file, declaration, CUT)
    lag = timedelta(hours=declaration.data.label_lag_hours)
    known = data.history["departure"] + lag <= pd.Timestamp(CUT)
    assert data.history["departure"].max() < pd.Timestamp(CUT)
    assert data.history.loc[known, "late"].notna().all()
    assert data.history.loc[~known, "late"].isna().all()
    assert (~known).sum() == 12


def test_every_row_is_asked_once_in_its_hour_and_answered_after_its_lag(file, declaration):
    data = load(file, declaration, CUT)
    events = list(timeline(data, declaration))
    assert [e.at for e in events] == sorted(e.at for e in events)
    asked = [(e.at, key) for e in events if isinstance(e, Questions) for key in [i["train_id"] for i in e.instances]]
    assert sorted(key for _, key in asked) == sorted(data.stream["train_id"])
    time_of = dict(zip(data.stream["train_id"], data.stream["time"], strict=True))
    for at, key in asked:
        assert timedelta(0) <= time_of[key] - at < timedelta(hours=1)
    lag = timedelta(hours=declaration.data.label_lag_hours)
    told = [(e.at, key) for e in events if isinstance(e, Outcomes) for key in e.rows["train_id"]]
    assert sorted(key for _, key in told) == sorted(data.stream["train_id"])
    assert all(at >= time_of[key] + lag for at, key in told)


@pytest.mark.parametrize("cut", [datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)])
def test_a_cut_outside_the_data_is_refused_with_what_there_is(file, declaration, cut):
    with pytest.raises(ReplayDataError, match="2024-02-27"):
        load(file, declaration, cut)
