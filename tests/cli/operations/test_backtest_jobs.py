"""The jobs of a backtested loop that judge an older version again, as processes of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from everloop.cli.operations.backtest_jobs import JobsHere
from everloop.cli.operations.jobs_here import jobs_begin_soon
from everloop.cli.operations.trial import unpack_code
from everloop.evaluation.report import Report
from everloop.model_file.schema import ModelDeclaration
from everloop.retraining.backtest.deployed.rows import LoopRows
from everloop.retraining.backtest.deployed.training import Serving, TrainingFailedError
from tests.helpers.declarations import binary_document, declare
from tests.helpers.synthesis import write_model
from tests.training.scenes import CLASSIFIER, rows

pytestmark = pytest.mark.xdist_group("backtest")

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Served:
    """Two versions, trained ten days apart."""

    declaration: ModelDeclaration
    rows: LoopRows
    jobs: JobsHere
    first: Serving
    second: Serving
    trained_at: datetime


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("jobs")
    declaration = declare(binary_document(data={"minimum_rows": 500}))
    write_model(folder / "models", binary_document(data={"minimum_rows": 500}))
    (folder / "models" / "late_train" / "train.py").write_text(CLASSIFIER, encoding="utf-8")
    lived = LoopRows.of(rows(declaration, 5000, 0, 1), declaration, BEGIN + timedelta(days=20))
    (folder / "made").mkdir()
    with jobs_begin_soon():
        jobs = JobsHere(
            unpack_code(folder / "models" / "late_train", folder / "code"), folder / "made", lived.frame, print
        )
        first_at, second_at = BEGIN + timedelta(days=20), BEGIN + timedelta(days=30)
        found = jobs.evaluated(lived.snapshot(declaration, first_at), "train-1", None, [])
        first = Serving(1, found.model)
        found = jobs.evaluated(lived.snapshot(declaration, second_at), "train-2", first, [])
        return Served(declaration, lived, jobs, first, Serving(2, found.model), second_at)


def judged_again(served: Served, at: datetime) -> Report:
    parts = served.rows.snapshot(served.declaration, at)
    return served.jobs.older(parts, "restore-1", served.first, served.second, []).report


def test_an_older_version_is_judged_beside_the_champion_on_newer_rows(served: Served) -> None:
    report = judged_again(served, served.trained_at + timedelta(days=10))
    assert report.older is not None
    assert (report.older.version, report.older.manifest_sha256) == (1, served.first.model.sha256)
    assert report.champion_version == 2
    assert report.paired_champion is not None
    # AND what it was judged by is its own file, not a new model
    assert report.files["model.onnx"] == served.first.model.sha256 != served.second.model.sha256
    assert report.older.learned_until < BEGIN + timedelta(days=20)


def test_test_rows_that_it_has_learned_from_are_left_out(served: Served) -> None:
    at = BEGIN + timedelta(days=20)
    parts = served.rows.snapshot(served.declaration, at)
    with pytest.raises(TrainingFailedError, match=r"version 2 has learned from all [\d,]+ test rows"):
        served.jobs.older(parts, "restore-2", served.second, served.first, [])
