"""The gate on the standing set: whether a candidate has forgotten what the champion still answers.

The champion counts as better only where that is shown: the lower bound of the difference, at ``gate.confidence``, has
to be beyond ``gate.standing.max_increase``. So a candidate that is not worse by more is refused in at most
1 - ``gate.confidence`` of all evaluations. Where no bound is known, the reason says so and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.report import Report
from everloop.evaluation.slice_bounds import of_difference
from everloop.evaluation.standing_report import StandingFacts
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

SET, WORSE = "standing_set", "standing_worse_than_champion"


def on_standing(
    report: Report, policy: Gate, chosen_sha256: str | None, champion_version: int | None
) -> Iterator[Reason]:
    """Whether the candidate is not shown to be worse than the champion by more than is declared.

    Parameters
    ----------
    chosen_sha256 : str or None
        Over the files of the set that the registry has; None where none has been chosen yet.
    """
    if policy.standing is None:
        return
    if chosen_sha256 is None:
        yield checked(SET, True, "No standing set is chosen yet: the next training chooses it.")
        return
    found = report.standing
    if found is None:
        yield checked(SET, False, "The report does not say how the candidate does on the standing set.")
        return
    if (found.sha256, found.metric) != (chosen_sha256, policy.metric):
        sentence = (
            f"The report is about a standing set with sha256 {found.sha256} in {found.metric}, and the registry has"
            f" {chosen_sha256}, to be judged in {policy.metric}: evaluate again."
        )
        yield checked(SET, False, sentence)
        return
    if champion_version is None:
        yield checked(SET, True, f"{_alone(found)} There is no champion that could be forgotten.")
        return
    yield _judged(found, policy.standing.max_increase, policy.confidence, champion_version)


def _judged(found: StandingFacts, limit: float, confidence: float, champion_version: int) -> Reason:
    paired = found.paired
    if paired is None or found.champion_version != champion_version:
        why = found.why or f"the report does not compare the candidate with version {champion_version} there"
        # What is not said is no comparison that can't be made: without its cause it refuses.
        return checked(SET, bool(found.why), f"{_alone(found)} Whether it forgets can't be judged: {why}.")
    bounded = of_difference(paired)
    least = bounded.at_least(confidence)
    if least is None:
        why = bounded.why or "the rows give no interval"
        return checked(SET, True, f"{_alone(found)} Whether it forgets can't be judged: {why}.")
    worse = least > limit
    told = (
        f"On {found.told} the candidate's {found.metric} minus the champion's is {paired.difference:+.4g}, and at least"
        f" {least:+.4g} with {100 * confidence:.6g}% confidence; at most {limit:.4g} is allowed"
    )
    end = ": it has forgotten what the champion still answers." if worse else "."
    return checked(WORSE, not worse, f"{told}{end}", least, limit)


def _alone(found: StandingFacts) -> str:
    value = None if found.candidate is None else found.candidate.value
    figure = "not known" if value is None else f"{value:.4g}"
    return f"On {found.told} the candidate's {found.metric} is {figure}."
