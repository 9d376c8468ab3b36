"""The gate on slices: whether a part of the rows pays for the mean.

``gate.slices.require`` says what counts:

- ``not_broken``: no slice is shown to break a limit. Of all slices and limits together, one that keeps its limit is
  taken for broken with at most 1 - ``gate.confidence`` (Holm's procedure).
- ``estimate``: the figures on the test rows keep every limit, whatever their error is.
- ``kept``: every slice is shown to keep every limit, each at ``gate.confidence``. As all have to be shown, testing many
  makes no wrong pass likelier (R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics
  24, 1982).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.evaluation.report import Report
from everloop.evaluation.slice_bounds import Bounded, of_difference, of_metric
from everloop.evaluation.slice_report import SliceFacts, Slices
from everloop.numbers_of import number_of
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

MOST_NAMED = 5
"""Broken slices that get a reason each; of more it is said how many."""


@dataclass(frozen=True)
class _Hypothesis:
    """That a slice keeps a limit."""

    code: str
    told: str
    name: str
    found: Bounded
    limit: float


def on_slices(report: Report, policy: Gate, champion_version: int | None) -> Iterator[Reason]:
    """Whether every slice keeps the declared limits."""
    asked = policy.slices
    if asked is None:
        return
    slices = report.slices
    if slices is None:
        yield checked("slices", False, "The report does not say how the candidate does on slices of the rows.")
        return
    if slices.metric != policy.metric or slices.minimum_rows != asked.minimum_rows:
        yield checked(
            "slices",
            False,
            f"The report has slices of {slices.minimum_rows:,} rows or more in {slices.metric}, and gate.slices asks"
            f" for {asked.minimum_rows:,} in {policy.metric}: evaluate again.",
        )
        return
    yield checked("slices", True, _told(slices))
    hypotheses = list(_hypotheses(slices, policy, champion_version))
    if not hypotheses:
        return
    broken, unknown = _broken(hypotheses, asked.require, policy.confidence)
    for one in broken[:MOST_NAMED]:
        yield _refused(one, asked.require, policy.confidence, len(hypotheses))
    if len(broken) > MOST_NAMED:
        yield checked("slice_limits", False, f"{len(broken) - MOST_NAMED} more slices break a limit.")
    if not broken:
        yield checked("slice_limits", True, _kept(hypotheses, unknown, asked.require, policy.confidence))


def _hypotheses(slices: Slices, policy: Gate, champion_version: int | None) -> Iterator[_Hypothesis]:
    asked, metric = policy.slices, policy.metric
    assert asked is not None
    for one in slices.judged:
        if asked.max_loss is not None and one.candidate is not None:
            yield _Hypothesis("slice_loss", metric, one.name, of_metric(one.candidate), asked.max_loss)
        if asked.max_worse_than_baseline is not None:
            told = f"{metric} minus the baseline's"
            yield _beside(one, "baseline", told, asked.max_worse_than_baseline)
        if asked.max_worse_than_champion is not None and champion_version is not None:
            told = f"{metric} minus the champion's"
            yield _beside(one, "champion", told, asked.max_worse_than_champion)


def _beside(one: SliceFacts, other: str, told: str, limit: float) -> _Hypothesis:
    paired = one.paired_baseline if other == "baseline" else one.paired_champion
    why = one.champion_reason if other == "champion" else ""
    unknown = Bounded(None, None, 0, None, why or f"it was not compared with the {other}")
    found = unknown if paired is None else of_difference(paired)
    return _Hypothesis(f"slice_worse_than_{other}", told, one.name, found, limit)


def _broken(
    hypotheses: Sequence[_Hypothesis], require: str, confidence: float
) -> tuple[list[_Hypothesis], list[_Hypothesis]]:
    """Those that break their limit, and those of which that is not known."""
    if require == "estimate":
        broken = [one for one in hypotheses if one.found.value is not None and one.found.value > one.limit]
        return broken, [one for one in hypotheses if one.found.value is None]
    if require == "kept":
        bounds = [(one, one.found.at_most(confidence)) for one in hypotheses]
        return [one for one, bound in bounds if bound is None or bound > one.limit], []
    left = [one for one in hypotheses if one.found.at_least(confidence) is not None]
    unknown = [one for one in hypotheses if one.found.at_least(confidence) is None]
    found: list[_Hypothesis] = []
    while left:
        each = 1 - (1 - confidence) / len(left)
        now = [one for one in left if (bound := one.found.at_least(each)) is not None and bound > one.limit]
        if not now:
            break
        found += now
        gone = {id(one) for one in now}
        left = [one for one in left if id(one) not in gone]
    return found, unknown


def _refused(one: _Hypothesis, require: str, confidence: float, tested: int) -> Reason:
    value = one.found.value
    figure = "not known" if value is None else f"{value:+.4g}" if "minus" in one.told else f"{value:.4g}"
    told = f"On the rows with {one.name} the candidate's {one.told} is {figure}"
    if require == "kept":
        bound = one.found.at_most(confidence)
        why = f", {one.found.why or 'too few rows of a class'}" if bound is None else ""
        at = "" if bound is None else f", and at most {bound:.4g} with {100 * confidence:.6g}% confidence"
        sentence = f"{told}{at}{why}; required is at most {one.limit:.4g}."
        return checked(one.code, False, sentence, value if bound is None else bound, one.limit)
    if require == "estimate":
        return checked(one.code, False, f"{told}; at most {one.limit:.4g} is allowed.", value, one.limit)
    bound = one.found.at_least(1 - (1 - confidence) / tested)
    least = "" if bound is None or bound <= one.limit else f", at least {bound:.4g}"
    sentence = (
        f"{told}{least}; at most {one.limit:.4g} is allowed. That it is more is shown with {100 * confidence:.6g}%"
        f" confidence, with {number_of(tested, 'comparison')} accounted for."
    )
    return checked(one.code, False, sentence, value, one.limit)


def _kept(hypotheses: Sequence[_Hypothesis], unknown: Sequence[_Hypothesis], require: str, confidence: float) -> str:
    count = number_of(len(hypotheses), "comparison")
    sure = f"{100 * confidence:.6g}%"
    told = {
        "not_broken": f"No slice is shown to break a limit: {count} together, with {sure} confidence.",
        "estimate": f"The figures of all slices keep the limits: {count}.",
        "kept": f"Every slice is shown to keep the limits, each with {sure} confidence: {count}.",
    }[require]
    if unknown:
        first = unknown[0]
        why = first.found.why or "too few rows of a class"
        told += f" {number_of(len(unknown), 'of them is', 'of them are')} not known, e.g. of {first.name}: {why}."
    return told


def _told(slices: Slices) -> str:
    judged = slices.judged
    small = [one for one in slices.slices if one.reason]
    told = f"{number_of(len(judged), 'slice')} of {slices.minimum_rows:,} rows or more were measured"
    if small:
        names = ", ".join(f"{one.name} ({number_of(one.rows, 'row')})" for one in small[:3])
        more = "" if len(small) <= 3 else ", …"
        told += f", and {number_of(len(small), 'smaller one was', 'smaller ones were')} not judged: {names}{more}"
    if slices.worst is None or slices.worst_at_least is None:
        return f"{told}. No worst slice can be named: none has an interval."
    worst = next(one for one in slices.slices if one.name == slices.worst)
    value = None if worst.candidate is None else worst.candidate.value
    figure = "" if value is None else f" of {value:.4g}"
    return (
        f"{told}. The worst is {slices.worst} ({number_of(worst.rows, 'row')}), with a {slices.metric}{figure}, at"
        f" least {slices.worst_at_least:.4g} (95%, all slices accounted for)."
    )
