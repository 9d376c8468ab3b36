"""A group loses at most the bound more than by the shared calibration; with few rows it is served as all others."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.recalibration.calibration import (
    LARGEST_NUMBER,
    LONGEST_GROUPED_TEXT,
    MOST_GROUP_PARTS,
    MOST_PARTS,
    Calibration,
    Kind,
    Part,
    identity,
)
from everloop.recalibration.exceptions import CalibrationFormatError, StateFormatError, SumsDifferError
from everloop.recalibration.grouped_by import MOST_GROUPS, OTHERS, GroupBy
from everloop.recalibration.groups import (
    Groups,
    GroupState,
    continued_groups,
    grouped_calibration,
    grouped_calibration_for,
    learn_groups,
)
from everloop.recalibration.learner import FULL_ROWS, LEAVE_FLOOR, calibration, learn, start
from everloop.recalibration.losses import mean_losses
from everloop.recalibration.rescored import rescored
from everloop.recalibration.state import Limits, State
from everloop.recalibration.sums import LogOddsSums, Sums, ValueSums

BY = GroupBy("origin", values=("large", "small"))
LARGE, SMALL = range(2)
BOUND = math.log(1 / LEAVE_FLOOR)
ROUNDING = 1e-4
LIMITS = Limits(max_shift=4.0)
POINTS = np.array([-2.375, -0.875, 0.125, 1.625])

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Raw scores, outcomes, places."""

Nature = Callable[[np.random.Generator, int, Calibration], Rows]
"""What happens in a window, made with the calibration that is served on it in sight."""


def sigmoid(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-x))
    return found


def logit(p: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(p) - np.log1p(-p)
    return found


def drawn(
    rng: np.random.Generator, large: int = 60, small: int = 60, others: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Raw probabilities at a few points, so that sums lose nothing of the rows; and their places."""
    places = np.repeat([LARGE, SMALL, OTHERS], [large, small, others])
    return sigmoid(POINTS[rng.integers(0, 4, len(places))]), places


def against(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
    """Each label of a group is the one that its own score loses most with, against the shared one."""
    p, places = drawn(rng)
    own, shared = served.apply(p, places), served.apply(p)
    # Both outcomes while nothing is learned: with one class alone a group is served as all others.
    return p, ((own < shared) | ((own == shared) & (rng.random(len(p)) < (places == SMALL) * 0.9))).astype(int), places


def traps(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
    """The groups lie apart for ten windows, and the other way round for the next ten."""
    p, places = drawn(rng)
    rate = np.where((places == SMALL) == bool(window // 10 % 2), 0.9, 0.1)
    return p, (rng.random(len(p)) < rate).astype(int), places


def one_class(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
    p, places = drawn(rng)
    return p, np.where(places == SMALL, window < 3, rng.random(len(p)) < p).astype(int), places


def few(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
    """A group of no to four rows, the labels against its own mixture."""
    p, places = drawn(rng, small=int(rng.integers(0, 5)))
    y = np.where(places == SMALL, served.apply(p, places) < served.apply(p), rng.random(len(p)) < p)
    return p, y.astype(int), places


def wild(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
    """Any sizes, any shifts of each, sometimes nothing, sometimes against the mixtures."""
    p, places = drawn(rng, *(int(rng.integers(0, 150)) * int(rng.random() < 0.8) for _ in range(3)))
    if rng.random() < 0.3:
        return p, (served.apply(p, places) < served.apply(p)).astype(int), places
    moved = sigmoid(logit(p) * rng.uniform(-1, 3) + rng.normal(0, 2, 3)[places])
    return p, (rng.random(len(p)) < moved).astype(int), places


NATURES: list[Nature] = [against, traps, one_class, few, wild]


def sums_of(kind: Kind, rows: Rows, center: float = 0.0, width: float = 1.0) -> tuple[Sums, dict[str, Sums]]:
    """Of all rows, and of each group."""
    p, y, places = rows

    def counted(chosen: np.ndarray) -> Sums:
        if kind == "log_odds":
            return LogOddsSums.of_rows(p[chosen], y[chosen])
        return ValueSums.of_rows(p[chosen], y[chosen], center, width)

    return counted(np.full(len(p), True)), {name: counted(places == i) for i, name in enumerate(BY.names)}


def lived(
    nature: Nature, delay: int, seed: int, windows: int = 150, minimum_rows: int = 0
) -> Iterator[tuple[Calibration, Rows, Groups]]:
    """What was served on each window, what happened, and what was known. Labels come ``delay`` windows late."""
    rng = np.random.default_rng(seed)
    state = start("log_odds", delay, LIMITS)
    groups = continued_groups({}, BY, state)
    served = [identity("log_odds")] * (delay + 1)
    for window in range(windows):
        rows = nature(rng, window, served[window])
        yield served[window], rows, groups
        whole, each = sums_of("log_odds", rows)
        groups = learn_groups(groups, state, window, each)
        state = learn(state, window, whole)
        served.append(grouped_calibration(calibration(state), BY, groups, minimum_rows))


def excess(served: Calibration, rows: Rows, place: int) -> float:
    """What a group's own scores lost more than the shared ones, in full windows."""
    p, y, places = rows
    own = places == place
    if not own.any():
        return 0.0
    alone, moved = served.apply(p)[own], served.apply(p, places)[own]
    more = np.log(np.where(y[own], alone, 1 - alone)) - np.log(np.where(y[own], moved, 1 - moved))
    value: float = float(more.mean()) * min(1.0, own.sum() / FULL_ROWS)
    return value


def worst_stretch(excesses: list[float]) -> float:
    total = np.concatenate([[0.0], np.cumsum(excesses)])
    return float((total - np.minimum.accumulate(total)).max())


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("nature", NATURES, ids=lambda n: n.__name__)
def test_a_group_keeps_the_bound_against_the_shared_calibration(nature: Nature, delay: int) -> None:
    days = [(served, rows) for served, rows, _ in lived(nature, delay, 0, 100)]
    for place in (LARGE, SMALL):
        assert worst_stretch([excess(*day, place) for day in days]) <= (delay + 1) * (BOUND + ROUNDING)


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 400))
def test_the_bound_holds_whatever_happens(seed: int, delay: int, minimum_rows: int) -> None:
    days = [(served, rows) for served, rows, _ in lived(wild, delay, seed, 60, minimum_rows)]
    for place in (LARGE, SMALL):
        assert worst_stretch([excess(*day, place) for day in days]) <= (delay + 1) * (BOUND + ROUNDING)


@pytest.mark.slow
def test_an_adversary_takes_what_the_bound_is_there_for() -> None:
    days = [(served, rows) for served, rows, _ in lived(against, 0, 1, 300)]
    assert 0.3 < worst_stretch([excess(*day, SMALL) for day in days]) <= BOUND + ROUNDING


@pytest.mark.slow
def test_groups_that_lie_apart_gain_and_groups_that_do_not_lose_nothing() -> None:
    def apart(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
        p, places = drawn(rng)
        return p, (rng.random(len(p)) < sigmoid(logit(p) + np.array([-1, 1, 0])[places])).astype(int), places

    def alike(rng: np.random.Generator, window: int, served: Calibration) -> Rows:
        p, places = drawn(rng)
        return p, (rng.random(len(p)) < p).astype(int), places

    days_apart, days_alike = (list(lived(nature, 1, 3)) for nature in (apart, alike))
    for place in (LARGE, SMALL):
        gained = [-excess(served, rows, place) for served, rows, _ in days_apart]
        assert sum(gained[20:]) / len(gained[20:]) > 0.06
        lost = [excess(served, rows, place) for served, rows, _ in days_alike]
        assert sum(lost) / len(lost) < 0.003


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_order_and_limit_hold_in_every_group_and_the_others_get_the_shared_scores(seed: int, delay: int) -> None:
    grid = np.linspace(0.001, 0.999, 50)
    for served, _, _ in lived(wild, delay, seed, 25):
        for place in (LARGE, SMALL):
            q = served.apply(grid, np.full(len(grid), place))
            assert (np.diff(q) >= 0).all()
            assert (np.abs(logit(q) - logit(grid)) <= LIMITS.max_shift + 1e-6).all()
        others = served.apply(grid, np.full(len(grid), OTHERS))
        assert others.tolist() == served.shared.apply(grid).tolist() == served.apply(grid).tolist()
        for parts in served.groups:
            assert all(LIMITS.least_slope <= part.slope <= LIMITS.most_slope for part in parts or ())


@pytest.mark.slow
def test_a_row_is_served_alike_whatever_stands_beside_it() -> None:
    *_, (served, (p, _, places), _) = lived(wild, 0, 4, 40)
    alone = [float(served.apply(p[i : i + 1], places[i : i + 1])[0]) for i in range(len(p))]
    assert served.apply(p, places).tolist() == alone
    assert served.apply(p.reshape(-1, 1), places.reshape(-1, 1)).ravel().tolist() == alone


@pytest.mark.slow
def test_a_group_with_few_rows_or_one_class_is_served_as_all_others_and_says_so() -> None:
    known = [(served, groups) for served, _, groups in lived(one_class, 0, 1, 12, minimum_rows=200)]
    served, groups = known[3]
    assert groups["small"].waits_for(200) == "180 labelled rows so far, and it takes 200"
    assert groups["small"].waits_for(100) == "all its 180 labelled rows so far have one outcome"
    assert served.by is None
    served, groups = known[8]
    assert all(group.waits_for(200) is None for group in groups.values())
    assert served.by == BY
    assert all(served.groups)
    few_rows = [served for served, _, _ in lived(few, 0, 1, 30, minimum_rows=200)]
    assert few_rows[-1].groups[LARGE] is not None
    assert few_rows[-1].groups[SMALL] is None


@pytest.mark.parametrize("kind", ["log_odds", "value"])
def test_what_was_learned_is_its_document(kind: Kind) -> None:
    rng = np.random.default_rng(5)
    state = start(kind, 1, LIMITS if kind == "log_odds" else Limits(50.0), center=0.0 if kind == "log_odds" else 100.0)
    groups = continued_groups({}, BY, state)
    for window in range(12):
        p, y, places = wild(rng, window, identity("log_odds"))
        rows = (p, y, places) if kind == "log_odds" else (100 + 50 * p, 100 + 60 * p + 10.0 * places, places)
        whole, each = sums_of(kind, rows, state.center, state.bin_width)
        read = {name: GroupState.from_document(json.loads(json.dumps(g.to_document()))) for name, g in groups.items()}
        groups = learn_groups(groups, state, window, each)
        again = learn_groups(read, state, window, each)
        assert {n: g.to_document() for n, g in again.items()} == {n: g.to_document() for n, g in groups.items()}
        state = learn(state, window, whole)
        made = grouped_calibration(calibration(state), BY, groups, 0)
        assert Calibration.from_text(made.to_text()) == made


def test_a_document_of_other_lines_is_refused() -> None:
    with pytest.raises(StateFormatError, match="posterior is"):
        GroupState.from_document({"ones": 0, "state": start("log_odds", 0, LIMITS).to_document()})
    with pytest.raises(StateFormatError, match="ones"):
        GroupState.from_document({"state": {}})


def test_a_window_is_served_by_what_was_made_for_it() -> None:
    """Late labels: what is known by now says nothing of how an earlier window was served."""
    rng = np.random.default_rng(2)
    state = start("log_odds", 2, LIMITS)
    groups, made = continued_groups({}, BY, state), [identity("log_odds")] * 3
    for window in range(20):
        assert grouped_calibration_for(state, BY, groups, window, 0) == made[window]
        whole, each = sums_of("log_odds", traps(rng, window, made[window]))
        groups = learn_groups(groups, state, window, each)
        state = learn(state, window, whole)
        made.append(grouped_calibration(calibration(state), BY, groups, 0))


@pytest.mark.slow
def test_a_new_group_begins_with_nothing_and_a_known_one_goes_on_under_todays_terms() -> None:
    *_, (_, _, groups) = lived(traps, 1, 1, 30)
    shared = start("log_odds", 3, Limits(max_shift=1.0))
    taken = continued_groups(groups, GroupBy("origin", values=("new", "small")), shared)
    assert list(taken) == ["new", "small"]
    assert taken["new"].state.rows == 0
    assert taken["small"].state.rows == groups["small"].state.rows
    assert (taken["small"].state.delay, taken["small"].state.limits) == (3, Limits(max_shift=1.0))
    same = continued_groups(groups, BY, replace(shared, delay=1, limits=LIMITS))
    assert [same[name].state for name in BY.names] == [groups[name].state for name in BY.names]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_rescored_sums_are_those_of_the_served_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, _ = drawn(rng)
    y = (rng.random(len(p)) < p).astype(int)
    parts = tuple(Part(0.25, float(rng.normal()), float(rng.uniform(0.3, 3))) for _ in range(4))
    shared = Calibration("log_odds", parts, 2.0)
    found = rescored(LogOddsSums.of_rows(p, y), shared)
    served = shared.apply(p)
    lines = np.array([[0.0, 1.0], [0.7, 1.3], [-3.0, 0.5]])
    x = np.clip(lines[:, :1] + lines[:, 1:] * logit(served), logit(p) - 2.0, logit(p) + 2.0)
    expected = -np.log(np.where(y, sigmoid(x), 1 - sigmoid(x))).mean(1)
    assert mean_losses(found, np.eye(3), lines, 2.0) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e6, 3.0]))
def test_rescored_values_err_as_their_rows_do(seed: int, most: float) -> None:
    """A limit is taken at a bin's mean, so here each bin has one score."""
    rng = np.random.default_rng(seed)
    s = 100.0 + np.array([-9.5, -2.5, 0.5, 4.5])[rng.integers(0, 4, 80)]
    y = s + rng.normal(0, 3, 80)
    parts = tuple(Part(0.25, float(rng.normal(0, 4)), float(rng.uniform(0.9, 1.1))) for _ in range(4))
    shared = Calibration("value", parts, most)
    found = rescored(ValueSums.of_rows(s, y, 100.0), shared)
    served = shared.apply(s)
    lines = np.array([[0.0, 1.0], [7.0, 0.95], [-13.0, 1.1]])
    moved = np.clip(lines[:, :1] + lines[:, 1:] * served, s - most, s + most)
    squares = ((y - moved) ** 2).mean(1)
    assert mean_losses(found, np.eye(3), lines, most) == pytest.approx(squares / (2 * squares.max()), rel=1e-6)
    assert found.rows == 80


def test_sums_of_another_kind_are_refused() -> None:
    with pytest.raises(SumsDifferError, match="can't be applied to sums of value"):
        rescored(ValueSums.none(0.0), identity("log_odds"))


def bound_of_values(seed: int) -> float:
    """The worst stretch of a group of a regression whose level turns, in units of each window's own."""
    rng = np.random.default_rng(seed)
    state = start("value", 0, Limits(1e9), center=100.0)
    groups, served, excesses = continued_groups({}, BY, state), identity("value"), []
    for window in range(120):
        s, places = rng.normal(100.0, 20, 120), np.repeat([LARGE, SMALL], 60)
        y = s + rng.normal(0, 10, 120) + np.where(places == SMALL, 15 if window // 12 % 2 else -15, 0)
        own = places == SMALL
        alone, mixed = (((y - each)[own] ** 2).mean() for each in (served.apply(s), served.apply(s, places)))
        excesses.append(float(mixed - alone) / (2 * max(alone, mixed)))
        whole, each = sums_of("value", (s, y, places), 100.0, state.bin_width)
        groups = learn_groups(groups, state, window, each)
        state = learn(state, window, whole)
        served = grouped_calibration(calibration(state), BY, groups, 0)
    return worst_stretch(excesses)


@pytest.mark.slow
def test_the_bound_holds_for_values() -> None:
    assert max(bound_of_values(seed) for seed in range(3)) <= BOUND + ROUNDING


def widest(level: float) -> Calibration:
    """As long as the text of one can be: all lines and groups there may be, numbers of all digits."""
    shared = tuple(Part(1 / 15 + (i - 7) * 1.234567e-9, -level, 1.23456789) for i in range(15))
    own = tuple(Part(1 / 7, -level - i / 1e6, 1.2345678) for i in range(7))
    values = tuple("x" * 28 + str(i) for i in range(MOST_GROUPS))
    return Calibration("log_odds", shared, 8.123, GroupBy("f", values=values), (own,) * MOST_GROUPS)


@pytest.mark.parametrize("level", [0.123456789, 1.23456789e-5, 123456789.0, 1.23456789e-12])
def test_the_longest_text_fits(level: float) -> None:
    made = widest(level)
    assert len(made.to_text()) <= LONGEST_GROUPED_TEXT
    assert Calibration.from_text(made.to_text()) == made


@st.composite
def grouped(draw: st.DrawFn) -> Calibration:
    """Sensible and wild ones, some groups without a mixture of their own."""

    def parts(most: int) -> tuple[Part, ...]:
        shares = draw(st.lists(st.floats(1e-3, 1), min_size=1, max_size=most))
        number = st.floats(-LARGEST_NUMBER, LARGEST_NUMBER) if draw(st.booleans()) else st.floats(-4, 4)
        return tuple(Part(s / math.fsum(shares), draw(number), draw(st.floats(0.05, 5))) for s in shares)

    kind = draw(st.sampled_from(["log_odds", "value"]))
    groups = tuple(parts(3) if draw(st.booleans()) else None for _ in BY.names)
    return Calibration(kind, parts(3), draw(st.floats(0.01, 10)), BY, groups)  # type: ignore[arg-type]  # one of both kinds


@pytest.mark.slow
@settings(deadline=None)
@given(grouped(), st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=12), st.integers(OTHERS, SMALL))
def test_any_calibration_is_its_text_and_keeps_order_and_limit(made: Calibration, raw: list[float], place: int) -> None:
    assert Calibration.from_text(made.to_text()) == made
    scores = np.sort(raw)
    served = made.apply(scores, np.full(len(scores), place))
    assert (np.diff(served) >= -1e-9).all()
    moved = logit(served) - logit(scores) if made.kind == "log_odds" else served - scores
    assert (np.abs(moved) <= made.max_shift * (1 + 1e-6) + 1e-6).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ()}, "it has 0 groups, and 'by' 2"),
        ({"by": None}, "it has 2 groups, and 'by' 0"),
        ({"groups": (None, ())}, "group 1 has 0 parts"),
        ({"groups": (None, (Part(1 / 9, 0, 1),) * (MOST_GROUP_PARTS + 1))}, "not 1 to 8"),
        ({"groups": (None, (Part(0.5, 0, 1),))}, "the weights of the parts of group 1 sum to 0.5"),
        ({"groups": (None, (Part(1, 0, -1.0),))}, "not a number above 0"),
        ({"parts": (Part(1 / 33, 0, 1),) * (MOST_PARTS + 1)}, "33 parts"),
    ],
)
def test_what_is_no_grouped_calibration_is_refused(change: dict[str, object], message: str) -> None:
    made = Calibration("log_odds", (Part(1, 0, 1),), 8.0, BY, (None, (Part(1, 1, 1),)))
    with pytest.raises(CalibrationFormatError, match=message):
        replace(made, **change)  # type: ignore[arg-type]  # wrong values are what it is about


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"log_odds","max_shift":8,"parts":[[1,0,1]],"by":{"feature":"f","values":["a"]}}',
        '{"kind":"log_odds","max_shift":8,"parts":[[1,0,1]],"by":{"feature":"f","values":["a"]},"groups":{}}',
        '{"kind":"log_odds","max_shift":8,"parts":[[1,0,1]],"by":{"feature":"f","values":["a"]},"groups":[[[1,0]]]}',
        '{"kind":"log_odds","max_shift":8,"parts":[[1,0,1]],"by":["f"],"groups":[null]}',
        '{"kind":"log_odds","max_shift":8,"parts":[[1,0,1]],"groups":[null],"by":{"feature":"f","values":["a"]}}',
    ],
)
def test_what_no_calibration_writes_is_refused(text: str) -> None:
    with pytest.raises(CalibrationFormatError):
        Calibration.from_text(text)


def test_a_state_says_which_lines_it_has() -> None:
    group = continued_groups({}, BY, start("log_odds", 0, LIMITS))["small"]
    assert isinstance(group.state, State)
    assert len(group.state.posterior.mean) == len(group.state.half_lives) == 3
