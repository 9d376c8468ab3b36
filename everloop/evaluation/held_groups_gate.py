"""The gate on held-out groups: whether they are the declared ones, and enough of them to know how groups differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.dataset.held_groups import HeldGroups
from everloop.evaluation.bounds import days_needed
from everloop.evaluation.held_groups_report import HeldGroupsFacts
from everloop.evaluation.report import Report
from everloop.numbers_of import number_of
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

HELD, FEW, COMPARED = "held_groups", "too_few_groups", "champion_groups"


def on_held_groups(
    report: Report, policy: Gate, declared: HeldGroups | None, champion_version: int | None
) -> Iterator[Reason]:
    """Whether the candidate was judged by the declared groups, and by enough of them.

    A few groups can't show how groups differ, as a few days can't show how days do: as many are required.
    """
    found = report.held_groups
    told = None if found is None else (found.column, found.share)
    wanted = None if declared is None else (declared.column, declared.share)
    if told != wanted:
        sentence = f"The report is about {_named(told)}, and data.split declares {_named(wanted)}: evaluate again."
        yield checked(HELD, False, sentence)
        return
    if found is None:
        return
    needed = days_needed(policy.confidence)
    yield checked(
        FEW if found.groups < needed else HELD,
        found.groups >= needed,
        f"The candidate is judged on {report.rows:,} of {found.test_rows:,} test rows: those of"
        f" {number_of(found.groups, 'group')} of {found.column} from which no training learns; at least {needed} are"
        f" required at {100 * policy.confidence:.6g}% confidence."
        f"{_beside(report, policy, found)}{_remedy(found, needed)}",
        found.groups,
        needed,
    )
    if champion_version is not None and found.champion_basis is not None:
        yield _compared(found, needed, champion_version)


def _named(held: tuple[str, float] | None) -> str:
    return "no held-out groups" if held is None else f"{held[1]:.0%} of the groups of {held[0]}"


def _remedy(found: HeldGroupsFacts, needed: int) -> str:
    if found.groups >= needed:
        return ""
    return " Declare a larger data.split.share, more data.split.test_days, or a data.split.group with smaller groups."


def _beside(report: Report, policy: Gate, found: HeldGroupsFacts) -> str:
    ours = report.candidate.get(policy.metric)
    if ours is None or ours.value is None or found.known is None or found.known.value is None:
        return ""
    return (
        f" Its {policy.metric} there is {ours.value:.4g}; on {number_of(found.known_rows, 'test row')} of groups that"
        f" it has learned from it is {found.known.value:.4g}."
    )


def _compared(found: HeldGroupsFacts, needed: int, version: int) -> Reason:
    groups = found.champion_groups or 0
    if found.champion_basis == "held_out":
        sentence = (
            f"Neither the candidate nor the champion, version {version}, has learned from the"
            f" {number_of(groups, 'group')} on which the two are compared"
        )
    else:
        sentence = (
            f"The champion, version {version}, has learned from groups that are held out now, so the two are compared"
            f" on newer rows of {number_of(groups, 'group')} from which both have learned"
        )
    enough = groups >= needed
    return checked(COMPARED, enough, f"{sentence}; at least {needed} are required.", groups, needed)
