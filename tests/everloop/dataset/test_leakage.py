"""Leakage suspects are found where they are planted, and nowhere else; by queries as by pandas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.exceptions import LeakageSuspectedError
from everloop.dataset.leakage import DECIDES, FeatureSigns, find_suspects, unaccepted
from everloop.dataset.leakage_query import count_signs
from everloop.dataset.snapshot_making import check, look_for_leakage
from tests.everloop.dataset.test_snapshot_making import AS_OF, PLACE, Engine
from tests.helpers.declarations import binary_document, declare

ROWS = 4000
START = datetime(2013, 1, 1)
BOUNDARY = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=ROWS * 0.8)
FEATURES = [
    {"name": "distance", "type": "number", "missing": "allow"},
    {"name": "wind", "type": "number", "missing": "allow"},
    {"name": "line", "type": "category", "missing": "allow"},
    {"name": "operator", "type": "category", "missing": "allow"},
]


NOTHING = FeatureSigns("a", 0, 0, 0.0, 0.0, 0.0, 1, 0, 0, 0, 0, 0, None)


def declaration(**data: Any) -> Any:
    rules = {"minimum_rows": 10, "positive_rate": [0, 1], "split": {"test_days": 1}, "features": FEATURES}
    return declare(binary_document(data={**rules, **data}))


def frame(seed: int = 0) -> pd.DataFrame:
    """Rows with a signal in ``wind`` that no one would call a leak, an hour apart."""
    rng = np.random.default_rng(seed)
    wind = rng.gamma(2, 6, ROWS)
    late = rng.random(ROWS) < 1 / (1 + np.exp(2 - 0.1 * wind))
    return pd.DataFrame(
        {
            "key": [f"t{i}" for i in range(ROWS)],
            "time": [START + timedelta(hours=i) for i in range(ROWS)],
            "label": late.astype(float),
            "distance": rng.normal(0, 1, ROWS),
            "wind": np.where(rng.random(ROWS) < 0.1, np.nan, wind),
            "line": rng.choice(["north", "south"], ROWS).astype(object),
            "operator": pd.Series([f"o{i}" for i in range(ROWS)], dtype=object),  # one for each row
        }
    ).astype({"time": "datetime64[ms]"})


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.athena.connection.close()


def signs(engine: Engine, rows: pd.DataFrame, declared: Any = None) -> list[FeatureSigns]:
    declared = declared or declaration()
    engine.freeze(rows)
    return count_signs(engine.queries, declared, PLACE, check(engine.queries, declared, PLACE, AS_OF), BOUNDARY)


def suspects(engine: Engine, rows: pd.DataFrame) -> list[tuple[str, str]]:
    found = find_suspects(signs(engine, rows), classification=True)
    return [(suspect["feature"], suspect["code"]) for suspect in found]


@pytest.mark.slow
def test_a_set_without_a_leak_has_no_suspect(engine: Engine) -> None:
    assert suspects(engine, frame()) == []


@pytest.mark.slow
def test_what_is_counted_is_what_pandas_counts(engine: Engine) -> None:
    rows = frame()
    found = {each.name: each for each in signs(engine, rows)}
    missing, late = rows["wind"].isna(), rows["time"] > BOUNDARY.replace(tzinfo=None)
    wind = found["wind"]
    assert (wind.missing, wind.present) == (missing.sum(), (~missing).sum())
    assert (wind.late_missing, wind.late_rows) == ((missing & late).sum(), late.sum())
    assert wind.present_positives == rows["label"][~missing].sum()
    assert wind.time_correlation == pytest.approx(rows["wind"].corr(rows["time"].astype("int64")), abs=1e-9)
    # AND what a category with a few values says alone is what the same halves say in pandas
    half = rows["key"].map(lambda key: hashlib.sha256(key.encode()).hexdigest()[8] >= "8")
    learned, looked = rows[~half], rows[half]
    mean = (learned.groupby("line")["label"].sum() + learned["label"].mean()) / (learned.groupby("line").size() + 1)
    scores = looked["line"].map(mean).to_numpy()
    ones, zeros = scores[looked["label"] == 1], scores[looked["label"] == 0]
    pairs = (ones[:, None] > zeros).sum() + (ones[:, None] == zeros).sum() / 2
    assert found["line"].pairs == pytest.approx(pairs)
    assert found["line"].unexplained == pytest.approx(((looked["label"] - scores) ** 2).sum())
    assert (found["line"].rows, found["line"].positives) == (len(looked), len(ones))


def test_a_value_that_occurs_once_tells_nothing(engine: Engine) -> None:
    (operator,) = [each for each in signs(engine, frame()) if each.name == "operator"]
    assert operator.alone(classification=True) == pytest.approx(0.5)


def leaks(rows: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, set[tuple[str, str]]]]:
    label, rng = rows["label"].to_numpy(), np.random.default_rng(9)
    hours = np.arange(ROWS, dtype=float)
    some = rng.random(ROWS) < 0.5
    decided = {("distance", "decides_alone")}
    return {
        "a copy": (rows.assign(distance=label), decided),
        "with noise": (rows.assign(distance=label * 6 + rng.normal(0, 1, ROWS)), decided),
        "in the middle": (rows.assign(distance=np.where(label == 1, 0.0, rng.choice([-9.0, 9.0], ROWS))), decided),
        "a word": (rows.assign(line=np.where(label == 1, "yes", "no")), {("line", "decides_alone")}),
        "there for one class": (
            rows.assign(distance=np.where((label == 1) & some, rng.normal(0, 1, ROWS), np.nan)),
            {("distance", "filled_with_outcome")},
        ),
        "filled later": (
            rows.assign(distance=np.where(hours > ROWS * 0.8, np.nan, rows["distance"])),
            {("distance", "filled_later")},
        ),
        "the time": (
            rows.assign(distance=-1e6 - 3600 * hours + rng.normal(0, 60, ROWS)),
            {("distance", "copies_time")},
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", list(leaks(frame())))
def test_a_planted_leak_is_a_suspect(engine: Engine, name: str) -> None:
    rows, expected = leaks(frame())[name]
    assert set(suspects(engine, rows)) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "column",
    [
        {"distance": [np.nan] * ROWS},
        {"distance": [5.0] * ROWS},
        {"distance": [1e200, -1e200] * (ROWS // 2)},
        {"line": ["é" * 40] * ROWS},
        {"line": [None] * ROWS},
    ],
    ids=["all missing", "one value", "huge", "one word", "no word"],
)
def test_what_says_nothing_is_no_suspect(engine: Engine, column: dict[str, Any]) -> None:
    assert suspects(engine, frame().assign(**column)) == []


def test_few_rows_make_no_suspect() -> None:
    """GIVEN a copy of the label; THEN it takes enough rows of the rarer class to say so."""
    for positives, told in ((20, False), (70, False), (100, True)):
        rows = 2 * positives
        copy = replace(NOTHING, rows=rows, positives=positives, pairs=float(positives**2))
        assert bool(find_suspects([copy], classification=True)) is told
    # AND more features, which are more looks, take more
    copy = replace(NOTHING, rows=200, positives=100, pairs=1e4)
    assert not find_suspects([copy] * 40, classification=True)


def test_a_feature_that_explains_a_number_alone_is_a_suspect() -> None:
    plain = FeatureSigns("a", 1000, 0, 0.0, 0.0, 100.0, 1000, 0, 0, 0, 0, 0, None)
    for unexplained, told in ((100 * (1 - DECIDES), False), (2.0, True), (0.0, True), (250.0, False)):
        found = find_suspects([replace(plain, unexplained=unexplained)], classification=False)
        assert bool(found) is told


@pytest.mark.slow
def test_by_chance_no_more_sets_have_a_suspect_than_is_said() -> None:
    """GIVEN features just at the limit; THEN few sets have a suspect among them."""
    rng, sets = np.random.default_rng(4), 400
    trials = 400
    alarms = 0
    for _ in range(sets):
        each = [
            replace(NOTHING, rows=2 * trials, positives=trials, pairs=trials * float(rng.binomial(trials, DECIDES)))
            for _ in range(5)
        ]
        alarms += bool(find_suspects(each, classification=True))
    assert alarms / sets <= 0.05


class TestADeclaredStop:
    def leaking(self, engine: Engine, **data: Any) -> Any:
        declared = declaration(leakage="stop", **data)
        engine.freeze(frame().assign(distance=lambda rows: rows["label"]))
        return declared, check(engine.queries, declared, PLACE, AS_OF)

    @pytest.mark.slow
    def test_stops_the_run_with_the_feature_and_the_way_on(self, engine: Engine) -> None:
        declared, counts = self.leaking(engine)
        with pytest.raises(LeakageSuspectedError, match="may leak the outcome") as error:
            look_for_leakage(engine.queries, declared, PLACE, counts, BOUNDARY)
        assert "  distance: alone it orders the outcomes of rows it was not learned from" in str(error.value)
        assert str(error.value).endswith("say why in data.leakage_accepted")

    @pytest.mark.slow
    def test_lets_pass_what_somebody_gave_a_reason_for(self, engine: Engine) -> None:
        declared, counts = self.leaking(engine, leakage_accepted={"distance": "known a week before"})
        _, (found,) = look_for_leakage(engine.queries, declared, PLACE, counts, BOUNDARY)
        assert unaccepted([found], {}) == [found]
