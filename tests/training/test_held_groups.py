"""A training learns nothing of held-out groups, a candidate is judged by them, and no champion is ahead on them."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.held_rows import held_rows
from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.report import Report
from everloop.evaluation.report_page import About, page
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.reference import Reference
from everloop.training import train as training
from everloop.training.candidate import Candidate, read_candidate
from everloop.training.champion import Champion
from everloop.training.channels import Split, read_split
from everloop.training.evaluate import evaluate
from everloop.training.exceptions import ChannelError, DataDiffersError, OlderVersionError, TuningError
from everloop.training.held_groups import Apart, require_unlearned, to_refit_on
from everloop.training.refit_check import Run
from everloop.training.validation import time_folds
from tests.helpers.declarations import binary_document, declare
from tests.training import scenes

GROUPS, ROWS, TEST = 60, 3000, 1500
SCRIPT = """
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def train(features, target, *, seed, parameters):
    columns = ColumnTransformer([("cat", OneHotEncoder(handle_unknown="ignore"), ["line"])])
    return make_pipeline(columns, LogisticRegression()).fit(features, target)
"""


def declaration(share: float = 0.4, **changes: Any) -> ModelDeclaration:
    split = {"strategy": "grouped", "group": "line", "share": share, "test_days": 14}
    return declare(binary_document(data={"split": split}, **changes))


def rows() -> pd.DataFrame:
    """Lines differ, so that what is learned of a line helps with its later rows, and with no other's."""
    frame, rng = scenes.rows(scenes.classification(), ROWS, 1, 3), np.random.default_rng(5)
    line = rng.integers(0, GROUPS, ROWS)
    chance = 1 / (1 + np.exp(-rng.normal(0, 2, GROUPS)))[line]
    return frame.assign(line=[f"line {one}" for one in line], label=(rng.random(ROWS) < chance).astype(float))


def written(folder: Path, frame: pd.DataFrame) -> Path:
    folder.mkdir()
    frame.to_parquet(folder / "a.parquet", index=False, coerce_timestamps="ms", allow_truncated_timestamps=True)
    return folder


@dataclass(frozen=True)
class Made:
    """What the jobs made: the candidate, the whole test part, and the training part."""

    declaration: ModelDeclaration
    held: HeldGroups
    train: Split
    test: Split
    candidate: Candidate
    report: Report
    out: Path
    root: Path

    @property
    def judged(self) -> np.ndarray:
        return held_rows(self.held, self.test.features["line"])

    def beside(self, champion: Champion, name: str) -> Report:
        return evaluate(self.declaration, self.candidate, champion, self.test, Run("r2", "s1"), self.root / name)

    def champion(self, held: HeldGroups | None) -> Champion:
        until = datetime.fromisoformat("2013-01-01T00:00:00+00:00")
        return Champion(7, self.candidate.contract, self.candidate.scorer, until, None, held)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root, declared, frame = tmp_path_factory.mktemp("held"), declaration(), rows()
    held = HeldGroups.of(declared)
    assert held is not None
    code = root / "code"
    (code / "user_model").mkdir(parents=True)
    (code / "user_model" / "train.py").write_text(SCRIPT)
    (code / "declaration.json").write_text(declared.model_dump_json())
    (code / "requirements.txt").write_text((scenes.ROOT / "training" / "requirements.txt").read_text())
    older, test = frame[:-TEST], frame[-TEST:]
    train = older[~held_rows(held, older["line"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "hold_rows", lambda job: {})
        training.run(
            training.Job(
                code,
                train=written(root / "train", train),
                test_features=written(root / "test_features", test.drop(columns="label")),
                model=root / "model",
            )
        )
    with tarfile.open(root / "model.tar.gz", "w:gz") as tar:
        for file in (root / "model").iterdir():
            tar.add(file, file.name)
    split, candidate = read_split(written(root / "test", test), declared, labelled=True), read_candidate(root, TEST)
    report = evaluate(declared, candidate, None, split, Run("r1", "s1"), root / "out")
    learned = read_split(root / "train", declared, labelled=True)
    return Made(declared, held, learned, split, candidate, report, root / "out", root)


def test_a_candidate_is_judged_by_groups_that_it_has_never_seen(made: Made) -> None:
    found, report = made.report.held_groups, made.report
    assert found is not None
    assert report.rows == made.judged.sum()
    assert (found.test_rows, found.known_rows) == (TEST, TEST - report.rows)
    assert (found.groups, found.known_groups) == (
        len(set(made.test.features["line"][made.judged])),
        len(set(made.test.features["line"][~made.judged])),
    )
    # THEN what it has learned of groups is of no use there: a test by time alone would have hidden that
    assert found.known is not None
    ours, known = report.candidate["log_loss"].value, found.known.value
    assert ours is not None
    assert known is not None
    assert ours > known + 0.1
    # AND what the monitor compares production with is of all callers' rows; drift of the groups' names is not judged
    reference = Reference.from_json((made.out / "profile.json").read_bytes())
    assert reference.score is not None
    assert reference.score.counts.rows == TEST
    assert reference.features["line"].natural == ()
    assert reference.features["distance"].natural != ()
    assert made.candidate.training["held_groups"] == made.held.as_dict()
    assert Report.from_json((made.out / "report.json").read_text()) == report


def test_the_gate_says_by_what_it_judged_and_what_it_was_not_told(made: Made) -> None:
    expected = Expected("late_train", "r1", "s1", TEST, None, held_groups=made.held)
    reasons = {reason.code: reason for reason in decide(made.report, made.declaration.gate, expected).reasons}
    assert "report_mismatch" not in reasons
    assert reasons["parity_rows"].passed
    assert reasons["held_groups"].passed
    assert "of line from which no training learns" in reasons["held_groups"].sentence
    assert "groups that it has learned from it is 0." in reasons["held_groups"].sentence
    # WHEN something else is declared, or there are few groups, THEN it refuses
    for declared in (None, HeldGroups("line", 0.3, "late_train")):
        other = decide(made.report, made.declaration.gate, replace(expected, held_groups=declared))
        assert "evaluate again" in next(r.sentence for r in other.reasons if r.code == "held_groups" and not r.passed)
    assert made.report.held_groups is not None
    few = replace(made.report, held_groups=replace(made.report.held_groups, groups=4))
    told = decide(few, made.declaration.gate, expected).reasons
    assert "Declare a larger data.split.share" in next(r.sentence for r in told if r.code == "too_few_groups")


def test_a_champion_is_compared_where_it_knows_no_more(made: Made) -> None:
    apart, lines = Apart(made.held, made.judged), made.test.features["line"]
    # GIVEN one with the same groups, THEN these; with more of them, or fewer, those that neither knows
    for share, groups in (
        (0.4, made.judged),
        (0.5, made.judged),
        (0.1, held_rows(replace(made.held, share=0.1), lines)),
    ):
        rows, basis = apart.comparable(replace(made.held, share=share), made.test)
        assert basis == "held_out"
        assert (rows == groups).all()
    # GIVEN one of before, or by another column, THEN the rows are of groups that both have learned from
    other = HeldGroups("operator", 0.5, "late_train")
    known = ~made.judged & ~held_rows(other, made.test.features["operator"])
    gone = HeldGroups("region", 0.5, "late_train")
    for held, groups in ((None, ~made.judged), (other, known), (gone, ~made.judged)):
        rows, basis = apart.comparable(held, made.test)
        assert basis == "learned"
        assert (rows == groups).all()
    report = made.beside(made.champion(None), "before")
    assert report.held_groups is not None
    assert (report.champion_rows, report.held_groups.champion_basis) == ((~made.judged).sum(), "learned")
    # AND the gate and the page say so
    expected = Expected("late_train", "r2", "s1", TEST, 7, held_groups=made.held)
    told = {reason.code: reason.sentence for reason in decide(report, made.declaration.gate, expected).reasons}
    assert "has learned from groups that are held out now" in told["champion_groups"]
    html = page(report, About(8, "a" * 64, "fail", (), None))
    assert "never seen" in html
    assert "kept out now" in html


def test_nothing_is_learned_of_a_held_out_group_by_a_refit_either(made: Made) -> None:
    assert require_unlearned(made.declaration, made.train) == made.held
    with pytest.raises(DataDiffersError, match=r"rows to learn from are of held-out groups of line \(data\.split\)"):
        require_unlearned(made.declaration, made.train.with_later(made.test))
    later = to_refit_on(made.declaration, made.test)
    assert later is not None
    assert len(later) == (~made.judged).sum()
    assert require_unlearned(made.declaration, made.train.with_later(later)) == made.held
    assert to_refit_on(made.declaration, made.test.only(made.judged)) is None
    plain = declare(binary_document())
    assert to_refit_on(plain, made.test) is made.test
    assert require_unlearned(plain, made.test) is None


def test_a_version_of_before_is_not_judged_as_if_it_had_not_seen_them(made: Made) -> None:
    for record in ({}, {"held_groups": {**made.held.as_dict(), "share": 0.1}}):
        with pytest.raises(OlderVersionError, match=r"trained before 40% of the groups of line were held out"):
            Apart.of(made.declaration, made.test, record)
    with pytest.raises(ChannelError, match=r"none of [0-9]+ test rows is of a held-out group of line"):
        Apart.of(made.declaration, made.test.only(~made.judged), {"held_groups": made.held.as_dict()})


def test_parameters_are_chosen_by_groups_that_they_were_not_fitted_on(made: Made) -> None:
    apart = held_rows(made.held.for_validation(), made.train.features["line"])
    for fold in time_folds(made.train, folds=2, days=3, classes=2, apart=apart):
        fitted, judged = set(fold.fit.features["line"]), set(fold.validate.features["line"])
        assert fitted
        assert judged
        assert not fitted & judged
        assert fold.fit.last <= fold.validate.first
    with pytest.raises(TuningError, match="can't choose"):
        time_folds(made.train, folds=2, days=3, classes=2, apart=np.zeros(len(made.train), dtype=bool))
