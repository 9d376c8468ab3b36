"""A history of a few weeks, and jobs that train nothing: models whose scores are a feature of the rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from everloop.dataset.snapshot import SnapshotParts
from everloop.documents.probe import SERVED, VERSION, DailyLosses, ProbeDocument, ProbePlan
from everloop.documents.window import WindowRecord
from everloop.evaluation.metrics import estimate
from everloop.evaluation.refit_report import RefitReport, ScoreDifference
from everloop.evaluation.report import AsServed, Latency, OlderFacts, ParityFacts, ProbeFacts, Recalibrated, Report
from everloop.evaluation.significance import class_counts, metric_value, paired_difference
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.build import build_reference, complete_reference
from everloop.retraining.backtest.deployed.training import (
    Evaluated,
    JudgedAgain,
    Measured,
    Model,
    Refitted,
    Serving,
    TrainingFailedError,
)
from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.probe.tables import LearnedRows, ScoredRows
from everloop.typed_json import as_json
from tests.helpers.declarations import binary_document, declare

BEGIN = datetime(2013, 3, 1, tzinfo=UTC)
HISTORY_DAYS, DAYS, ROWS_A_DAY = 30, 40, 60


def declaration(**changes: Any) -> ModelDeclaration:
    """Trained again every ten days where nothing else is asked for."""
    document = binary_document(
        data={"label_lag_hours": 8, "split": {"test_days": 7}},
        gate={"policy": "not_worse", "margin": 0.5, "confidence": 0.8, "minimum_test_rows": 50},
        monitoring={"schedule": "cron(0 10 * * ? *)", "minimum_rows": 30},
        rollout={"guardrail": {"max_error_rate": 0.02, "max_p99_latency_ms": 800, "minimum_requests": 2}},
        retraining={"quality": None, "schedule_days": 10, "cooldown_days": 7, "quota": {"runs": 9, "days": 60}},
    )
    for section, value in changes.items():
        document[section] = {**(document.get(section) or {}), **value} if isinstance(value, dict) else value
    return declare(document)


def history(days: int = HISTORY_DAYS + DAYS, seed: int = 0) -> pd.DataFrame:
    """Lake rows in which ``wind`` is the log odds of being late."""
    rng = np.random.default_rng(seed)
    count = days * ROWS_A_DAY
    first = np.datetime64(BEGIN.replace(tzinfo=None), "ms") - np.timedelta64(HISTORY_DAYS, "D")
    minute = np.sort(rng.integers(0, 24 * 60, (days, ROWS_A_DAY)), axis=1)
    time = first + (np.arange(days)[:, None] * 24 * 60 + minute).reshape(-1).astype("timedelta64[m]")
    wind = rng.normal(0, 1, count)
    return pd.DataFrame(
        {
            "key": [f"k{i:06d}" for i in range(count)],
            "time": time,
            "label": (rng.random(count) < 1 / (1 + np.exp(-wind))).astype(float),
            "distance": rng.integers(1, 900, count).astype(float),
            "wind": wind,
            "line": rng.choice(["north", "south"], count),
            "operator": rng.choice(["a", "b"], count),
        }
    )


@dataclass
class SaidJobs:
    """Candidates that say the log odds times the strength of their turn, the last one for all later turns.

    Attributes
    ----------
    asked : list of tuple
        Of each evaluation: the run, the rows it learned from and was tested on, and the champion beside it.
    probe_strengths : list of float
        Those of probes that learn from all rows, in turn; the last one for all later ones.
    span_strength : float
        That of the probes which learn from the newest days.
    probe_fails_at : tuple of int
        The turns in which the job of a probe fails.
    plans : list of tuple
        Of each probe: its plan, and how many rows it learned from and was scored on.
    """

    declaration: ModelDeclaration
    rows: pd.DataFrame
    strengths: list[float] = field(default_factory=lambda: [1.0])
    fails_at: int | None = None
    asked: list[tuple[str, int, int, int | None, str]] = field(default_factory=list)
    windows_seen: list[int] = field(default_factory=list)
    probe_strengths: list[float] = field(default_factory=lambda: [1.0])
    span_strength: float = 1.0
    probe_fails_at: tuple[int, ...] = ()
    plans: list[tuple[ProbePlan, int, int]] = field(default_factory=list)
    judged_again: list[int] = field(default_factory=list)

    def evaluated(
        self, parts: SnapshotParts, run_id: str, champion: Serving | None, windows: Sequence[WindowRecord]
    ) -> Evaluated:
        turn = len(self.asked)
        standing = (None, "") if champion is None else (champion.version, champion.calibration)
        self.asked.append((run_id, len(parts.train), len(parts.test), *standing))
        if turn == self.fails_at:
            raise TrainingFailedError("train.py line 3: ValueError: no luck")
        strength = self.strengths[min(turn, len(self.strengths) - 1)]
        report = self._report(parts, run_id, champion, strength)
        self.windows_seen.append(len(windows))
        return Evaluated(self._model(parts, strength), report, "5ha")

    def _report(self, parts: SnapshotParts, run_id: str, champion: Serving | None, strength: float) -> Report:
        test = parts.test
        label, days = test["label"].to_numpy().astype(int), test["time"].to_numpy().astype("datetime64[D]")
        ours = estimate("log_loss", label, said(test, strength))
        rule = estimate("log_loss", label, np.full(len(test), label.mean()))
        beside = None
        if champion is not None:
            place = self.rows.set_index("key").index.get_indexer(pd.Index(test["key"]))
            beside = estimate("log_loss", label, champion.model.score(place))
        learned = parts.train["time"].max().to_pydatetime().replace(tzinfo=UTC)
        paired = None if beside is None else paired_difference(ours, beside, days)
        return Report(
            model=self.declaration.model,
            run_id=run_id,
            snapshot_hash=parts.snapshot.snapshot_hash,
            problem_type="binary_classification",
            rows=len(test),
            days=len(np.unique(days)),
            candidate={"log_loss": metric_value(ours, days)},
            baseline={"log_loss": metric_value(rule, days)},
            champion=None if beside is None else {"log_loss": metric_value(beside, days)},
            champion_version=None if champion is None else champion.version,
            champion_rows=None if beside is None else len(test),
            champion_learned_until=None if beside is None else learned,
            classes=class_counts(label, days),
            paired_baseline=paired_difference(ours, rule, days),
            paired_champion=paired,
            as_served=None if paired is None else AsServed({}, {}, paired, Recalibrated(7, 1, 0, None, None, None)),
            parity=ParityFacts(len(test), 0.0, 0),
            probes=ProbeFacts(1, 1, 1, 1),
            latency_ms=Latency(1.0, 1.0),
            artifact_bytes=1000,
            code_sha256="c0de",
            files={"model.onnx": f"{strength}"},
        )

    def refitted(self, parts: SnapshotParts, run_id: str, candidate: Evaluated) -> Refitted:
        strength = float(candidate.report.files["model.onnx"])
        report = RefitReport(
            model=self.declaration.model,
            run_id=run_id,
            snapshot_hash=parts.snapshot.snapshot_hash,
            report_sha256="5ha",
            rows=len(parts.test),
            learned_rows=len(parts.train) + len(parts.test),
            learned_until=parts.snapshot.time_range[1],
            difference=ScoreDifference(0.0, 0.0, 0.0, 0.0, 0.5),
            metric="log_loss",
            evaluated_loss=0.5,
            refit_loss=0.5,
            parity=ParityFacts(len(parts.test), 0.0, 0),
            latency_ms=Latency(1.0, 1.0),
            artifact_bytes=1000,
            code_sha256="c0de",
            files={},
            evaluated_files=candidate.report.files,
        )
        return Refitted(self._model(parts, strength), report)

    def older(
        self,
        parts: SnapshotParts,
        run_id: str,
        version: Serving,
        champion: Serving,
        windows: Sequence[WindowRecord],
    ) -> JudgedAgain:
        self.judged_again.append(version.version)
        report = self._report(parts, run_id, champion, float(str(version.model.folder)))
        learned = parts.train["time"].max().to_pydatetime().replace(tzinfo=UTC)
        return JudgedAgain(replace(report, older=OlderFacts(version.version, version.model.sha256, learned)))

    def probed(self, plan: ProbePlan, learned: LearnedRows, scored: ScoredRows) -> Measured:
        turn = len(self.plans)
        self.plans.append((plan, len(learned.rows[plan["fresh_days"]]), len(scored.rows)))
        if turn in self.probe_fails_at:
            raise TrainingFailedError("train.py line 3: ValueError: no luck")
        of_all = self.probe_strengths[min(turn, len(self.probe_strengths) - 1)]
        strength = of_all if plan["fresh_days"] is None else self.span_strength
        rows = scored.rows[scored.rows["time"] >= pd.Timestamp(plan["window_start"]).tz_localize(None)]
        first = np.datetime64(plan["window_start"].replace(tzinfo=None), "D")
        days = int((plan["window_end"] - plan["window_start"]).days)

        def by_day(values: np.ndarray, chosen: pd.DataFrame) -> list[float]:
            day = (chosen["time"].to_numpy().astype("datetime64[D]") - first).astype(int)
            return [float(total) for total in np.bincount(day, values, minlength=days)]

        def losses(scores: np.ndarray, chosen: pd.DataFrame) -> DailyLosses:
            lost = row_losses(chosen["label"].to_numpy(np.float64), scores, "log_loss")
            # In money, an error costs ten times its loss.
            money = by_day(10 * lost, chosen)
            return {"loss": by_day(lost, chosen), "money": money}

        def counted(chosen: pd.DataFrame) -> list[int]:
            return [int(n) for n in by_day(np.ones(len(chosen)), chosen)]

        own = rows[rows[VERSION] == plan["champion"]]
        document: ProbeDocument = {
            "model": plan["model"],
            "metric": "log_loss",
            "window_start": plan["window_start"],
            "window_end": plan["window_end"],
            "as_of": plan["as_of"],
            "days": [str(first + day) for day in range(days)],
            "rows": counted(rows),
            "window_rows": plan["window_rows"],
            "trained_rows": self.plans[-1][1],
            "labelled_rows": plan["labelled_rows"],
            "trained_until": plan["window_start"],
            "fresh": losses(said(rows, strength), rows),
            "fresh_days": plan["fresh_days"],
            "past": [
                {
                    "window_end": kept["window_end"],
                    "age": (plan["window_end"] - kept["window_end"]).days / days,
                    "losses": losses(said(rows, float(kept["files"]["model.onnx"])), rows),
                }
                for kept in plan["kept"]
            ],
            "spans": [
                {
                    "days": span["days"],
                    "trained_rows": len(learned.rows[span["days"]]),
                    "labelled_rows": span["labelled_rows"],
                    "losses": losses(said(rows, of_all if span["days"] is None else self.span_strength), rows),
                }
                for span in plan["spans"]
            ],
            "champion": {
                "version": plan["champion"] or 0,
                "rows": counted(own),
                "losses": losses(own[SERVED].to_numpy(np.float64), own),
                "best_threshold_money": None,
                "fresh": losses(said(own, strength), own),
                "versions": [
                    {"version": older["version"], "losses": losses(said(own, float(older["uri"])), own)}
                    for older in plan["versions"]
                ],
            },
            "left_out": {},
            "files": {"model.onnx": f"{strength}"},
            "code_sha256": "c0de",
        }
        return Measured(json.dumps(as_json(document)).encode(), f"probe-{turn}/")

    def _model(self, parts: SnapshotParts, strength: float) -> Model:
        train, test = parts.train, parts.test
        numbers = {f.name: train[f.name].to_numpy(np.float64) for f in self.declaration.data.numbers}
        categories = {f.name: train[f.name].fillna("").tolist() for f in self.declaration.data.categories}
        days = train["time"].to_numpy().astype("datetime64[D]")
        reference = build_reference(numbers, categories, days, self.declaration)
        days = test["time"].to_numpy().astype("datetime64[D]")
        label = test["label"].to_numpy(np.float64)
        reference = complete_reference(reference, said(test, strength), label, days, self.declaration)
        return Model(
            reference,
            lambda places: said(self.rows.iloc[places], strength),
            Path(f"{strength}"),
            f"sha256 of {strength}",
        )


def said(rows: pd.DataFrame, strength: float) -> np.ndarray:
    """What a candidate of that strength says of rows."""
    return 1 / (1 + np.exp(-strength * rows["wind"].to_numpy(np.float64)))
