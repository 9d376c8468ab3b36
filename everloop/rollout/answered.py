"""What callers asked while a rollout was under way, as both of its versions answer it, with the labels that came.

Each row was answered to its caller by one version. The other one is asked it here, apart from requests of callers, as
in a shadow: so each row is compared with itself, which tells far more than two groups of rows do, and the bake can be
judged, in which callers meet one version only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.dataset.exceptions import QueryFailedError, QueryInterruptedError
from everloop.problem_types import BINARY, MULTICLASS, REGRESSION
from everloop.rollout.answered_query import SETTLED, SLOT, compared_query
from everloop.rollout.question import question_of
from everloop.rollout.targets import RolloutTarget

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration
    from everloop.registry.records import Rollout

Captured = dict[str, str | None]
"""A row of the query's answer."""

LONGEST_SECONDS = 45.0
"""How long versions are asked at one look: what has not been asked by then waits for the next."""

MOST_AT_ONCE = 100
"""Rows of one request: few enough that an instance answers callers in between."""


@dataclass(frozen=True)
class ComparedRow:
    """One row as both versions answer it.

    Attributes
    ----------
    request : str
        The request that it came with.
    at : int
        When it was answered, in milliseconds since the phase began.
    by_candidate : bool
        Whether its caller was answered by the candidate.
    ours, theirs : float
        The candidate's score and the champion's: the probability of class 1, the value of a regression, or the place
        of the class that was decided.
    label : float or None
        That came first; None while there is none.
    labelled_at : int
        When it came, as ``at``; -1 while there is none.
    prediction : float
        What its caller was answered: a class (of several, its place), or a value.
    disagree : bool
        Whether the versions decide it otherwise: another class.
    """

    request: str
    at: int
    by_candidate: bool
    ours: float
    theirs: float
    label: float | None = None
    labelled_at: int = -1
    prediction: float = 0.0
    disagree: bool = False


class Said(NamedTuple):
    """What a version says of a row: its score, and the class or value that it answers."""

    score: float
    prediction: float


@dataclass(frozen=True)
class Answered:
    """What was seen of a phase.

    Attributes
    ----------
    rows : sequence of ComparedRow
        In the order of time.
    unanswered : int
        Rows that the other version did not answer.
    why_not : str
        Why there are none, where something stood against it; empty otherwise.
    """

    rows: Sequence[ComparedRow] = ()
    unanswered: int = 0
    why_not: str = ""


@dataclass(frozen=True)
class Answering:
    """What both versions are asked with.

    What one look saw is kept for a quarter of an hour, and what a version answered for as long as the phase: by this
    process, so another one asks again.

    Attributes
    ----------
    query : callable
        Runs a query on the lake and returns its rows.
    labelled : bool
        Whether something is judged by labels.
    timer : callable
        Seconds of a monotonic counter.
    """

    declaration: ModelDeclaration
    query: Callable[[str], Sequence[Captured]]
    labelled: bool
    timer: Callable[[], float] = time.perf_counter
    _kept: dict[tuple[str, datetime, int], Answered] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[tuple[str, datetime], dict[str, Said | None]] = field(default_factory=dict, repr=False, compare=False)

    def seen(self, target: RolloutTarget, rollout: Rollout, *, phase: datetime, at: datetime, ends: bool) -> Answered:
        """What is in the lake of a phase that began at ``phase``, at a look.

        Parameters
        ----------
        ends : bool
            Whether the phase's time is over. Before, a query that fails is left to the next look.

        Raises
        ------
        QueryFailedError, QueryInterruptedError
            When the lake can't be asked as the phase ends.
        """
        if rollout.previous_version is None or rollout.previous_lambda_version is None:
            return Answered(why_not="nothing served before to compare with")
        if rollout.previous_version == rollout.version:
            return Answered(why_not=f"version {rollout.version} served before as well, under other code")
        until = at - SETTLED
        if until <= phase:
            return Answered(why_not=f"what was asked is in the lake {SETTLED.total_seconds() / 60:.0f} minutes later")
        slot = (rollout.rollout_id, phase, int((at - phase) / SLOT))
        found = self._kept.get(slot)
        if found is None:
            try:
                found = self._asked(target, rollout, phase=phase, until=until, at=at)
            except (QueryFailedError, QueryInterruptedError) as error:
                if ends:
                    raise
                return Answered(why_not=f"the lake could not be asked: {error}")
            self._kept.clear()
            self._kept[slot] = found
        return found

    def _asked(
        self, target: RolloutTarget, rollout: Rollout, *, phase: datetime, until: datetime, at: datetime
    ) -> Answered:
        before, before_at = rollout.previous_version, rollout.previous_lambda_version
        assert before is not None
        assert before_at is not None
        text = compared_query(
            self.declaration,
            versions=(rollout.version, before),
            # A label may come long after its row: those of rows of earlier phases are this phase's evidence.
            since=rollout.started_at if self.labelled else phase,
            phase=phase,
            until=until,
            labelled=self.labelled,
        )
        captured = self.query(text)
        known = self._known.setdefault((rollout.rollout_id, phase), {})
        if len(self._known) > 1:
            self._known.clear()
            self._known[rollout.rollout_id, phase] = known
        other = {rollout.version: before_at, before: rollout.lambda_version}
        unknown = [row for row in captured if row["prediction_id"] not in known]
        started = self.timer()
        for rows, asked in _batches(unknown, other, min(MOST_AT_ONCE, self.declaration.serving.max_rows)):
            if self.timer() - started > LONGEST_SECONDS:
                break
            known.update(self._said(target, asked, rows, at))
        compared, unanswered = [], 0
        for row in captured:
            if row["prediction_id"] not in known:
                break  # What comes later waits for what comes before: evidence is counted in order.
            said = known[str(row["prediction_id"])]
            if said is None:
                unanswered += 1
            else:
                compared.append(self._row(row, said, candidate=rollout.version))
        return Answered(compared, unanswered)

    def _said(
        self, target: RolloutTarget, lambda_version: str, rows: Sequence[Captured], at: datetime
    ) -> dict[str, Said | None]:
        """What a version says of rows, by their names; None for what it does not answer.

        One row that is refused has its whole request refused: then the halves are asked.
        """
        names = [str(row["prediction_id"]) for row in rows]
        answer = target.ask(lambda_version, question_of(self.declaration, rows, name=f"compare-{names[0]}", at=at))
        if answer.status == 200 and "fallback" in answer.document:
            return dict.fromkeys(names)  # the version had no answer of its own
        if answer.status == 200:
            return {n: self._of(p) for n, p in zip(names, answer.document["predictions"], strict=True)}
        if len(rows) == 1:
            return {names[0]: None}
        half = len(rows) // 2
        first = self._said(target, lambda_version, rows[:half], at)
        return first | self._said(target, lambda_version, rows[half:], at)

    def _of(self, answer: Mapping[str, Any]) -> Said:
        kind = self.declaration.problem.type
        if kind == MULTICLASS:
            place = float(list(self.declaration.problem.classes or ()).index(answer["prediction"]))
            return Said(place, place)
        prediction = float(answer["prediction"])
        return Said(float(answer["probability"]) if kind == BINARY else prediction, prediction)

    def _row(self, row: Captured, other: Said, *, candidate: int) -> ComparedRow:
        column = "prediction" if self.declaration.problem.type == MULTICLASS else "_score"
        own, by_candidate = float(row[column] or 0), int(row["version"] or 0) == candidate
        prediction = float(row["prediction"] or 0)
        label, came = row.get("_label"), row.get("_label_at")
        return ComparedRow(
            request=str(row["request_id"]),
            at=int(row["_at"] or 0),
            by_candidate=by_candidate,
            ours=own if by_candidate else other.score,
            theirs=other.score if by_candidate else own,
            label=None if label is None else float(label),
            labelled_at=-1 if came is None else int(came),
            prediction=prediction,
            disagree=self.declaration.problem.type != REGRESSION and prediction != other.prediction,
        )


def _batches(rows: Sequence[Captured], other: Mapping[int, str], most: int) -> Iterator[tuple[Sequence[Captured], str]]:
    """Rows in the order of time, with the version to ask: those of a few minutes by each version together."""
    for begin in range(0, len(rows), 2 * most):
        part = rows[begin : begin + 2 * most]
        for version, asked in other.items():
            mine = [row for row in part if int(row["version"] or 0) == version]
            for first in range(0, len(mine), most):
                yield mine[first : first + most], asked
