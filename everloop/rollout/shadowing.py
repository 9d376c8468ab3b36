"""Asks a candidate what callers have asked the champion: rows of the lake, one request each, off the request path.

The candidate is asked directly, by whatever its target is (:meth:`everloop.rollout.targets.RolloutTarget.ask`); what it
answers is neither captured nor counted. A target's own shadowing would not do: SageMaker's shadow variants allow one
production variant beside them, and Lambda has none
(https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.dataset.lake_sql import partitions, timestamp
from everloop.model_file.sections.rollout import MOST_SHADOW_ROWS
from everloop.names import ModelNames
from everloop.problem_types import MULTICLASS, REGRESSION
from everloop.rollout.question import question_of
from everloop.rollout.shadow import Pair, ShadowSeen
from everloop.rollout.targets import Question, RolloutTarget

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Rows = Sequence[dict[str, str | None]]

LONGEST_SECONDS = 60.0
"""How long a candidate is asked: what it has not answered by then is left out."""


def captured_rows_query(declaration: ModelDeclaration, *, version: int, begin: datetime, end: datetime) -> str:
    """The query for rows that ``version`` answered in a stretch of time.

    Names of rows begin with those of their requests, which are random: the first ones by name are a sample of requests.
    """
    features = "".join(f', "{feature.name}"' for feature in declaration.data.features)
    return f"""SELECT "prediction_id", "key", "prediction", "probability"{features}
FROM "{ModelNames(declaration.model).table("predictions")}"
WHERE {partitions(begin, end)} AND "version" = {version}
  AND "time" >= {timestamp(begin)} AND "time" < {timestamp(end)}
ORDER BY "prediction_id"
LIMIT {MOST_SHADOW_ROWS}"""


@dataclass(frozen=True)
class Shadowing:
    """What a candidate is asked with.

    Attributes
    ----------
    query : callable
        Runs a query on the lake and returns its rows.
    timer : callable
        Seconds of a monotonic counter.
    """

    declaration: ModelDeclaration
    query: Callable[[str], Rows]
    timer: Callable[[], float] = time.perf_counter

    def seen(
        self,
        target: RolloutTarget,
        lambda_version: str,
        *,
        champion: int,
        least: int,
        begin: datetime,
        end: datetime,
    ) -> ShadowSeen:
        """Ask the candidate what the champion answered from ``begin`` to ``end``, if that is ``least`` rows or more."""
        found = self.query(captured_rows_query(self.declaration, version=champion, begin=begin, end=end))
        # A row may be delivered more than once.
        rows = list({row["prediction_id"]: row for row in found}.values())
        if len(rows) < least:
            return ShadowSeen(len(rows))
        # The first request of a version waits for its start, which no limit of latency counts.
        target.ask(lambda_version, self._question(rows[0], end))
        started, pairs = self.timer(), []
        for row in rows:
            before = self.timer()
            if before - started > LONGEST_SECONDS:
                break
            asked = target.ask(lambda_version, self._question(row, end))
            pairs.append(self._pair(row, asked.status, asked.document, (self.timer() - before) * 1000))
        return ShadowSeen(len(rows), pairs)

    def _question(self, row: dict[str, str | None], at: datetime) -> Question:
        return question_of(self.declaration, [row], name=f"shadow-{row['prediction_id']}", at=at)

    def _pair(self, row: dict[str, str | None], status: int, document: Any, milliseconds: float) -> Pair:
        if status != 200:
            return Pair(status, milliseconds)
        if "fallback" in document:  # the candidate had no answer of its own
            return Pair(500, milliseconds)
        answered, kind = document["predictions"][0], self.declaration.problem.type
        decided, before = answered["prediction"], row["prediction"]
        assert before is not None, "every captured row has a prediction"
        if kind == REGRESSION:
            return Pair(status, milliseconds, None, float(decided) - float(before))
        if kind == MULTICLASS:
            classes = list(self.declaration.problem.classes or ())
            return Pair(status, milliseconds, classes.index(decided) != int(float(before)))
        shift = float(answered["probability"]) - float(row["probability"] or 0.0)
        return Pair(status, milliseconds, float(decided) != float(before), shift)
