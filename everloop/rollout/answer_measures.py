"""What a rollout is judged by beside its metrics: what both versions answer to what callers asked, and what came of it.

Each measure compares rows with themselves, as both versions answer them (:mod:`everloop.rollout.answered`), and bets on
its limit being broken (:mod:`everloop.statistics.mean_bets`), in the order in which rows, or their labels, came. So it
may be looked at as often as one likes, and a measure has the whole of its share for all looks of a phase. Rows of one
request count as one value, their mean.

A measure says what difference it would have found. It can't judge while that is more than :data:`COARSEST` times the
limit, or while nothing could be found at all.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.numbers_of import number_of
from everloop.problem_types import MULTICLASS
from everloop.reasons import Reason
from everloop.rollout.answered import Answered, ComparedRow
from everloop.rollout.business import differences
from everloop.rollout.looks import Look
from everloop.rollout.losses import Loss
from everloop.rollout.measures import NOT_JUDGED
from everloop.statistics.evidence import Evidence, gathered
from everloop.statistics.mean_bets import WEIGHTS, above_mean

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail
    from everloop.model_file.sections.rollout import BusinessGuardrail

COARSEST = 3.0
"""So many times its limit a difference may be before a measure that would not find it says that it can't judge."""

BLOCK_MS = 60_000
"""Values of one minute are one block."""

CUTS = 9
"""Places at which scores are compared: between scores at the deciles of what the champion said first."""

_LEAST_SHARE = -1.0
"""What bets on a share take for its least value, as those on a difference of shares do: bets stay fair, if smaller."""

FIRST_ROWS = 50
"""Rows of the phase that fix the places, and tell nothing else."""


@dataclass(frozen=True)
class Judged:
    """What was found of all measures: limits that are broken, and what is told where none is."""

    broken: tuple[Reason, ...] = ()
    told: tuple[Reason, ...] = ()


NOTHING_JUDGED = Judged()

Block = Sequence[float]
"""Values of one minute, each of one request."""


def judge(guardrail: Guardrail, look: Look, answered: Answered | None, loss: Loss, *, bake: bool = False) -> Judged:
    """Every declared measure of answers.

    Parameters
    ----------
    answered : Answered or None
        None where nothing is declared.
    loss : Loss
        Of an answer, once its label is known.
    bake : bool
        Whether the phase is the bake, in which every caller is answered by one version.
    """
    if answered is None:
        return NOTHING_JUDGED
    found = list(_each(guardrail, look, answered, loss, bake))
    broken = tuple(reason for reason, is_broken in found if is_broken)
    return Judged(broken, tuple(reason for reason, is_broken in found if not is_broken))


def _each(
    guardrail: Guardrail, look: Look, answered: Answered, loss: Loss, bake: bool
) -> Iterator[tuple[Reason, bool]]:
    if guardrail.scores is not None:
        yield score_distance(guardrail.scores.max_distance, look, answered, loss.kind)
    if guardrail.disagreement is not None:
        yield disagreement(guardrail.disagreement.max_share, look, answered)
    if guardrail.quality is not None:
        yield added_loss(guardrail.quality.max_added_loss, look, answered, loss)
    if guardrail.business is not None:
        yield business_drop(guardrail.business, look, answered, loss.kind, bake=bake)


def score_distance(limit: float, look: Look, answered: Answered, problem: str) -> tuple[Reason, bool]:
    """How far the scores of both versions lie apart, and whether that is beyond the limit.

    It is the largest difference between the shares of their scores above any of a few places (of several classes,
    between the shares of any class): the Kolmogorov-Smirnov distance there.
    """
    name = "score_distance"
    rows = [row for row in answered.rows if row.at >= 0]
    cuts = _cuts(rows[:FIRST_ROWS], problem)
    later = rows[FIRST_ROWS:]
    if not later:
        return _unable(name, answered, f"{number_of(len(rows), 'row')} came, and {FIRST_ROWS} fix what is compared")
    level = look.watching(name) / len(cuts) / 2
    found: list[tuple[float, Evidence, _Side]] = []
    for cut, sign in ((cut, sign) for cut in cuts for sign in (1.0, -1.0)):
        side = _Side(cut, sign, problem == MULTICLASS)
        blocks = list(_blocks((row.at, row.request, side.value(row)) for row in later))
        found.append((_mean(blocks), _evidence(blocks, limit, -1.0), side))
    mean, evidence, side = max(found, key=lambda one: (one[1].log_stake, one[0]))
    if evidence.is_enough(level):
        blocks = list(_blocks((row.at, row.request, side.value(row)) for row in later))
        loud = _mean(blocks[evidence.begin : evidence.end])
        sentence = (
            f"{side.says(loud)} than of the champion's, on {number_of(_count(blocks, evidence), 'request')} that both"
            f" answered; allowed is {limit:.1%}: {_odds(evidence.to_one / len(cuts) / 2)}"
        )
        return Reason(name, sentence, loud, limit), True
    mean, _, side = max(found, key=lambda one: one[0])
    blocks = list(_blocks((row.at, row.request, side.value(row)) for row in later))
    return _kept(
        name, f"the distributions of both versions' scores are {mean:.1%} apart", blocks, mean, limit, -1.0, level
    )


def disagreement(limit: float, look: Look, answered: Answered) -> tuple[Reason, bool]:
    """How often both versions decide the same row otherwise, and whether that is beyond the limit."""
    name, level = "disagreement", look.watching("disagreement")
    blocks = list(_blocks((row.at, row.request, float(row.disagree)) for row in answered.rows if row.at >= 0))
    if not blocks:
        return _unable(name, answered, "no row came")
    evidence = _evidence(blocks, limit, _LEAST_SHARE)
    if evidence.is_enough(level):
        loud = _mean(blocks[evidence.begin : evidence.end])
        sentence = (
            f"{loud:.1%} of rows are decided otherwise than by the champion, on"
            f" {number_of(_count(blocks, evidence), 'request')} that both answered; allowed is {limit:.1%}:"
            f" {_odds(evidence.to_one)}"
        )
        return Reason(name, sentence, loud, limit), True
    mean = _mean(blocks)
    told = f"{mean:.1%} of rows are decided otherwise than by the champion"
    return _kept(name, told, blocks, mean, limit, _LEAST_SHARE, level)


def added_loss(limit: float, look: Look, answered: Answered, loss: Loss) -> tuple[Reason, bool]:
    """How much more the candidate loses than the champion on the same labelled rows, and whether beyond the limit.

    Rows count in the order in which their labels came.
    """
    name, level = "added_loss", look.watching("added_loss")
    blocks = list(
        _blocks(
            (row.labelled_at, row.request, loss.of(row.ours, row.label) - loss.of(row.theirs, row.label))
            for row in answered.rows
            if row.label is not None and row.labelled_at >= 0
        )
    )
    if not blocks:
        return _unable(name, answered, "no label came of what both versions answer")
    evidence = _evidence(blocks, limit, -loss.most)
    if evidence.is_enough(level):
        loud = _mean(blocks[evidence.begin : evidence.end])
        sentence = (
            f"on {number_of(_count(blocks, evidence), 'labelled request')} the {loss.name} is {loud:.4g} above the"
            f" champion's, allowed is {limit:.4g}: {_odds(evidence.to_one)}"
        )
        return Reason(name, sentence, loud, limit), True
    mean = _mean(blocks)
    told = f"the {loss.name} is {mean:+.4g} beside the champion's"
    return _kept(name, told, blocks, mean, limit, -loss.most, level)


def business_drop(
    declared: BusinessGuardrail, look: Look, answered: Answered, problem: str, *, bake: bool
) -> tuple[Reason, bool]:
    """How much less the candidate's requests brought than the champion's, and whether that is beyond the limit."""
    name, limit, level = "business_drop", declared.max_drop, look.watching("business_drop")
    rows = [row for row in answered.rows if row.at < 0] if bake else answered.rows
    blocks = list(_blocks(differences(declared, rows, problem)))
    if not blocks:
        return _unable(name, answered, "no labels came of requests to both versions")
    least = declared.min - declared.max
    evidence = _evidence(blocks, limit, least)
    if evidence.is_enough(level):
        loud = _mean(blocks[evidence.begin : evidence.end])
        sentence = (
            f"on {number_of(_count(blocks, evidence), 'pair')} of requests to both versions, {declared.measure} was"
            f" {loud:.4g} less than the champion's on average, allowed is {limit:.4g}: {_odds(evidence.to_one)}"
        )
        return Reason(name, sentence, loud, limit), True
    mean = _mean(blocks)
    told = f"{declared.measure} was {-mean:+.4g} beside the champion's on average"
    return _kept(name, told, blocks, mean, limit, least, level)


@dataclass(frozen=True)
class _Side:
    """One comparison of two distributions: above or below a place, or within a class."""

    cut: float
    sign: float
    is_class: bool

    def value(self, row: ComparedRow) -> float:
        return self.sign * (self._holds(row.ours) - self._holds(row.theirs))

    def _holds(self, score: float) -> bool:
        return score == self.cut if self.is_class else score > self.cut

    def says(self, more: float) -> str:
        if self.is_class:
            return f"{more:.1%} {'more' if self.sign > 0 else 'fewer'} of its answers are class {self.cut:.0f} (from 0)"
        return f"{more:.1%} more of its scores lie {'above' if self.sign > 0 else 'at or below'} {self.cut:.4g}"


def _cuts(rows: Sequence[ComparedRow], problem: str) -> list[float]:
    scores = sorted(row.theirs for row in rows)
    if problem == MULTICLASS:
        return sorted({*scores, *(row.ours for row in rows)}) or [0.0]
    distinct = sorted(set(scores))
    if len(distinct) < 2:
        return distinct or [0.0]
    # In the middle between two scores: where many rows have the same one, a hair's breadth would move all of them.
    places = {bisect_right(distinct, scores[len(scores) * place // (CUTS + 1)]) for place in range(1, CUTS + 1)}
    return [(distinct[i - 1] + distinct[i]) / 2 for i in sorted({min(i, len(distinct) - 1) for i in places})]


def _blocks(values: Iterable[tuple[int, str, float]]) -> Iterator[Block]:
    """Values by the minute, each request's as their mean, in the order of time."""
    minutes: dict[int, dict[str, list[float]]] = {}
    for at, request, value in values:
        minutes.setdefault(at // BLOCK_MS, {}).setdefault(request, []).append(value)
    for _, requests in sorted(minutes.items()):
        yield [sum(each) / len(each) for each in requests.values()]


def _evidence(blocks: Iterable[Block], limit: float, least: float) -> Evidence:
    return gathered((above_mean(block, limit, least) for block in blocks), WEIGHTS)


def _kept(
    name: str, told: str, blocks: Sequence[Block], mean: float, limit: float, least: float, level: float
) -> tuple[Reason, bool]:
    """What is told of a limit that is not shown to be broken: the figure, or that it can't be judged."""
    count, finds = sum(map(len, blocks)), _finds(blocks, limit, least, level)
    requests = number_of(count, "request")
    if finds is None:
        sentence = f"{name} can't be judged: {requests} would be no evidence even if all differed most"
        return Reason(NOT_JUDGED, sentence, float(count)), False
    if finds > COARSEST * limit:
        sentence = f"{name} can't be judged: on {requests} no difference below {finds:.3g} would be found; {told}"
        return Reason(NOT_JUDGED, sentence, float(count)), False
    sentence = f"{told}, on {requests}, allowed is {limit:.3g}: one of {finds:.3g} would have been found"
    return Reason(f"{name}_kept", sentence, mean, limit), False


def _finds(blocks: Sequence[Block], limit: float, least: float, level: float) -> float | None:
    """What mean would have been enough, had every value lain higher by the same; None where the highest is too low."""
    highest, mean = -least, _mean(blocks)

    def enough(more: float) -> bool:
        moved = ([min(highest, value + more) for value in block] for block in blocks)
        return _evidence(moved, limit, least).is_enough(level)

    low, high = 0.0, highest - least
    if not enough(high):
        return None
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return min(highest, mean + high)


def _unable(name: str, answered: Answered, why: str) -> tuple[Reason, bool]:
    lost = f"; {number_of(answered.unanswered, 'row')} the other version did not answer" if answered.unanswered else ""
    return Reason(NOT_JUDGED, f"{name} can't be judged: {answered.why_not or why}{lost}", 0.0), False


def _mean(blocks: Sequence[Block]) -> float:
    count = sum(map(len, blocks))
    return math.fsum(value for block in blocks for value in block) / count if count else 0.0


def _count(blocks: Sequence[Block], stretch: Evidence) -> int:
    return sum(map(len, blocks[stretch.begin : stretch.end]))


def _odds(to_one: float) -> str:
    return f"chance alone does that to fewer than 1 in {to_one:,.0f} versions that keep the limit"
