"""The error analysis on the page of a report."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from everloop.evaluation.error_report import Confusion, Dependence, Errors, WorstRow
from everloop.evaluation.learning_report import LearningCurve, more_rows
from everloop.evaluation.page_parts import note, table, text
from everloop.evaluation.plots import Bar, interval_bars, line
from everloop.numbers_of import number_of

MOST_FEATURES = 15
MOST_ROWS = 10
SHOWN_VALUES = 6
"""Of a worst row: those of the most important features."""


def errors_told(errors: Errors) -> Iterator[str]:
    """Where the model fails, and what its answers depend on."""
    if errors.confusion is not None:
        yield "<h2>Right and wrong decisions</h2>"
        yield _confusion(errors.confusion)
    if errors.importance:
        yield "<h2>What the answers depend on</h2>"
        bars = [Bar(one.feature, one.increase, one.low, one.high) for one in errors.importance[:MOST_FEATURES]]
        yield interval_bars(bars, f"{errors.metric} grows by, if the feature is dealt out to other rows")
        yield note(
            f"Measured on {number_of(errors.rows, 'test row')}. Features that say the same share their importance, and"
            " none of this is a cause."
        )
        if len(errors.importance) > MOST_FEATURES:
            yield note(f"The {MOST_FEATURES} most important of {len(errors.importance)} features are shown.")
        for feature, curves in groupby(errors.dependence, key=lambda one: one.feature):
            yield from _dependence(feature, list(curves))
    if errors.worst:
        yield "<h2>The worst answers</h2>"
        yield from _worst(errors)


def learning_told(curve: LearningCurve) -> Iterator[str]:
    """Whether more rows would help."""
    yield "<h2>Would more rows help?</h2>"
    if len(curve.points) > 1:
        points: list[tuple[str, float | None]] = [(f"{one.rows:,} rows", one.loss) for one in curve.points]
        yield line(points, f"{curve.metric} of models that learned from more and more rows")
    yield f"<p>{text(more_rows(curve))}</p>"
    yield note(
        f"Measured on {number_of(curve.validation_rows, 'training row')} of the newest days, which these models did not"
        " learn from."
    )
    for told in curve.left_out:
        yield note(f"Not learned {told}.")


def _confusion(found: Confusion) -> str:
    acted, passed = found.true_positives + found.false_positives, found.true_negatives + found.false_negatives
    rows = [
        ["acted on", f"{found.true_positives:,}", f"{found.false_positives:,}", f"{acted:,}"],
        ["left alone", f"{found.false_negatives:,}", f"{found.true_negatives:,}", f"{passed:,}"],
    ]
    told = note(f"A row is acted on from a score of {found.threshold:g} on.")
    return table(["decision", "came true", "did not", "rows"], rows) + told


def _dependence(feature: str, curves: list[Dependence]) -> Iterator[str]:
    if len(curves[0].values) > 1:
        yield f"<h3>{text(feature)}</h3>"
        for one in curves:
            what = f"mean probability of {one.of_class}" if one.of_class else "mean score"
            if one.of_class:
                yield note(f"The {what}:")
            yield line(list(zip(one.values, one.scores, strict=True)), f"{what} if all rows had this {feature}")


def _worst(errors: Errors) -> Iterator[str]:
    names = [one.feature for one in errors.importance[:SHOWN_VALUES]]
    rows = [_cells(one, names) for one in errors.worst[:MOST_ROWS]]
    told = ["outcome", "answered", "probability of the outcome"] if errors.worst[0].came else ["outcome", "score"]
    yield table(["day", *told, *names], rows)
    yield note(
        f"The {number_of(len(rows), 'test row')} with the largest loss, with the most important features. Personal"
        " features are masked, and the rows' keys are not kept."
    )


def _cells(one: WorstRow, names: list[str]) -> list[str]:
    told = [one.came, one.answered] if one.came else [f"{one.outcome:g}"]
    return [one.day, *told, f"{one.score:.3g}", *(one.features.get(name, "") for name in names)]
