"""Groups are held out by a hash on which the query engine and Python agree, and none of their rows is learned from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import SplitError
from everloop.dataset.frozen import Place
from everloop.dataset.held_groups import HELD, TESTED, HeldGroups
from everloop.dataset.held_rows import held_rows
from everloop.dataset.snapshot import build_snapshot
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import describe, parts_of
from everloop.dataset.standing import Standing
from everloop.lake_tables import SUPERSEDED
from everloop.model_file.schema import ModelDeclaration
from tests.fakes.athena import FakeAthena
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import lake_table

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
PLACE = Place("lake", "late_train", "train-1-one")
NAMES = ["o'hara", "Zürich", "札幌", "🤦🏼\u200d♂️", " ", *(f"N{i}" for i in range(35))]
ROWS = lake_table(240, line=[NAMES[i % 40] for i in range(240)])
ROWS["label"] = [float(i % 7 == 0) for i in range(240)]


def declaration(share: float | None = 0.25) -> ModelDeclaration:
    return declare(
        binary_document(data={"split": {"strategy": "grouped", "group": "line", "share": share, "test_days": 2}})
    )


def held(share: float) -> HeldGroups:
    found = HeldGroups.of(declaration(share))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def athena() -> Iterator[FakeAthena]:
    athena = FakeAthena(s3=None)
    athena.fill("frozen", ROWS.assign(**{SUPERSEDED: 0}, u=PLACE.attempt))
    yield athena
    athena.connection.close()


def made(athena: FakeAthena, declared: ModelDeclaration, standing: Standing | None = None) -> Snapshot:
    queries = AthenaQueries(athena, lambda _: None, "everloop", "everloop", "s3://lake/athena-results/")
    return describe(queries, declared, PLACE, query="SELECT 1", as_of=AS_OF, standing=standing)


def lines(athena: FakeAthena, declared: ModelDeclaration, snapshot: Snapshot) -> dict[str, set[Any]]:
    parts = parts_of(declared, PLACE, snapshot.boundary, snapshot.standing)
    return {name: set(athena.connection.execute(query).df()["line"]) for name, query in parts.items()}


@pytest.mark.slow
def test_no_held_out_group_is_learned_from_and_all_are_tested(athena: FakeAthena) -> None:
    found, apart = made(athena, declaration()), held(0.25)
    expected = {name for name in NAMES if apart.holds(name)}
    assert 3 <= len(expected) <= 20
    of_part = lines(athena, declaration(), found)
    assert of_part["train"] == set(NAMES) - expected
    assert expected <= of_part["test"] == of_part["test_features"]
    # THEN each row is counted once, and rows of the newest days that are of other groups stay in the test part
    assert found.rows["train"] + found.rows[HELD] + found.rows["test"] == 240
    assert found.rows[TESTED] == sum(ROWS["line"][192:].isin(expected))
    assert found.to_document()["held_groups"] == {"column": "line", "share": 0.25, "salt": "late_train"}
    # AND it is another set than without, and than with another share
    plain = declare(binary_document(data={"split": {"test_days": 2}}))
    hashes = {made(athena, one).snapshot_hash for one in (plain, declaration(), declaration(0.3))}
    assert len(hashes) == 3
    assert "held_groups" not in made(athena, plain).to_document()


def test_pandas_takes_the_same_rows_apart(athena: FakeAthena) -> None:
    asked, table = declaration(), build_snapshot(ROWS, declaration(), query="SELECT 1", as_of=AS_OF)
    found = made(athena, asked)
    assert (table.snapshot.snapshot_hash, table.snapshot.rows) == (found.snapshot_hash, found.rows)
    assert set(table.train["line"]) == lines(athena, asked, found)["train"]


def test_days_that_stand_aside_are_apart_from_held_out_groups(athena: FakeAthena) -> None:
    found = made(athena, declaration(), Standing(2))
    assert found.rows["train"] + found.rows[HELD] + found.rows["test"] + found.rows["standing"] == 240
    assert found.rows["standing"] == 48
    table = build_snapshot(ROWS, declaration(), query="SELECT 1", as_of=AS_OF, standing=Standing(2))
    assert (table.snapshot.snapshot_hash, table.snapshot.rows) == (found.snapshot_hash, found.rows)


def test_a_larger_share_holds_out_the_same_groups_and_more() -> None:
    small, large = ({name for name in NAMES if held(share).holds(name)} for share in (0.1, 0.5))
    assert small < large
    assert held(0.25).for_validation().salt != held(0.25).salt


@pytest.mark.slow
def test_about_the_declared_share_of_many_groups_is_held_out() -> None:
    apart, names = held(0.2), [f"customer-{i}" for i in range(20_000)]
    mask = held_rows(apart, names)
    assert abs(mask.mean() - 0.2) < 0.012  # four standard errors
    # AND of those that are left, about as many are kept for validation, whatever was held out
    rest = [name for name, out in zip(names, mask, strict=True) if not out]
    assert abs(held_rows(apart.for_validation(), rest).mean() - 0.2) < 0.013


@pytest.mark.slow
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.floats(0.05, 0.5))
def test_the_engine_and_python_hold_out_the_same_groups(athena: FakeAthena, name: str, share: float) -> None:
    apart = HeldGroups("line", share, "late_train")
    found = athena.connection.execute(
        f'SELECT {apart.condition} FROM (SELECT CAST(? AS VARCHAR) AS "line") rows', [name]
    ).fetchone()
    assert found == (apart.holds(name),)


@pytest.mark.parametrize(("lacking", "told"), [(True, "none of 48 test rows"), (False, "no row before the test part")])
def test_a_set_that_can_t_be_taken_apart_is_refused(lacking: bool, told: str) -> None:
    one = next(name for name in NAMES if held(0.25).holds(name) is not lacking)
    rows = ROWS.assign(line=one)
    with pytest.raises(SplitError, match=told):
        build_snapshot(rows, declaration(), query="SELECT 1", as_of=AS_OF)
    athena = FakeAthena(s3=None)
    athena.fill("frozen", rows.assign(**{SUPERSEDED: 0}, u=PLACE.attempt))
    with pytest.raises(SplitError, match=told):
        made(athena, declaration())
    athena.connection.close()
