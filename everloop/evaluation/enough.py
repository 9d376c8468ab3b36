"""Whether there are test rows enough to judge a model by: rows, days, and rows of each class.

What did not fall into the test part is seen by no statistic. So each is compared with what the declared confidence
takes, and a verdict says what it can have missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, days_needed, rarest_seen, rows_needed
from everloop.evaluation.report import Report
from everloop.numbers_of import number_of
from everloop.problem_types import BINARY, MULTICLASS
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

_MORE_ROWS = "Declare more data.split.test_days, or train again when more labels have arrived."


def enough_to_judge(report: Report, policy: Gate, champion_version: int | None) -> Iterator[Reason]:
    """The checks of the test part's size; ``champion_version`` is whom the candidate must be compared with."""
    yield _test_rows(report, policy)
    yield from _rows_and_days(report, policy, champion_version)
    yield from _classes(report, champion_version)


def _test_rows(report: Report, policy: Gate) -> Reason:
    enough = report.rows >= policy.minimum_test_rows
    sentence = (
        f"There {'is' if report.rows == 1 else 'are'} {number_of(report.rows, 'test row')} of "
        f"{number_of(report.days, 'day')}; at least "
        f"{number_of(policy.minimum_test_rows, 'row is', 'rows are')} required."
    )
    if not enough and report.rows and report.days:
        days = math.ceil(policy.minimum_test_rows * report.days / report.rows)
        sentence += (
            f" That is about {number_of(days, 'day')} of such rows: add history and declare as many"
            " data.split.test_days, or declare a lower gate.minimum_test_rows, which proves less."
        )
    return checked(
        "minimum_test_rows",
        enough,
        sentence,
        report.rows,
        policy.minimum_test_rows,
    )


def _rows_and_days(report: Report, policy: Gate, champion_version: int | None) -> Iterator[Reason]:
    """Whether what matters can have happened: a kind of row that none is of, and a day like no other, are not seen."""
    yield _rarest_fault(report, policy, champion_version)
    days = days_needed(policy.confidence)
    paired = report.paired_champion
    compared = report.days if champion_version is None or paired is None else min(report.days, paired.days)
    if compared < days:
        where = (
            "The test rows are" if compared == report.days else "The test rows that the champion has not learned are"
        )
        sentence = (
            f"{where} of {number_of(compared, 'day')}: too few to know how days differ. At least {days:,} are"
            f" required at {100 * policy.confidence:.6g}% confidence. {_MORE_ROWS}"
        )
        yield checked("too_few_days", False, sentence, compared, days)


def _rarest_fault(report: Report, policy: Gate, champion_version: int | None) -> Reason:
    """What the test part can miss, as a sentence; a refusal where that is more than declared."""
    rows = report.rows
    if champion_version is not None and report.champion_rows is not None:
        rows = min(rows, report.champion_rows)
    needed, how = rows_needed(policy.confidence, policy.rarest_fault), f"{100 * policy.confidence:.6g}% confidence"
    declared = f"gate.rarest_fault {policy.rarest_fault:g}"
    if rows >= needed:
        part = "this test part of" if rows == report.rows else "what the champion has not learned of the test part,"
        missed = _in_a_thousand(rarest_seen(policy.confidence, rows))
        sentence = (
            f"An error that hits fewer than {missed} rows can be missed by {part} {told_rows(rows)} ({how}). "
            f"{declared} requires {needed:,}."
        )
        return checked("rarest_fault", True, sentence, rows, needed)
    required = (
        f"at least {needed:,} are required at {how}. An error that hits {_in_a_thousand(policy.rarest_fault)} rows"
        f" ({declared}) may be missing if there are fewer."
    )
    if rows < report.rows:
        sentence = (
            f"The champion has not learned from {told_rows(rows)} of the test part: too few for a comparison,"
            f" {required} Train again when more labels have arrived."
        )
    else:
        sentence = f"The test part has {told_rows(rows)}: too few to judge a model; {required} {_MORE_ROWS}"
    return checked("too_few_rows", False, sentence, rows, needed)


def _in_a_thousand(share: float) -> str:
    """The share with two digits, rounded up: "1.8 in 1,000", or of a million where it is small."""
    of = 1_000 if share >= 1e-4 else 1_000_000
    number = share * of
    scale = 10.0 ** (1 - math.floor(math.log10(number)))
    return f"{math.ceil(number * scale - 1e-9) / scale:g} in {of:,}"


def _classes(report: Report, champion_version: int | None) -> Iterator[Reason]:
    """Whether there are rows enough of each class: what a model does to positives is not seen without any."""
    if report.problem_type == MULTICLASS:
        yield from _several_classes(report, champion_version)
        return
    if report.problem_type != BINARY:
        return
    if report.classes is None:
        yield checked("rows_of_each_class", False, "The report does not say how many test rows each class has.")
        return
    found = (
        (1, report.classes.ones, report.classes.days_with_ones),
        (0, report.classes.zeros, report.classes.days_with_zeros),
    )
    label, rows, days = min(found, key=lambda one: one[1])
    yield _rows_of_a_class(
        f"{told_rows(rows)} of class {label}, on {days} of {number_of(report.days, 'day')}", rows, "The test part"
    )
    champion = None if report.paired_champion is None else report.paired_champion.parts
    if champion_version is not None and champion is not None and champion.counted < min(rows, FEWEST_OF_A_CLASS):
        told = f"{told_rows(champion.counted)} of the rarer class"
        yield _rows_of_a_class(told, champion.counted, "The part on which the champion is compared")


def _several_classes(report: Report, champion_version: int | None) -> Iterator[Reason]:
    if report.multiclass is None:
        yield checked("rows_of_each_class", False, "The report does not say how many test rows each class has.")
        return
    rarest = min(report.multiclass.classes, key=lambda one: one.rows)
    told = f"{told_rows(rarest.rows)} of class {rarest.name}, on {rarest.days} of {number_of(report.days, 'day')}"
    yield _rows_of_a_class(told, rarest.rows, "The test part")
    compared = report.multiclass.compared_rows
    if champion_version is not None and compared is not None and compared < min(rarest.rows, FEWEST_OF_A_CLASS):
        told = f"{told_rows(compared)} of the rarest class"
        yield _rows_of_a_class(told, compared, "The part on which the champion is compared")


def _rows_of_a_class(told: str, rows: int, where: str) -> Reason:
    if rows >= FEWEST_OF_A_CLASS:
        sentence = f"{where} has {told}; at least {FEWEST_OF_A_CLASS} are required."
        return checked("rows_of_each_class", True, sentence, rows, FEWEST_OF_A_CLASS)
    sentence = (
        f"{where} has {told}: too few to judge a model; at least {FEWEST_OF_A_CLASS} are required. Declare more"
        " data.split.test_days, or train again when more labels have arrived."
    )
    return checked("too_few_of_a_class", False, sentence, rows, FEWEST_OF_A_CLASS)


def told_rows(count: int) -> str:
    """A number of rows, in words."""
    return number_of(count, "row")
