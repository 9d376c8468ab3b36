"""The rules that a training set keeps as a whole, told from what was counted of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import SplitError
from everloop.dataset.violations import Violation
from everloop.evaluation.bounds import FEWEST_OF_A_CLASS
from everloop.instants import format_instant
from everloop.numbers_of import number_of

if TYPE_CHECKING:
    from everloop.dataset.held_groups import HeldGroups
    from everloop.model_file.schema import ModelDeclaration


def size_violations(declaration: ModelDeclaration, rows: int, missing: Mapping[str, int]) -> list[Violation]:
    """Too few rows, and features that too many rows lack.

    Parameters
    ----------
    rows : int
        Labelled ones.
    missing : mapping
        Of each feature, the rows that lack it.
    """
    data, found = declaration.data, []
    if rows < data.minimum_rows:
        sentence = f"{number_of(rows, 'labelled row')}; at least {data.minimum_rows} are required (data.minimum_rows)"
        found.append(Violation("minimum_rows", "", rows, sentence))
    if not rows:
        return found
    for feature in data.features:
        lacking = missing[feature.name]
        if feature.missing == "allow" and lacking / rows > feature.max_missing_rate:
            sentence = f"{lacking / rows:.1%} is missing; at most {feature.max_missing_rate:.1%} may be"
            found.append(Violation("missing_rate", feature.name, lacking, sentence))
    return found


def alike_violations(
    count: int, lowest: float | None, highest: float | None, rows: str, *, classification: bool
) -> list[Violation]:
    """Told where all of some rows' labels are the same, before a model learns that nothing else happens.

    Parameters
    ----------
    count : int
        How many rows.
    lowest, highest : float or None
        Of their finite labels; None where there is none.
    rows : str
        Which rows they are, e.g. ``rows to train on``.
    """
    if lowest is None or lowest != highest or (classification and lowest not in (0, 1)):
        return []
    if not classification:
        sentence = (
            f"every label of the {count:,} {rows} is {lowest:.15g}, so there is nothing to learn. Check "
            "that `data.target` is the column with the outcome, and that the sender of the labels sends real "
            "outcomes, not a default. If both are right, add older rows, or train again when other values have "
            "arrived"
        )
        return [Violation("one_value", "label", count, sentence)]
    there, absent = int(lowest), 1 - int(lowest)
    others = ("zeros", "ones")[absent]
    sentence = (
        f"every label of the {count:,} {rows} is {there}, so there is nothing to learn: no label of class "
        f"{absent} arrived for them. If only outcomes of {there} are sent, send the {others} too. If {others} are "
        "rare, add older rows, or train again when some have arrived"
    )
    return [Violation("one_class", "label", count, sentence)]


def balance_violations(positives: int, rows: int, limits: tuple[float, float]) -> list[Violation]:
    """A share of positive labels that was not declared."""
    rate = positives / rows
    if limits[0] <= rate <= limits[1]:
        return []
    sentence = f"{rate:.2%} of the labels are 1; declared is {limits[0]:.2%} to {limits[1]:.2%}"
    return [Violation("label_balance", "label", positives, sentence)]


def class_violations(declaration: ModelDeclaration, counts: Sequence[int], rows: str) -> list[Violation]:
    """Classes that have too few rows, or another share of them than is declared.

    Parameters
    ----------
    counts : sequence of int
        Of each declared class, its rows.
    rows : str
        Which rows they are, e.g. ``rows to train on``.
    """
    found, total = [], sum(counts)
    for name, count in zip(declaration.problem.classes or [], counts, strict=True):
        if count < FEWEST_OF_A_CLASS:
            sentence = (
                f"{number_of(count, 'row')} of the {total:,} {rows} {'is' if count == 1 else 'are'} of class {name}; at"
                f" least {FEWEST_OF_A_CLASS} are required. Add older rows, train again when more have arrived, or join"
                " the class with another one in problem.classes"
            )
            found.append(Violation("class_too_small", "label", count, sentence))
            continue
        low, high = declaration.data.class_shares.get(str(name), (0.0, 1.0))
        if not low <= count / total <= high:
            sentence = f"{count / total:.2%} of the {rows} are of class {name}; declared is {low:.2%} to {high:.2%}"
            found.append(Violation("label_balance", "label", count, sentence))
    return found


def age_violations(newest: datetime | None, declaration: ModelDeclaration, as_of: datetime) -> list[Violation]:
    """Whether labelled rows stopped coming: the newest is held against the last whose outcome has to be known.

    Parameters
    ----------
    newest : datetime or None
        The newest labelled row's instant.
    """
    limit = declaration.data.max_age_hours
    if limit is None or newest is None:
        return []
    due = as_of.astimezone(UTC) - timedelta(hours=declaration.data.label_lag_hours)
    age = (due - newest) / timedelta(hours=1)
    if age <= limit:
        return []
    sentence = (
        f"the newest labelled row, of {format_instant(newest)}, is {age:.1f} hours older than it could be; at most "
        f"{limit:g} are allowed (data.max_age_hours)"
    )
    return [Violation("too_old", "time", 1, sentence)]


def all_test(rows: int, oldest: str, newest: str, test_days: int) -> SplitError:
    """Every row is so young that it is kept for the test."""
    return SplitError(
        f"{number_of(rows, 'labelled row')}, {oldest} to {newest}: all are in the last "
        f"{number_of(test_days, 'day')}, which are kept for the test. Add older rows, or declare fewer "
        "data.split.test_days"
    )


def no_rows() -> SplitError:
    """There is nothing to split."""
    return SplitError("there are no labelled rows to split: send labels, or import rows with a target")


def none_standing(period: str, days: int) -> SplitError:
    """The period of the standing set has no row."""
    return SplitError(
        f"no labelled row is of the {number_of(days, 'day')} before the test part ({period}), which the standing set is"
        " to be made of: declare more gate.standing.days, or add rows of these days"
    )


def all_held_out(period: str, days: int, rows: int) -> SplitError:
    """Every row before the test part is of the standing set."""
    return SplitError(
        f"{number_of(rows, 'labelled row')} before the test part, and all are of the standing set's period ({period}),"
        f" which no training learns from: add older rows, or declare fewer than {days} gate.standing.days before the"
        " set is chosen, or a longer data.training_window_days afterwards"
    )


def none_held(held: HeldGroups, rows: int) -> SplitError:
    """No row of the test part is of a held-out group: nothing shows how a model answers for an unknown one."""
    return SplitError(
        f"none of {number_of(rows, 'test row')} is of a held-out group of {held.column}, which are to be about"
        f" {held.share:.0%} of them: declare more data.split.test_days, a larger data.split.share, or another"
        " data.split.group with more and smaller groups"
    )


def all_unlearned(held: HeldGroups) -> SplitError:
    """Every row before the test part is of a held-out group."""
    return SplitError(
        "no row before the test part is left to learn from: all that there are, are of held-out groups of"
        f" {held.column}. Add rows of more groups, or declare a smaller data.split.share"
    )
