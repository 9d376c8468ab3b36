"""A training learns nothing of the standing set's days; an evaluation scores both models on them, or says why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from moto import mock_aws

from everloop.dataset.part_digest import files_of, part_sha256
from everloop.dataset.standing import Period
from everloop.model_file.schema import ModelDeclaration
from everloop.training.candidate import Candidate
from everloop.training.champion import Champion, fetch_champion
from everloop.training.channels import Split, read_split
from everloop.training.exceptions import DataDiffersError
from everloop.training.standing import StandingRows, fetch_standing, require_held_out, standing_of
from tests.fakes.aws import aws_client
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact
from tests.helpers.declarations import binary_document, declare
from tests.training.scenes import rows, write_parts

URI = "s3://lake/datasets/late_train/abc/standing/one/"
START = datetime(2013, 1, 1, tzinfo=UTC)
HELD = Period(START, START + timedelta(days=3))
AFTER = START + timedelta(days=60)


def declaration(**features: Any) -> ModelDeclaration:
    return declare(binary_document(gate={"standing": {"max_increase": 0.02}}, **features))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parts(rows(declaration(), 300, 0, 1), tmp_path_factory.mktemp("standing") / "part")


@pytest.fixture(scope="module")
def split(folder: Path) -> Split:
    found = read_split(folder, declaration(), labelled=True)
    # What the small stored model takes besides: a category, and no missing wind.
    return replace(found, features=found.features.assign(day="mon").fillna({"wind": 1.0}))


def champion(learned_until: datetime, held_out: Period | None = None) -> Champion:
    stored = fetch_champion(f"s3://artifacts/{PREFIX}", FakeS3(StoredArtifact().objects), model=MODEL)
    return replace(stored, learned_until=learned_until, held_out=held_out)


def candidate(held_out: Period | None = HELD) -> Candidate:
    made = champion(AFTER)
    record: dict[str, Any] = {"time_range": [START, AFTER]}
    if held_out is not None:
        record["held_out"] = {"after": held_out.after, "until": held_out.until}
    return cast("Candidate", SimpleNamespace(scorer=made.scorer, contract=made.contract, training=record))


def test_both_models_are_scored_on_rows_that_neither_has_learned(split: Split) -> None:
    found = standing_of(declaration(), StandingRows("5" * 64, split), candidate(), champion(AFTER, HELD))
    assert found is not None
    assert (found.rows, found.days, found.first, found.last) == (300, 3, split.first, split.last)
    assert found.paired is not None
    assert (found.paired.difference, found.champion, found.why) == (0.0, found.candidate, "")


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        (None, (AFTER, HELD), "the candidate may have learned from them"),
        (HELD, (AFTER, None), "may have learned from them; its successors have not"),
        (HELD, (AFTER, Period(START, START + timedelta(days=2))), "may have learned from them; its"),
        (HELD, None, ""),
        (HELD, (START, None), None),
    ],
)
def test_what_one_may_have_learned_is_not_compared(
    split: Split, ours: Period | None, theirs: tuple[datetime, Period | None] | None, why: str | None
) -> None:
    beside = None if theirs is None else champion(*theirs)
    found = standing_of(declaration(), StandingRows("5" * 64, split), candidate(ours), beside)
    assert found is not None
    assert found.candidate is not None
    if why is None:
        assert found.paired is not None  # it ended before these rows
    else:
        assert found.paired is None
        assert why in found.why


def test_nothing_is_asked_where_nothing_is_declared_or_chosen(split: Split) -> None:
    assert standing_of(declare(binary_document()), StandingRows("5" * 64, split), candidate(), None) is None
    assert standing_of(declaration(), None, candidate(), None) is None


def test_the_files_are_held_against_their_hash_and_the_declaration(folder: Path) -> None:
    digest = part_sha256(files_of(folder))
    with mock_aws():
        s3 = aws_client("s3")
        s3.create_bucket(Bucket="lake")
        for path in folder.iterdir():
            s3.put_object(
                Bucket="lake", Key=f"datasets/late_train/abc/standing/one/{path.name}", Body=path.read_bytes()
            )
        found = fetch_standing(URI, digest, s3, declaration())
        assert found is not None
        assert found.rows is not None
        assert len(found.rows) == 300
        # WHEN a feature was declared since, THEN the set can't be read, which is told
        features = [*binary_document()["data"]["features"], {"name": "snow", "type": "number"}]
        newer = declaration(data={"features": features})
        told = standing_of(newer, fetch_standing(URI, digest, s3, newer), candidate(), champion(AFTER, HELD))
        assert told is not None
        assert "its rows are not what is declared now: s3://lake/datasets/late_train/abc/standing/one/" in told.why
        assert "has no column 'snow'" in told.why
        # WHEN a file was changed, THEN nothing is judged by it
        with pytest.raises(DataDiffersError, match="are not those that were put aside"):
            fetch_standing(URI, "0" * 64, s3, declaration())
        assert fetch_standing("none", "none", s3, declaration()) is None


def test_a_row_of_the_period_stops_a_training(split: Split) -> None:
    period = Period(START + timedelta(days=1), START + timedelta(days=2))
    with pytest.raises(DataDiffersError, match=r"100 of 300 rows to learn from are of the standing set's period"):
        require_held_out(split, {"EVERLOOP_HELD_OUT": str(period)})
    outside = Period(START - timedelta(days=9), START - timedelta(days=2))
    assert require_held_out(split, {"EVERLOOP_HELD_OUT": str(outside)}) == outside
    assert require_held_out(split, {"EVERLOOP_HELD_OUT": "none"}) is None
    assert require_held_out(split, {}) is None
