"""The jobs of a backtested loop: the deployed programs as processes of this machine."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from everloop.cli.operations.jobs_here import run_job
from everloop.cli.operations.trial import told_failure
from everloop.dataset.lake import parquet_bytes
from everloop.dataset.snapshot import SnapshotParts
from everloop.documents.probe import RESULT, ProbePlan
from everloop.documents.window import WindowRecord
from everloop.evaluation.refit_report import RefitReport
from everloop.evaluation.report import Report
from everloop.json_text import canonical_json
from everloop.manifest import CONTRACT, MODEL, PROFILE, REFIT, sha256_hex
from everloop.monitoring.reference import Reference
from everloop.retraining.backtest.deployed.put_aside import PART
from everloop.retraining.backtest.deployed.training import (
    Evaluated,
    JudgedAgain,
    Measured,
    Model,
    Refitted,
    Serving,
    TrainingFailedError,
)
from everloop.retraining.probe.tables import LearnedRows, ScoredRows
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from everloop.typed_json import as_json

BATCH = 20_000
"""Rows that are scored at once."""

PROGRAM = "everloop.training.backtest_candidate"
PROBE = "everloop.training.backtest_probe"


@dataclass
class JobsHere:
    """Trains in the unpacked code archive ``code``, and keeps what comes of it below ``folder``.

    The same snapshot is trained on once: a run that finds it made already takes what is there.

    Attributes
    ----------
    rows : pandas.DataFrame
        The history's, in the order in which models are asked about them.
    """

    code: Path
    folder: Path
    rows: pd.DataFrame
    say: Callable[[str], None]
    made: dict[tuple[str, ...], Path] = field(default_factory=dict)
    probes: int = 0

    def evaluated(
        self, parts: SnapshotParts, run_id: str, champion: Serving | None, windows: Sequence[WindowRecord]
    ) -> Evaluated:
        """See :class:`everloop.retraining.backtest.deployed.training.Jobs`."""
        beside = [] if champion is None else self._beside(champion, windows)
        output = self._run(parts, run_id, "evaluated", beside)
        content = (output / "report.json").read_bytes()
        return Evaluated(self._model(output), Report.from_json(content), hashlib.sha256(content).hexdigest())

    def refitted(self, parts: SnapshotParts, run_id: str, candidate: Evaluated) -> Refitted:
        """See :class:`everloop.retraining.backtest.deployed.training.Jobs`."""
        output = self._run(parts, run_id, "refitted", ["--evaluated", str(candidate.model.folder)])
        return Refitted(self._model(output), RefitReport.from_json((output / REFIT).read_bytes()))

    def older(
        self,
        parts: SnapshotParts,
        run_id: str,
        version: Serving,
        champion: Serving,
        windows: Sequence[WindowRecord],
    ) -> JudgedAgain:
        """See :class:`everloop.retraining.backtest.deployed.training.Jobs`."""
        again = ["--older", str(version.model.folder), "--older-version", str(version.version)]
        output = self._run(parts, run_id, "older", [*again, *self._beside(champion, windows)])
        return JudgedAgain(Report.from_json((output / "report.json").read_bytes()))

    def probed(self, plan: ProbePlan, learned: LearnedRows, scored: ScoredRows) -> Measured:
        """See :class:`everloop.retraining.backtest.deployed.training.Jobs`."""
        folder = self.folder / f"probe-{self.probes}"
        self.probes += 1
        tables = {"train": learned.rows[plan["fresh_days"]], "window": scored.rows}
        tables |= {f"plan/{span['folder']}": learned.rows[span["days"]] for span in plan["spans"]}
        for name, table in tables.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / PART).write_bytes(parquet_bytes(table))
        (folder / "plan").mkdir(exist_ok=True)
        (folder / "plan" / "plan.json").write_text(canonical_json(as_json(plan)), encoding="utf-8")
        output = folder / "result"
        places = {name: folder / name for name in ("train", "window", "plan")} | {"output": output}
        self._job(PROBE, [part for name, value in places.items() for part in (f"--{name}", str(value))], output)
        # What the job learned from is not read again; its own files are, by the probes to come.
        for name in ("train", "window", "plan"):
            shutil.rmtree(folder / name)
        return Measured((output / RESULT).read_bytes(), f"{output}/")

    def _beside(self, champion: Serving, windows: Sequence[WindowRecord]) -> list[str]:
        beside = ["--champion", str(champion.model.folder), "--champion-version", str(champion.version)]
        return [*beside, "--windows", str(self._written(windows))]

    def _run(self, parts: SnapshotParts, run_id: str, what: str, options: list[str]) -> Path:
        place = parts.snapshot.snapshot_hash, run_id, what, *options
        if place in self.made:
            return self.made[place]
        data, output = self._stored(parts), self.folder / f"{what}-{len(self.made)}"
        arguments = {
            "train": data / "train",
            "test": data / "test",
            "test-features": data / "test_features",
            "output": output,
            "run-id": run_id,
            "snapshot-hash": parts.snapshot.snapshot_hash,
        }
        if parts.standing is not None:
            arguments |= {"standing": data / "standing", "held-out": str(parts.snapshot.standing)}
        given = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
        self._job(PROGRAM, [*given, *options], output)
        self.made[place] = output
        return output

    def _job(self, program: str, arguments: list[str], output: Path) -> None:
        lines, status = run_job(["-m", program, *arguments], self.code, {"PYTHONPATH": self.code}, self.say)
        if status:
            raise TrainingFailedError(told_failure(output / "failure", lines))

    def _written(self, windows: Sequence[WindowRecord]) -> Path:
        """A file of the windows, newest first, named by its content."""
        documents = [window.to_document() for window in reversed(windows)]
        content = canonical_json(documents).encode()
        path = self.folder / f"windows-{hashlib.sha256(content).hexdigest()[:16]}.json"
        path.write_bytes(content)
        return path

    def _stored(self, parts: SnapshotParts) -> Path:
        """The snapshot's files; those of the one before go."""
        target = self.folder / "snapshot"
        stamp = target / "hash"
        if stamp.is_file() and stamp.read_text() == parts.snapshot.snapshot_hash:
            return target
        tables = {"train": parts.train, "test": parts.test, "test_features": parts.test_features}
        if parts.standing is not None:
            tables["standing"] = parts.standing
        for name, table in tables.items():
            (target / name).mkdir(parents=True, exist_ok=True)
            (target / name / PART).write_bytes(parquet_bytes(table))
        stamp.write_text(parts.snapshot.snapshot_hash)
        return target

    def _model(self, folder: Path) -> Model:
        contract = ServingContract.from_json((folder / CONTRACT).read_bytes())
        content = (folder / MODEL).read_bytes()
        scorer = Scorer.from_bytes(content, contract)
        reference = Reference.from_json((folder / PROFILE).read_bytes())
        return Model(reference, partial(_scores, scorer, contract, self.rows), folder, sha256_hex(content))


def _scores(scorer: Scorer, contract: ServingContract, rows: pd.DataFrame, places: np.ndarray) -> np.ndarray:
    asked = rows.iloc[places]
    num = asked[[field.name for field in contract.numbers]].to_numpy(np.float64)
    cat = asked[[field.name for field in contract.categories]].fillna("").to_numpy(object)
    parts = [scorer.score(num[at : at + BATCH], cat[at : at + BATCH]) for at in range(0, len(places), BATCH)]
    return np.concatenate(parts)
