"""The stream shows the world what it could have known, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from everloop.cli.replay.exceptions import ReplayDataError
from everloop.cli.replay.stream import Outcomes, Questions, load, timeline
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import binary_document, declare

Edit = Callable[[pd.Series], pd.Series]
CUT = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def declaration() -> ModelDeclaration:
    return declare(binary_document())


def write(path: Path, first: str = "2024-02-27", **edits: Edit) -> Path:
    """A week and a half of trains, one an hour; ``edits`` change columns."""
    times = pd.date_range(first, periods=240, freq="h", tz="UTC") + pd.Timedelta(minutes=20)
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
    for column, edit in edits.items():
        frame[column] = edit(frame[column].astype(object))
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "trains.csv")


def at(place: int, value: object) -> Edit:
    """Puts ``value`` into one row."""

    def edit(column: pd.Series) -> pd.Series:
        column.iloc[place] = value
        return column

    return edit


def test_keys_are_asked_about_as_the_lake_keeps_them(file: Path, tmp_path: Path, declaration: ModelDeclaration) -> None:
    frame = pd.read_csv(file, parse_dates=["departure"])
    frame["train_id"] = range(1_000_000_000, 1_000_000_000 + len(frame))
    frame["operator"] = "a"
    frame.to_parquet(tmp_path / "trains.parquet")
    data = load(tmp_path / "trains.parquet", declaration, CUT)
    asked = [i["train_id"] for e in timeline(data, declaration) if isinstance(e, Questions) for i in e.instances]
    assert (data.history["train_id"].iloc[0], asked[-1]) == ("1000000000", str(1_000_000_000 + len(frame) - 1))


def test_rows_may_come_in_any_order(file: Path, tmp_path: Path, declaration: ModelDeclaration) -> None:
    frame = pd.read_csv(file, dtype=str).sample(frac=1, random_state=3)
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    mixed, ordered = (load(path, declaration, CUT) for path in (tmp_path / "mixed.csv", file))
    pd.testing.assert_frame_equal(mixed.stream, ordered.stream)
    pd.testing.assert_frame_equal(mixed.history.reset_index(drop=True), ordered.history)


def test_history_knows_no_outcome_that_came_after_the_cut(file: Path, declaration: ModelDeclaration) -> None:
    data = load(file, declaration, CUT)
    lag = timedelta(hours=declaration.data.label_lag_hours)
    known = data.history["departure"] + lag <= pd.Timestamp(CUT)
    assert data.history["departure"].max() < pd.Timestamp(CUT)
    assert data.history.loc[known, "late"].notna().all()
    assert data.history.loc[~known, "late"].isna().all()
    assert (~known).sum() == 12


def test_every_row_is_asked_once_in_its_hour_and_answered_after_its_lag(
    file: Path, declaration: ModelDeclaration
) -> None:
    data = load(file, declaration, CUT)
    events = list(timeline(data, declaration))
    assert [e.at for e in events] == sorted(e.at for e in events)
    asked = [(e.at, key) for e in events if isinstance(e, Questions) for key in [i["train_id"] for i in e.instances]]
    assert sorted(str(key) for _, key in asked) == sorted(data.stream["train_id"])
    time_of = dict(zip(data.stream["train_id"], data.stream["time"], strict=True))
    for at, key in asked:
        assert timedelta(0) <= time_of[key] - at < timedelta(hours=1)
    lag = timedelta(hours=declaration.data.label_lag_hours)
    told = [(e.at, key) for e in events if isinstance(e, Outcomes) for key in e.rows["train_id"]]
    assert sorted(key for _, key in told) == sorted(data.stream["train_id"])
    assert all(at >= time_of[key] + lag for at, key in told)


@pytest.mark.parametrize("cut", [datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)])
def test_a_cut_outside_the_data_is_refused_with_what_there_is(
    file: Path, declaration: ModelDeclaration, cut: datetime
) -> None:
    with pytest.raises(ReplayDataError, match="2024-02-27"):
        load(file, declaration, cut)


@pytest.mark.parametrize(
    ("first", "cut", "starts"),
    [
        ("1997-02-27", datetime(1997, 3, 1, tzinfo=UTC), "1997-03-01"),
        # History may be older than anything that can have been captured.
        ("1969-12-30", datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01"),
        ("1969-12-30", datetime(1969, 12, 31, tzinfo=UTC), None),
        ("2261-04-01", datetime(2261, 4, 2, tzinfo=UTC), "2261-04-02"),
        ("2261-04-02", datetime(2261, 4, 5, tzinfo=UTC), None),
    ],
)
def test_a_replay_lives_within_the_days_that_are_captured(
    tmp_path: Path, declaration: ModelDeclaration, first: str, cut: datetime, starts: str | None
) -> None:
    file = write(tmp_path / "trains.csv", first)
    if starts is None:
        with pytest.raises(ReplayDataError, match="captured from 1970-01-01 to 2261-04-10"):
            load(file, declaration, cut)
    else:
        assert str(load(file, declaration, cut).stream["time"].iloc[0].date()) == starts


STREAMED = 200
"""A row after the cut."""


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ({"departure": at(STREAMED, "soon")}, "departure: .*not a time"),
        ({"departure": at(STREAMED, None)}, "departure.*missing"),
        ({"late": at(STREAMED, "yes")}, "late: .*not a number"),
        ({"late": at(STREAMED, 7.0)}, "late"),
        ({"distance": at(STREAMED, "ten")}, "distance: .*not a number"),
        ({"train_id": at(STREAMED, "t0199")}, "duplicate_key"),
        ({"train_id": at(STREAMED, "")}, "train_id"),
    ],
)
def test_a_row_that_could_not_be_asked_about_refuses_the_file_at_once(
    tmp_path: Path, declaration: ModelDeclaration, edits: dict[str, Edit], says: str
) -> None:
    with pytest.raises(ReplayDataError, match=rf"(?s)nothing was replayed.*{says}.*row {STREAMED + 1}"):
        load(write(tmp_path / "trains.csv", "2024-02-27", **edits), declaration, CUT)


def test_bad_rows_are_told_and_left_out_where_that_is_said(tmp_path: Path, declaration: ModelDeclaration) -> None:
    # GIVEN a file with a bad row of history, one of the stream, and a key that is there twice
    file = write(
        tmp_path / "trains.csv", departure=at(3, "soon"), distance=at(STREAMED, "ten"), train_id=at(150, "t0149")
    )
    with pytest.raises(ReplayDataError) as refused:
        load(file, declaration, CUT)
    assert refused.value.remedy.endswith("leave out the bad rows: --skip-refused")
    # WHEN they are to be left out
    said: list[str] = []
    data = load(file, declaration, CUT, note=said.append, skip_refused=True)
    # THEN all others are there, under their own keys, and the person knows which are not
    keys = [*data.history["train_id"], *data.stream["train_id"]]
    assert keys == [f"t{i:04}" for i in range(240) if i not in (3, 150, STREAMED)]
    told = next(note for note in said if "left out" in note)
    assert "left out, and not sent: 3 of 240 rows" in told
    assert f"row {STREAMED + 1} (t0200): distance 'ten' is not a number" in told


def test_a_file_that_can_not_be_read_is_told_with_what_to_do(tmp_path: Path) -> None:
    for content, remedy in [
        (b"", "fix the file, or give its format"),
        (b"a,b\n1,2\n", "rename the file's columns as"),
    ]:
        (tmp_path / "rows.csv").write_bytes(content)
        with pytest.raises(ReplayDataError) as refused:
            load(tmp_path / "rows.csv", declare(binary_document()), datetime(2024, 3, 1, tzinfo=UTC))
        assert refused.value.remedy.startswith(remedy)
        assert refused.value.remedy.endswith("nothing was replayed")
