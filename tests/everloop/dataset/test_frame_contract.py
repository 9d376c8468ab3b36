from __future__ import annotations

import math
from datetime import UTC, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.exceptions import ContractViolationError
from everloop.dataset.frame_contract import HistoryCheck, check_history, check_snapshot
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.rows import START, history_table, lake_table

AS_OF = START + timedelta(days=30)
DECLARATION = declare(binary_document())


def check(table: pd.DataFrame) -> HistoryCheck:
    return check_history(table, DECLARATION, AS_OF)


def test_a_valid_table_is_accepted_whole_and_typed() -> None:
    result = check(history_table(6))
    assert (result.violations, result.refused, result.unlabelled) == ((), (), 0)
    result.require_valid("the table")
    frame = result.accepted
    assert list(frame.columns) == ["train_id", "departure", "late", "distance", "wind", "line", "operator"]
    assert frame["departure"].dtype == "datetime64[ms]"
    assert frame["late"].dtype == frame["wind"].dtype == np.float64
    assert frame["operator"].tolist() == [None, "a", "a", "a", "a", None]


@pytest.mark.parametrize(
    ("column", "cells", "code", "rows"),
    [
        ("train_id", ["a", "b", "a", "c", "a"], "duplicate_key", [3, 5]),
        ("train_id", ["a", None, "", "c", "d"], "missing_not_allowed", [2, 3]),
        ("train_id", ["a", 7.5, "c", "d", "e"], "wrong_type", [2]),
        ("train_id", ["a", 7, "7", "d", "e"], "duplicate_key", [3]),
        ("train_id", ["a", " b", "c", "d ", "e"], "wrong_type", [2, 4]),
        ("train_id", ["a" * 257, "b", "c", "d", "e"], "too_long", [1]),
        ("train_id", ["a\n", "b", "c", "d", "e"], "control_character", [1]),
        ("departure", ["2013-01-01", "2013-01-02T05:00", "soon", "41334", "2013-01-03"], "wrong_type", [3, 4]),
        ("departure", ["2013-01-01", 5, [1], {}, 2.5], "wrong_type", [2, 3, 4, 5]),
        ("departure", ["2013-01-01", None, "2013-01-02", "2013-01-03", ""], "missing_not_allowed", [2, 5]),
        ("departure", ["2013-01-01", "2013-01-03", "2013-01-02", "2013-01-03", "2013-01-04"], "time_out_of_order", [3]),
        ("departure", ["2013-01-01", "2013-03-03", "2013-01-02", "2013-01-03", "2013-01-04"], "time_in_future", [2]),
        ("departure", ["1677-09-21", "1677-09-22", "1969-12-31", "1970-01-01", "2013-01-01"], "time_out_of_range", [1]),
        (
            "departure",
            ["0001-01-01", "0999-12-31", "1500-01-01", "2000-01-01", "2013-01-01"],
            "time_out_of_range",
            [1, 2, 3],
        ),
        ("late", [0, 1, 2, 0.5, None], "label_not_binary", [3, 4]),
        ("late", [0, 1, np.inf, 1, 0], "not_finite", [3]),
        ("late", ["yes", 1, True, 1, 0], "wrong_type", [1, 3]),
        ("late", [True, True, False, False, True], "wrong_type", [1, 2, 3, 4, 5]),
        ("distance", [-1, 0, 5000, 5000.1, 1], "out_of_range", [1, 4]),
        ("distance", [1, None, 3, 4, 5], "missing_not_allowed", [2]),
        ("distance", [1, "2", 3, 4, 5], "wrong_type", [2]),
        ("wind", [1, -np.inf, 3, None, 10**400], "not_finite", [2, 5]),
        ("line", ["north", "south", None, "", "west"], "missing_not_allowed", [3, 4]),
        ("line", ["north", 3, "south", "north", "west"], "wrong_type", [2]),
        ("operator", ["x" * 65, "a", None, "", "b"], "too_long", [1]),
        ("operator", ["\u3164", "a", "\u2800\ufe0f", "❤\ufe0f", "b"], "nothing_seen", [1, 3]),
    ],
)
def test_rows_that_break_a_rule_are_refused_and_told(column: str, cells: list[Any], code: str, rows: list[int]) -> None:
    result = check(history_table(5, **{column: cells}))
    (violation,) = result.violations
    assert (violation.code, violation.column, violation.count) == (code, column, len(rows))
    assert f"row {rows[0]}" in violation.examples[0]
    assert [r.row for r in result.refused] == rows
    assert all(column in r.reason for r in result.refused)
    assert len(result.accepted) == 5 - len(rows)
    with pytest.raises(ContractViolationError, match=code):
        result.require_valid("the table")


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        ([-1, 1, -1, 1, None], "(pandas: .map({-1: 0, 1: 1}))"),
        ([1, 2, 2, 1, 1], "(pandas: .map({1: 0, 2: 1}))"),
        ([0, 0.5, 0, 0, 0.5], "(pandas: .map({0: 0, 0.5: 1}))"),
        ([2, 2, 2, None, 2], "write 1 for the outcome that is predicted and 0 for all others"),
        ([0, 1, 2, 1, 0], "or declare problem.type: regression"),
    ],
)
def test_labels_that_are_not_binary_are_told_with_what_to_write(labels: list[float | None], remedy: str) -> None:
    (violation,) = check(history_table(5, late=labels)).violations
    assert (violation.code, violation.column) == ("label_not_binary", "late")
    assert remedy in violation.sentence


def test_values_are_a_rule_where_unseen_ones_are_refused() -> None:
    document = binary_document()
    document["data"]["features"][2]["unseen"] = "refuse"
    table = history_table(3, line=["north", "west", "south"])
    (violation,) = check_history(table, declare(document), AS_OF).violations
    assert (violation.code, violation.count) == ("category_not_allowed", 1)
    assert "'west'" in violation.examples[0]
    assert check(table).violations == ()


def test_limits_of_a_regression_target_are_a_rule() -> None:
    document = regression_document(data={"target_min": 0, "target_max": 600})
    table = history_table(4).rename(columns={"late": "delay"}).assign(delay=[-1.0, 0.0, 600.0, math.nan])
    result = check_history(table, declare(document), AS_OF)
    assert [r.row for r in result.refused] == [1]
    assert result.unlabelled == 1


def test_a_regression_target_beyond_all_sums_is_refused_without_limits_too() -> None:
    table = history_table(4).rename(columns={"late": "delay"}).assign(delay=[-1e61, -1e60, 1e60, 1e200])
    result = check_history(table, declare(regression_document()), AS_OF)
    assert [r.row for r in result.refused] == [1, 4]
    assert "from -1e+60 to 1e+60" in result.refused[0].reason


def test_a_row_that_was_never_labelled_is_kept_and_counted() -> None:
    result = check(history_table(3, late=[1, None, 0]))
    assert (result.violations, len(result.accepted), result.unlabelled) == ((), 3, 1)


def test_columns_that_are_missing_or_not_declared_are_named() -> None:
    result = check(history_table().drop(columns=["wind", "late"]).assign(speed=1))
    assert [(v.code, v.column) for v in result.violations] == [
        ("missing_column", "late"),
        ("missing_column", "wind"),
        ("extra_column", "speed"),
    ]
    assert result.accepted.empty
    assert [v.code for v in check(history_table().assign(speed=1)).violations] == ["extra_column"]


def test_a_row_is_refused_once_for_its_first_reason() -> None:
    result = check(history_table(2, distance=[-1, 5], line=[None, "north"]))
    (refused,) = result.refused
    assert (refused.row, refused.key) == (1, "t0")
    assert "distance -1.0 is out of range: allowed is from 0 to 5000" in refused.reason
    assert {v.code for v in result.violations} == {"out_of_range", "missing_not_allowed"}


def test_the_message_names_columns_counts_and_values() -> None:
    result = check(history_table(8, distance=[-1.0] * 7 + [1.0]))
    with pytest.raises(ContractViolationError) as refused:
        result.require_valid("trains.csv")
    message = str(refused.value)
    assert message.startswith("trains.csv breaks the data contract in 1 way:\n")
    assert "distance: in 7 rows it is out of range: allowed is from 0 to 5000 [out_of_range]" in message
    assert message.count("has -1.0") == 5


def test_pandas_own_types_are_understood() -> None:
    table = history_table(4)
    table = table.assign(
        wind=pd.array([1, None, 2, 3], dtype="Int64"),
        operator=pd.array(["a", None, "b", "a"], dtype="string"),
        line=pd.Categorical(["north", "south", "north", "north"]),
        departure=table["departure"].dt.tz_convert("America/New_York"),
    )
    result = check(table)
    assert result.violations == ()
    assert result.accepted["operator"].tolist() == ["a", None, "b", "a"]
    assert result.accepted["departure"].iloc[0] == pd.Timestamp("2013-01-01 00:00:00")


def violations_of(table: pd.DataFrame, **changes: Any) -> dict[str, str]:
    with pytest.raises(ContractViolationError) as refused:
        check_snapshot(table, declare(binary_document(data=changes)), AS_OF)
    return {v.code: str(v) for v in refused.value.violations}


def test_a_training_set_that_keeps_the_contract_passes() -> None:
    assert len(check_snapshot(lake_table(240), DECLARATION, AS_OF)) == 240


def test_too_few_rows_stop_the_run() -> None:
    assert "99 labelled rows; at least 100" in violations_of(lake_table(99))["minimum_rows"]
    assert violations_of(lake_table(9).iloc[:0]).keys() == {"minimum_rows"}


def test_the_balance_of_labels_is_held_to_its_limits() -> None:
    found = violations_of(lake_table(240), positive_rate=(0.5, 0.9))
    assert "33.33% of the labels are 1; declared is 50.00% to 90.00%" in found["label_balance"]


@pytest.mark.parametrize(("label", "absent"), [(0, "ones"), (1, "zeros")])
def test_labels_of_one_class_stop_the_run_and_say_what_to_send(label: int, absent: str) -> None:
    found = violations_of(lake_table(200, label=[float(label)] * 200), positive_rate=(0.2, 0.8))
    assert set(found) == {"one_class"}
    assert f"every label of the 200 labelled rows is {label}" in found["one_class"]
    assert f"no label of class {1 - label} arrived" in found["one_class"]
    assert f"send the {absent} too" in found["one_class"]


@pytest.mark.parametrize("value", [0.0, -3.25, 1e9])
def test_a_regression_whose_target_has_one_value_stops_the_run(value: float) -> None:
    declaration = declare(regression_document())
    with pytest.raises(ContractViolationError) as refused:
        check_snapshot(lake_table(200, label=[value] * 200), declaration, AS_OF)
    (violation,) = refused.value.violations
    assert violation.code == "one_value"
    assert f"every label of the 200 labelled rows is {value:.15g}" in str(violation)
    assert "`data.target`" in str(violation)
    assert len(check_snapshot(lake_table(200, label=[*[value] * 199, value + 1]), declaration, AS_OF)) == 200


def test_missing_rates_are_held_to_their_limits() -> None:
    document = binary_document()
    document["data"]["features"][1]["max_missing_rate"] = 0.2
    with pytest.raises(ContractViolationError, match=r"wind: 25\.0% is missing; at most 20\.0% may be"):
        check_snapshot(lake_table(240), declare(document), AS_OF)


def test_one_key_with_two_contents_stops_the_run() -> None:
    table = pd.concat([lake_table(200), lake_table(200).iloc[[5]].assign(distance=1.0)])
    assert "key 't5'" in violations_of(table)["duplicate_key"]


def test_a_training_set_of_other_columns_is_refused() -> None:
    assert violations_of(lake_table(200).drop(columns="wind")).keys() == {"missing_column"}


@pytest.mark.parametrize(("hours", "holds"), [(30, True), (24, True), (23.9, False)])
def test_a_stream_of_labels_that_stopped_stops_the_run(hours: float, holds: bool) -> None:
    # GIVEN a newest row a day before the last one whose outcome had to be known
    table = lake_table(240)
    lag = timedelta(hours=DECLARATION.data.label_lag_hours)
    as_of = table["time"].max().to_pydatetime().replace(tzinfo=UTC) + lag + timedelta(hours=24)
    declaration = declare(binary_document(data={"max_age_hours": hours}))
    # WHEN a training set is made, THEN it is as fresh as declared, or refused with the row's time
    if holds:
        assert len(check_snapshot(table, declaration, as_of)) == 240
        return
    with pytest.raises(ContractViolationError, match=r"24\.0 hours older than it could be; at most 23\.9.*too_old"):
        check_snapshot(table, declaration, as_of)
