"""What a contract admits is laid into real rows: all of it, and nothing that a request could not hold."""

from __future__ import annotations

import itertools
import json
import math
from typing import Literal

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.request import RequestParser
from everloop.training.probes import LARGE, MIXTURES, base_rows, counted, laid_into, possibilities
from tests.helpers.artifacts import small_contract
from tests.helpers.requests import rows_in_body

LIMIT = st.none() | st.floats(-1e300, 1e300)
Missing = Literal["allow", "refuse"]
MISSING: st.SearchStrategy[Missing] = st.sampled_from(["allow", "refuse"])
Unseen = Literal["accept", "refuse"]
UNSEEN: st.SearchStrategy[Unseen] = st.sampled_from(["accept", "refuse"])
TEXT = st.text("abcé𐍈𐍉", min_size=1, max_size=3)


@st.composite
def contracts(draw: st.DrawFn) -> ServingContract:
    numbers = []
    for index in range(draw(st.integers(0, 3))):
        low, high = draw(LIMIT), draw(LIMIT)
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        numbers.append(NumberField(f"n{index}", min=low, max=high, missing=draw(MISSING)))
    categories = []
    for index in range(draw(st.integers(0 if numbers else 1, 3))):
        values = tuple(sorted(draw(st.sets(TEXT, min_size=1))))
        unseen = draw(UNSEEN)
        length = draw(st.integers(3, 5))
        categories.append(CategoryField(f"c{index}", draw(MISSING), unseen, length, values))
    return small_contract(numbers=tuple(numbers), categories=tuple(categories))


def rows_of(contract: ServingContract) -> pd.DataFrame:
    """Two rows that the contract takes."""
    columns: dict[str, pd.Series] = {}
    for number in contract.numbers:
        inside = 0.0 if number.min is None else number.min
        columns[number.name] = pd.Series([inside if number.max is None else min(inside, number.max)] * 2)
    for category in contract.categories:
        columns[category.name] = pd.Series([category.values[0]] * 2, dtype=object)
    return pd.DataFrame(columns)


def as_instances(contract: ServingContract, frame: pd.DataFrame) -> list[dict[str, object]]:
    found = [{str(k): None if v != v else v for k, v in row.items()} for row in frame.to_dict("records")]
    return [{contract.key: f"k{index}", **row} for index, row in enumerate(found)]


@settings(max_examples=30, deadline=None)
@given(contract=contracts())
def test_every_probe_is_a_row_that_a_request_may_hold(contract: ServingContract) -> None:
    base, found = rows_of(contract), possibilities(contract)
    frame = laid_into(base, found)
    assert len(frame) == 2 * len(found)
    assert frame.dtypes.equals(base.dtypes)
    unlimited = small_contract(numbers=contract.numbers, categories=contract.categories, max_rows=len(frame))
    rows = rows_in_body(RequestParser(unlimited), json.dumps({"instances": as_instances(contract, frame)}).encode())
    # AND the parser hands the model what the probe handed it
    numbers = frame[[f.name for f in contract.numbers]].to_numpy(np.float64)
    np.testing.assert_array_equal(rows.num, numbers.reshape(rows.num.shape))
    texts = frame[[f.name for f in contract.categories]].to_numpy(object)
    assert rows.cat.tolist() == texts.reshape(rows.cat.shape).tolist()


@settings(max_examples=30, deadline=None)
@given(contract=contracts())
def test_whatever_may_be_missing_or_unseen_is_so_alone_and_with_the_others(contract: ServingContract) -> None:
    found = possibilities(contract)
    optional = {f.name for f in contract.numbers if f.missing == "allow"}
    optional |= {f.name for f in contract.categories if f.missing == "allow"}
    assert {p.feature for p in found if p.kind == "missing"} == optional
    open_to_unseen = {f.name for f in contract.categories if f.unseen == "accept"}
    assert {p.feature for p in found if p.kind == "unseen"} == open_to_unseen
    together = [set(p.values) for p in found if p.kind == "together"]
    assert len(optional) < 2 or optional in together
    limits = {(f.name, limit) for f in contract.numbers for limit in (f.min, f.max) if limit is not None}
    assert {(p.feature, p.values[p.feature]) for p in found if p.kind == "limit"} == limits


def test_a_number_without_limits_is_large_tiny_negative_and_zero() -> None:
    found = possibilities(small_contract(numbers=(NumberField("n"),), categories=()))
    values = [float(p.values["n"]) for p in found if p.kind == "unlimited"]
    assert {0.0, LARGE, -LARGE} < set(values)
    assert min(abs(v) for v in values if v) < 1e-200


def test_an_unknown_category_is_not_one_of_the_known_ones() -> None:
    known = tuple("𐍈" * n for n in (1, 4))
    field = CategoryField("c", "refuse", "accept", 4, known)
    found = possibilities(small_contract(numbers=(), categories=(field,)))
    for possibility in found:
        if possibility.kind in ("unseen", "longest"):
            assert possibility.values["c"] not in known
    (longest,) = (str(p.values["c"]) for p in found if p.kind == "longest")
    assert len(longest) == 4


def test_the_rows_beneath_are_training_rows_and_the_same_for_the_same_seed() -> None:
    features = pd.DataFrame({"n": np.arange(1000.0), "c": pd.Series(["a"] * 1000, dtype=object)})
    chosen = base_rows(features, 7)
    assert len(chosen) == 8
    assert set(chosen["n"]) < set(features["n"])
    assert chosen.equals(base_rows(features, 7))
    assert not chosen.equals(base_rows(features, 8))
    assert len(base_rows(features.head(3), 7)) == 3


def test_what_is_counted_is_what_is_probed() -> None:
    contract = small_contract()
    assert sum(counted(contract).values()) == len(possibilities(contract))
    assert counted(contract)["missing"] == 3
    missing = next(p for p in possibilities(contract) if p.kind == "missing")
    assert math.isnan(float(missing.values["wind"]))


def test_few_features_are_mixed_in_every_way_and_many_hold_every_two() -> None:
    few = small_contract(
        numbers=tuple(NumberField(n, missing="allow") for n in "ab"),
        categories=(CategoryField("c", "allow", "accept", 4, ("x",)),),
    )
    mixed = [p for p in possibilities(few) if p.kind == "mixed"]
    assert len(mixed) == 2 * 2 * 3 - 1 - 4  # without none, and without one alone
    assert {frozenset(p.values) for p in mixed} == {frozenset(s) for s in ("ab", "ac", "bc", "abc")}
    names = [f"n{i}" for i in range(40)]
    many = small_contract(
        numbers=tuple(NumberField(n, missing="allow") for n in names[:20]),
        categories=tuple(CategoryField(n, "allow", "accept", 4, ("x",)) for n in names[20:]),
    )
    mixed = [p for p in possibilities(many) if p.kind == "mixed"]
    assert len(mixed) <= MIXTURES
    states = [{(n, str(v)) for n, v in p.values.items()} for p in mixed]
    single = set().union(*states)
    assert len(single) == 20 + 2 * 20
    for one, other in itertools.combinations(sorted(single), 2):
        assert one[0] == other[0] or any({one, other} <= state for state in states)
    assert [p.shown for p in mixed] == [p.shown for p in possibilities(many) if p.kind == "mixed"]
