"""The gate on ranking: told with every verdict where ``problem.ranking`` is declared, judged by ``gate.ranking``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.measured import MetricValue, PairedDifference
from everloop.evaluation.ranking_report import Ranking
from everloop.evaluation.report import Report
from everloop.numbers_of import number_of
from everloop.reasons import Reason, checked
from everloop.statistics.student_t import t_quantile

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate


def on_ranking(report: Report, policy: Gate, champion_version: int | None) -> Iterator[Reason]:
    """How the candidate orders rows, and whether that is what ``gate.ranking`` asks for."""
    found, asked = report.ranking, policy.ranking
    if found is not None:
        yield checked("ranking", True, _told(found, judged=asked is not None))
    if asked is None:
        return
    if found is None or asked.metric not in found.candidate:
        sentence = f"The report does not say the candidate's {asked.metric}, and gate.ranking is declared."
        yield checked("ranking", False, sentence)
        return
    terms = asked.metric, policy.confidence
    yield _judged(*terms, "baseline", found.paired_baseline.get(asked.metric), asked.baseline_margin, better=True)
    if champion_version is None or report.champion_rows == 0:
        # As in money: the check of the rows says why there is nothing to compare with.
        return
    beside = None if found.paired_champion is None else found.paired_champion.get(asked.metric)
    yield _judged(*terms, "champion", beside, asked.margin, better=asked.policy == "better")


def _judged(
    metric: str, confidence: float, other: str, paired: PairedDifference | None, margin: float, *, better: bool
) -> Reason:
    """Whether the lower bound of candidate less other is above ``margin``, or not below its negative."""
    code = f"ranking_{'better' if better else 'not_worse'}_than_{other}"
    if paired is None or paired.standard_error is None or paired.degrees_of_freedom < 1:
        why = f"the report has no comparison with the {other}" if paired is None else paired.reason
        return checked(code, False, f"The candidate's {metric} can't be judged: {why}.")
    least = paired.difference - t_quantile(confidence, paired.degrees_of_freedom) * paired.standard_error
    passed = least > margin if better else least >= -margin
    wanted = f"more than {margin:.4g}" if better else f"at least {-margin if margin else 0:.4g}"
    sentence = (
        f"List by list the candidate's {metric} minus the {other}'s is {paired.difference:+.4g}, and at least"
        f" {least:+.4g} with {100 * confidence:.6g}% confidence; required is {wanted}."
    )
    return checked(code, passed, sentence, least, margin if better else -margin)


def _told(found: Ranking, *, judged: bool) -> str:
    figures = "; ".join(
        f"{name} {_value(value)}, baseline {_value(found.baseline[name])}" for name, value in found.candidate.items()
    )
    told = f"On {number_of(found.lists, 'list')} ({found.group}, first {found.at}): {figures}."
    return told if judged else f"{told} It decides nothing, because gate.ranking is not declared."


def _value(found: MetricValue) -> str:
    return "not known" if found.value is None else f"{found.value:.4g}"
