"""Fresh probes of a loop without a cloud: when one is due, from which rows, and what it found, as deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset.exceptions import ContractViolationError
from everloop.documents.probe import SERVED, VERSION, OlderVersion, ProbeDocument, ProbeRequest
from everloop.documents.records import TrainingSpan
from everloop.monitoring.profile_query import Windows
from everloop.registry.evidence import record_sha256
from everloop.registry.records import Probe, Run
from everloop.retraining.backtest.deployed.counts import Answers
from everloop.retraining.backtest.deployed.lived import failed
from everloop.retraining.backtest.deployed.rows import LoopRows, instant
from everloop.retraining.backtest.deployed.training import Jobs, TrainingFailedError
from everloop.retraining.probe.plan import fresh_days, kept_probes, probe_plan, read_result
from everloop.retraining.probe.requests import ProbeWindow, window_of
from everloop.retraining.probe.rows import learns_from
from everloop.retraining.probe.spans import MOST_PROBES, measured_spans, span_by_probes
from everloop.retraining.probe.tables import training_rows, window_rows
from everloop.retraining.probe.weigh import MOST_WEIGHED
from everloop.retraining.probe.windows import due_probe

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass
class Probes:
    """The probes of a loop.

    Attributes
    ----------
    records : list of Probe
        What was recorded, oldest first.
    failures : list of str
        Why jobs failed.
    """

    declaration: ModelDeclaration
    rows: LoopRows
    records: list[Probe] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def due(self, windows: Windows, runs: Sequence[Run]) -> ProbeRequest | None:
        """The one that the monitor asks for now; None where none is due."""
        newest = self.records[-1].window_end if self.records else None
        return due_probe(self.declaration, windows, runs, probed=newest)

    def measure(
        self,
        request: ProbeRequest,
        answers: Answers,
        jobs: Jobs,
        *,
        champion: int,
        versions: list[OlderVersion],
        at: datetime,
    ) -> str:
        """Measure one and record it; what came of it, in a sentence.

        Parameters
        ----------
        versions : list of OlderVersion
            Those that are scored beside the champion.
        """
        window, investment = window_of(request), self.declaration.retraining.investment
        assert investment is not None
        answered = self._answered(window, answers, request["as_of"])
        scored = window_rows(answered, self.declaration, window, most=investment.probe_rows)
        if not scored.inside:
            return "no labelled row was answered in the window"
        told = self.rows.told(self.declaration, window.start)
        spans = measured_spans(self.declaration)
        try:
            learned = training_rows(told, self.declaration, window, most=investment.probe_rows, spans=spans)
            fresh = fresh_days(self.declaration, self._known(MOST_PROBES), window, learned.labelled)
            plan = probe_plan(
                self.declaration,
                request,
                labelled=learned.labelled,
                inside=scored.inside,
                fresh=fresh,
                champion=champion,
                kept=kept_probes(self.records, window, investment.kept_probes),
                versions=versions,
            )
            found = jobs.probed(plan, learned, scored)
        except (ContractViolationError, TrainingFailedError) as error:
            self.failures.append(str(error))
            return f"the probe of {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} {failed(str(error))}"
        document = read_result(found.result, request, self.declaration, found.uri)
        self.records.append(Probe(self.declaration.model, window.end, found.uri, at, document))
        return f"probe of {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} measured"

    def weighed(self) -> list[tuple[ProbeDocument, str]]:
        """What the monitor weighs, each with the hash of its record."""
        return self._known(MOST_WEIGHED)

    def training_span(self, at: datetime) -> TrainingSpan | None:
        """What a run that opens now learns from; None where evidence has no say."""
        chosen = span_by_probes(self.declaration, self._known(MOST_PROBES), at=at)
        return None if chosen is None else chosen[1]

    def _known(self, most: int) -> list[tuple[ProbeDocument, str]]:
        return [(probe.document, record_sha256(probe)) for probe in self.records[-most:]]

    def _answered(self, window: ProbeWindow, answers: Answers, as_of: datetime) -> pd.DataFrame:
        """As :func:`everloop.retraining.probe.rows.window_query` finds them on the lake."""
        inside = self.rows.between(learns_from(self.declaration, window), window.end)
        places = np.arange(inside.start, inside.stop)
        known = (answers.version[places] > 0) & (self.rows.known_at[places] <= instant(as_of))
        places = places[known & np.isfinite(answers.served[places])]
        frame: pd.DataFrame = self.rows.frame.iloc[places].copy()
        frame[SERVED], frame[VERSION] = answers.served[places], answers.version[places].astype(np.float64)
        return frame
