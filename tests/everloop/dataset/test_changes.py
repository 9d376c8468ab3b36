"""What a declaration may change about a model that serves, and what not, and the way told in each case."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.dataset.changes import RecordedColumn, against_champion, against_lake, require_unchanged
from everloop.dataset.exceptions import DeclarationChangedError
from everloop.lake_tables import KEY_OF_ROWS, TARGET_OF_ROWS
from everloop.model_file.schema import ModelDeclaration
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, declare

CONTRACT = small_contract(
    numbers=(NumberField("distance"), NumberField("wind", missing="allow")), categories=(CategoryField("line"),)
)


def declared(*features: dict[str, Any], **data: Any) -> ModelDeclaration:
    return declare(binary_document(data={**({"features": list(features)} if features else {}), **data}))


def codes(declaration: ModelDeclaration, contract: ServingContract = CONTRACT) -> list[tuple[str, str]]:
    return [(c.code, c.name) for c in against_champion(declaration, contract, 3)]


DISTANCE, WIND, LINE = (
    {"name": "distance", "type": "number"},
    {"name": "wind", "type": "number", "missing": "allow"},
    {"name": "line", "type": "category"},
)


@pytest.mark.parametrize(
    "features",
    [
        (DISTANCE, WIND, LINE),
        (LINE, WIND, DISTANCE, {"name": "seats", "type": "number"}),  # added, and in another order
        ({**DISTANCE, "min": 5, "missing": "allow"}, WIND, {**LINE, "values": ["a"], "unseen": "refuse"}),
    ],
)
def test_what_is_added_or_narrowed_takes_nothing_from_the_champion(features: tuple[dict[str, Any], ...]) -> None:
    assert codes(declared(*features)) == []


def test_a_feature_that_the_champion_uses_is_not_removed() -> None:
    (change,) = against_champion(declared(DISTANCE, LINE), CONTRACT, 3)
    assert (change.code, change.name) == ("feature_needed", "wind")
    assert "the champion, version 3, uses 'wind', which is no longer declared" in change.sentence
    assert "take it out of the training script" in change.sentence


def test_a_feature_that_the_champion_does_not_use_is_removed() -> None:
    without = small_contract(numbers=(NumberField("distance"),), categories=())
    assert codes(declared(DISTANCE, WIND), without) == codes(declared(DISTANCE), without) == []


def test_another_type_takes_another_name() -> None:
    (change,) = against_champion(declared(DISTANCE, {"name": "wind", "type": "category"}, LINE), CONTRACT, 3)
    assert change.code == "feature_type"
    assert "'wind' is declared as a category, and the champion, version 3, uses it as a number" in change.sentence
    assert "another name, e.g. 'wind_text'; import history again with both" in change.sentence


def test_another_key_target_or_type_of_problem_is_another_model() -> None:
    document = binary_document(data={"key": "trip_id", "target": "very_late", "features": [DISTANCE, WIND, LINE]})
    assert codes(declare(document)) == [("key", "trip_id"), ("target", "very_late")]
    changes = against_champion(declare(document), CONTRACT, 3)
    assert "Declare 'train_id' again; for another key, make another model" in changes[0].sentence
    regression = small_contract(problem_type="regression", numbers=CONTRACT.numbers, categories=CONTRACT.categories)
    assert codes(declared(DISTANCE, WIND, LINE), regression) == [("problem_type", "binary_classification")]


def test_a_column_that_lies_in_the_lake_as_another_type_is_told_with_the_object() -> None:
    recorded = {
        "distance": [RecordedColumn("number", "s3://lake/a")],
        "wind": [RecordedColumn("category", "s3://lake/b"), RecordedColumn("number", "s3://lake/c")],
        "gone": [RecordedColumn("category", "s3://lake/a")],
    }
    (change,) = against_lake(declared(DISTANCE, WIND, LINE), recorded)
    assert (change.code, change.name) == ("column_type", "wind")
    assert "the lake has it as a category (s3://lake/b)" in change.sentence


def test_rows_that_were_imported_with_another_key_or_target_are_told_with_the_way() -> None:
    recorded = {
        KEY_OF_ROWS: [
            RecordedColumn("trip_id", "s3://lake/history/a", ("s3://lake/history/b",)),
            RecordedColumn("train_id", "s3://lake/history/c"),
        ],
        TARGET_OF_ROWS: [RecordedColumn("late", "s3://lake/history/a")],
    }
    (change,) = against_lake(declared(DISTANCE, WIND, LINE), recorded)
    assert (change.code, change.name) == ("key", "train_id")
    assert "data.key is 'train_id', and rows in the lake were imported with the key 'trip_id' (2 of" in change.sentence
    assert "`aws s3 mv s3://lake/history/a s3://lake/set-aside/history/a`" in change.sentence
    other = declare(binary_document(data={"target": "very_late", "features": [DISTANCE, WIND, LINE]}))
    assert [c.code for c in against_lake(other, {TARGET_OF_ROWS: recorded[TARGET_OF_ROWS]})] == ["target"]


def test_objects_of_a_type_that_was_put_back_are_told_with_the_way_to_set_them_aside() -> None:
    day = "s3://lake/predictions/model=late_train/date=2013-01-0"
    number = RecordedColumn("number", f"{day}1/a", (f"{day}4/a",))
    one = RecordedColumn("category", f"{day}2/b")
    (change,) = against_lake(declared(DISTANCE, WIND, LINE), {"wind": [number, one]})
    assert (change.code, change.name) == ("column_type", "wind")
    assert "has it as a category in between, in 1 of the objects that were looked at, captured 2013-01-02" in str(
        change
    )
    aside = "s3://lake/set-aside/predictions/model=late_train/date=2013-01-02/b"
    assert f"`aws s3 mv {day}2/b {aside}`" in change.sentence
    assert "another name" not in change.sentence
    # AND of many, the first are named and the last, with the dates
    many = RecordedColumn("category", f"{day}2/b", tuple(f"{day}3/{n}" for n in range(8)))
    (change,) = against_lake(declared(DISTANCE, WIND, LINE), {"wind": [number, many]})
    assert "in 9 of the objects that were looked at, captured from 2013-01-02 to 2013-01-03" in change.sentence
    assert change.sentence.count("aws s3 mv") == 5
    assert f"and 4 more of them, up to {day}3/7" in change.sentence


def test_all_of_it_is_told_at_once() -> None:
    require_unchanged("late_train", [])
    changes = against_champion(declared(LINE), CONTRACT, 3)
    with pytest.raises(DeclarationChangedError, match=r"'distance'.*\n.*'wind'") as refused:
        require_unchanged("late_train", changes)
    assert len(refused.value.sentences) == 2
