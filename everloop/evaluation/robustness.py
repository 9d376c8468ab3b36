"""Robustness: what a candidate says when rows are not as they were, in ways that its contract admits.

Every disturbance changes the same test rows and keeps their labels; the loss is compared row by row. Rows that the
contract would refuse are no answers, and count as refused. What is random is drawn with the model's seed.

The search is the simplest attack there is: of ``TRIES`` small moves of a row's numbers, drawn at random within the
declared ranges, the one with the highest loss. It is a lower bound of what somebody can do who knows the model.

References
----------
D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR
2019.
J. Bergstra, Y. Bengio, "Random search for hyper-parameter optimization", JMLR 13 (2012).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from everloop.evaluation.metrics import estimate, row_losses
from everloop.evaluation.robustness_report import Disturbance, Kind, Robustness
from everloop.evaluation.significance import paired_difference
from everloop.serving.contract import CategoryField, NumberField, ServingContract

MOST_ROWS = 2_000
FEWEST_ROWS = 50
MOST_SCORED = 400_000
"""Scores of all disturbances together, the search left out: with more features fewer rows are disturbed."""

MOST_FEATURES = 200
"""Features that are disturbed one by one."""

SEARCHED_ROWS = 200
TRIES = 64
NOISE = 0.1
"""Of a number's spread on these rows: the standard deviation of the noise, and half the width of the search."""

UNSEEN = "~unseen~"
UNITS: tuple[tuple[str, float, float], ...] = (
    ("times 1,000", 1000.0, 0.0),
    ("divided by 1,000", 0.001, 0.0),
    ("in degrees Celsius instead of Fahrenheit", 5 / 9, -160 / 9),
    ("in degrees Fahrenheit instead of Celsius", 9 / 5, 32.0),
)
"""What a changed unit does: in words, its factor and what is added."""

_FAHRENHEIT, _CELSIUS = ("_f", "fahrenheit"), ("_c", "celsius")

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Scores of ``num`` float64 [rows, numbers] and ``cat`` object [rows, categories]; NaN where there is none.

Of several classes [rows, classes]."""


@dataclass(frozen=True)
class Rows:
    """Labelled rows as a model takes them.

    Attributes
    ----------
    num, cat : ndarray
        See :data:`Score`; NaN and the empty string are missing.
    labels, days : ndarray, shape (rows,)
    """

    num: np.ndarray
    cat: np.ndarray
    labels: np.ndarray
    days: np.ndarray

    def at(self, places: np.ndarray) -> Rows:
        """Some of them."""
        return Rows(self.num[places], self.cat[places], self.labels[places], self.days[places])


def robustness_of(contract: ServingContract, score: Score, rows: Rows, *, metric: str, seed: int) -> Robustness:
    """Disturb the rows in every way, and measure.

    Parameters
    ----------
    contract : ServingContract
        Names the features, their ranges, and what may be missing or unseen. Its threshold decides.
    metric : str
        A loss that is a mean over rows, or ``rmse``.
    seed : int
        Of the rows that are drawn, the noise and the search.
    """
    rng = np.random.default_rng(seed)
    numbers, categories, left_out = _disturbed(contract)
    each = 3 * len(numbers) + 2 * len(categories) + 4
    count = int(np.clip(MOST_SCORED // max(1, each), FEWEST_ROWS, MOST_ROWS))
    if len(rows.labels) > count:
        rows = rows.at(np.sort(rng.choice(len(rows.labels), count, replace=False)))
    bench = _Bench(contract, score, rows, metric, score(rows.num, rows.cat))
    found = [
        *_missing(bench, numbers, categories),
        *_unseen(bench, categories),
        *_extreme(bench, numbers),
        *_noise(bench, rng),
        *_unit(bench, numbers),
        *_search(bench, rng),
    ]
    unlimited = [contract.numbers[place].name for place in numbers if _no_end(contract.numbers[place])]
    if unlimited:
        shown = ", ".join(unlimited[:5]) + (", …" if len(unlimited) > 5 else "")
        left_out.append(f"extremes of {shown}: no range is declared")
    loss = estimate(metric, rows.labels, bench.before).value
    return Robustness(metric, len(rows.labels), loss, tuple(found), tuple(left_out))


def _disturbed(contract: ServingContract) -> tuple[list[int], list[int], list[str]]:
    """The places of numbers and categories that are disturbed one by one, and what is left out."""
    numbers, categories = list(range(len(contract.numbers))), list(range(len(contract.categories)))
    if len(numbers) + len(categories) <= MOST_FEATURES:
        return numbers, categories, []
    kept = numbers[: max(0, MOST_FEATURES - len(categories[: MOST_FEATURES // 2]))]
    also = categories[: MOST_FEATURES - len(kept)]
    gone = len(numbers) + len(categories) - len(kept) - len(also)
    return kept, also, [f"{gone:,} features, one by one: the first {MOST_FEATURES} were disturbed"]


@dataclass(frozen=True)
class _Bench:
    """The undisturbed rows with their scores: what a disturbance is compared with."""

    contract: ServingContract
    score: Score
    rows: Rows
    metric: str
    before: np.ndarray

    def measured(
        self,
        kind: Kind,
        feature: str,
        told: str,
        num: np.ndarray,
        cat: np.ndarray,
        *,
        refused: np.ndarray | None = None,
    ) -> Disturbance:
        """What the changed rows lead to; ``refused`` are those that the contract does not take, bool [rows]."""
        kept = np.ones(len(num), dtype=bool) if refused is None else ~refused
        share = float(1 - kept.mean())
        if not kept.any():
            return Disturbance(kind, feature, told, 0, 1.0, None, None, None, None, None)
        after = np.full((len(num), *self.before.shape[1:]), np.nan)
        after[kept] = self.score(num[kept], cat[kept])
        return self.compared(kind, feature, told, kept, after, share)

    def compared(
        self, kind: Kind, feature: str, told: str, kept: np.ndarray, after: np.ndarray, refused: float
    ) -> Disturbance:
        """The scores of the ``kept`` rows before and after (of all rows), told as a disturbance."""
        answered = kept & _usable(after)
        unanswered = float(1 - answered.sum() / kept.sum())
        if not answered.any():
            return Disturbance(kind, feature, told, 0, refused, None, None, None, None, None, unanswered)
        rows, before, after = self.rows.at(np.flatnonzero(answered)), self.before[answered], after[answered]
        difference = paired_difference(
            estimate(self.metric, rows.labels, after), estimate(self.metric, rows.labels, before), rows.days
        )
        increase, low, high = difference.difference, difference.low, difference.high
        flipped = None
        if self.contract.is_classification:
            threshold = self.contract.threshold
            flipped = float(((after >= threshold) != (before >= threshold)).mean())
        elif self.contract.is_multiclass:
            flipped = float((after.argmax(axis=1) != before.argmax(axis=1)).mean())
        moved = float(_moves(before, after).mean())
        return Disturbance(kind, feature, told, len(after), refused, increase, low, high, moved, flipped, unanswered)


def _missing(bench: _Bench, numbers: Sequence[int], categories: Sequence[int]) -> Iterator[Disturbance]:
    for place in numbers:
        field = bench.contract.numbers[place]
        if field.missing == "allow":
            num = _with(bench.rows.num, place, np.nan)
            yield bench.measured("missing", field.name, f"{field.name} is missing", num, bench.rows.cat)
    for place in categories:
        category = bench.contract.categories[place]
        if category.missing == "allow":
            cat = _with(bench.rows.cat, place, "")
            yield bench.measured("missing", category.name, f"{category.name} is missing", bench.rows.num, cat)


def _unseen(bench: _Bench, categories: Sequence[int]) -> Iterator[Disturbance]:
    for place in categories:
        field = bench.contract.categories[place]
        if field.unseen == "accept":
            cat = _with(bench.rows.cat, place, _unknown(field))
            told = f"{field.name} has a value that training never saw"
            yield bench.measured("unseen", field.name, told, bench.rows.num, cat)


def _unknown(field: CategoryField) -> str:
    text = UNSEEN[: field.max_length]
    while text in field.values:
        text = text[:-1] + chr(ord(text[-1]) + 1)
    return text


def _extreme(bench: _Bench, numbers: Sequence[int]) -> Iterator[Disturbance]:
    for place in numbers:
        field = bench.contract.numbers[place]
        for word, end in (("least", field.min), ("most", field.max)):
            if end is not None:
                num = _with(bench.rows.num, place, end)
                told = f"{field.name} is {end:g}, the {word} that is declared"
                yield bench.measured("extreme", field.name, told, num, bench.rows.cat)


def _no_end(field: NumberField) -> bool:
    return field.min is None and field.max is None


def _noise(bench: _Bench, rng: np.random.Generator) -> Iterator[Disturbance]:
    spread = spreads(bench.rows.num)
    if not spread.any():
        return
    num = bench.rows.num + rng.normal(size=bench.rows.num.shape) * NOISE * spread
    told = f"each number moves at random, by about {NOISE:g} standard deviations"
    yield bench.measured("noise", "", told, _inside(num, bench.contract), bench.rows.cat)


def _unit(bench: _Bench, numbers: Sequence[int]) -> Iterator[Disturbance]:
    for place in numbers:
        field = bench.contract.numbers[place]
        column = bench.rows.num[:, place]
        present = column[np.isfinite(column)]
        if len(np.unique(present)) <= 2:
            # A flag has no unit.
            continue
        for told, factor, offset in _units_of(field.name):
            changed = column * factor + offset
            refused = _beyond(changed, field)
            num = bench.rows.num.copy()
            num[:, place] = changed
            words = f"{field.name} comes {told}"
            yield bench.measured("unit", field.name, words, num, bench.rows.cat, refused=refused)


def _units_of(name: str) -> list[tuple[str, float, float]]:
    found, lower = list(UNITS[:2]), name.lower()
    if lower.endswith(_FAHRENHEIT):
        found.append(UNITS[2])
    if lower.endswith(_CELSIUS):
        found.append(UNITS[3])
    return found


def _search(bench: _Bench, rng: np.random.Generator) -> Iterator[Disturbance]:
    rows, spread = bench.rows, spreads(bench.rows.num)
    if not spread.any():
        return
    chosen = np.sort(rng.choice(len(rows.labels), min(SEARCHED_ROWS, len(rows.labels)), replace=False))
    tried = rows.at(np.repeat(chosen, TRIES))
    steps = rng.uniform(-NOISE, NOISE, size=tried.num.shape) * spread
    shape = (len(chosen), TRIES, *bench.before.shape[1:])
    after = bench.score(_inside(tried.num + steps, bench.contract), tried.cat).reshape(shape)
    # The row as it was is one more try: a move that helps is none that an attacker makes. One without a score is the
    # worst there is.
    before = bench.before[chosen]
    usable = np.isfinite(after)
    answered = np.where(usable, after, before[:, None])
    losses = row_losses(bench.metric, tried.labels, answered.reshape(-1, *shape[2:])).reshape(shape[:2])
    own = row_losses(bench.metric, rows.labels[chosen], before)
    worst = losses.argmax(axis=1)
    hurt = losses.max(axis=1) > own
    scores = np.full(bench.before.shape, np.nan)
    scores[chosen] = before
    scores[chosen[hurt]] = answered[np.arange(len(chosen)), worst][hurt]
    scores[chosen[~usable.reshape(len(chosen), -1).all(axis=1)]] = np.nan
    kept = np.zeros(len(rows.labels), dtype=bool)
    kept[chosen] = True
    told = f"each row gets the worst of {TRIES} random moves of all numbers, by at most {NOISE:g} standard deviations"
    yield bench.compared("search", "", told, kept, scores, 0.0)


def _usable(scores: np.ndarray) -> np.ndarray:
    """Which rows have a score that can be answered, bool [rows]."""
    finite = np.isfinite(scores)
    return np.asarray(finite if finite.ndim == 1 else finite.all(axis=1))


def _moves(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far each score moved, float64 [rows]; of several classes the total variation between the probabilities."""
    apart = np.abs(after - before)
    return np.asarray(apart if apart.ndim == 1 else apart.sum(axis=1) / 2)


def spreads(num: np.ndarray) -> np.ndarray:
    """The standard deviation of each column without its missing values; 0 of a column with two values or fewer."""
    found = np.zeros(num.shape[1])
    for place, column in enumerate(num.T):
        present = column[np.isfinite(column)]
        # A flag does not move a little.
        if len(np.unique(present)) > 2:
            found[place] = float(present.std())
    return found


def _inside(num: np.ndarray, contract: ServingContract) -> np.ndarray:
    """The rows, moved to the ends of the declared ranges where they lie beyond."""
    low = np.array([-np.inf if field.min is None else field.min for field in contract.numbers])
    high = np.array([np.inf if field.max is None else field.max for field in contract.numbers])
    return np.asarray(np.clip(num, low, high))


def _beyond(column: np.ndarray, field: NumberField) -> np.ndarray:
    low, high = field.min, field.max
    with np.errstate(invalid="ignore"):
        below = np.zeros(len(column), dtype=bool) if low is None else column < low
        above = np.zeros(len(column), dtype=bool) if high is None else column > high
    return np.asarray(below | above | np.isinf(column))


def _with(values: np.ndarray, place: int, value: float | str) -> np.ndarray:
    changed: np.ndarray = values.copy()
    changed[:, place] = value
    return changed
