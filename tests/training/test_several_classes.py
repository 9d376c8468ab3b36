"""A model of several classes is trained, exported, proved, evaluated and judged, on rows of three classes."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.metrics import estimate
from everloop.evaluation.report import Report
from everloop.evaluation.report_page import About, page
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.reference import Reference
from everloop.training import train as training
from everloop.training.candidate import read_candidate
from everloop.training.champion import Champion
from everloop.training.channels import read_split
from everloop.training.evaluate import evaluate
from everloop.training.exceptions import ChannelError, UserScriptError
from everloop.training.onnx_export.exceptions import ParityError
from everloop.training.onnx_export.parity import check_parity
from everloop.training.own_export import OwnModel
from everloop.training.refit_check import Run, score_difference
from everloop.training.user_script import run_user_script
from tests.helpers.declarations import CLASSES, declare, multiclass_document
from tests.helpers.present import present
from tests.training import scenes

ROWS, TEST = 3600, 1200


def declaration() -> ModelDeclaration:
    gate = {"absolute": [{"metric": "macro_f1", "min": 0.2}], "slices": {"by": [{"by": "line"}]}, "confidence": 0.9}
    gate |= {
        "money": {},
        "fairness": {"by": [{"by": "line"}], "max_calibration_gap": 0.5},
        "robustness": {"max_noise_flips": 0.2},
    }
    costs = {
        "on_time": {"late": 20, "cancelled": 25},
        "late": {"on_time": 25, "cancelled": 25},
        "cancelled": {"on_time": 30},
    }
    problem = {"baseline": {"kind": "group_mean", "by": "line"}, "value": {"costs": costs, "decisions": "least_cost"}}
    document = multiclass_document(training={"seed": 7, "parameters": {"trees": 15}}, gate=gate, problem=problem)
    return declare(document)


def rows() -> pd.DataFrame:
    frame = scenes.rows(scenes.classification(), ROWS, 1, 3)
    wind, north = np.nan_to_num(frame["wind"], nan=20), frame["line"] == "north"
    logits = np.stack([np.zeros(ROWS), -2 + 0.15 * wind + 1.6 * north, -3 + 0.1 * wind], axis=1)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = np.random.default_rng(1).random((ROWS, 1))
    return frame.assign(label=(chances.cumsum(axis=1) < drawn).sum(axis=1).clip(0, 2).astype(float))


def written(folder: Path, frame: pd.DataFrame) -> Path:
    folder.mkdir()
    frame.to_parquet(folder / "a.parquet", index=False, coerce_timestamps="ms", allow_truncated_timestamps=True)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The jobs' folders after training and evaluation in this process."""
    root, declared, frame = tmp_path_factory.mktemp("several"), declaration(), rows()
    code = root / "code"
    (code / "user_model").mkdir(parents=True)
    (code / "user_model" / "train.py").write_text(scenes.CLASSIFIER)
    (code / "declaration.json").write_text(declared.model_dump_json())
    (code / "requirements.txt").write_text((scenes.ROOT / "training" / "requirements.txt").read_text())
    train, test = frame[:-TEST], frame[-TEST:]
    train_files = written(root / "train", train)
    test_files = written(root / "test_features", test.drop(columns="label"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "hold_rows", lambda job: {})
        training.run(training.Job(code, train=train_files, test_features=test_files, model=root / "model"))
    with tarfile.open(root / "model.tar.gz", "w:gz") as tar:
        for file in (root / "model").iterdir():
            tar.add(file, file.name)
    split = read_split(written(root / "test", test), declared, labelled=True)
    candidate = read_candidate(root, TEST)
    report = evaluate(declared, candidate, None, split, Run("r1", "s1"), root / "out")
    return SimpleNamespace(
        root=root, declaration=declared, test=split, candidate=candidate, report=report, out=root / "out"
    )


def test_the_report_knows_every_class_and_what_is_taken_for_what(made: SimpleNamespace) -> None:
    found = made.report.multiclass
    labels = made.test.labels
    assert [one.name for one in found.classes] == CLASSES
    assert [one.rows for one in found.classes] == np.bincount(labels, minlength=3).tolist()
    confusion = np.array(found.confusion)
    assert confusion.sum() == TEST
    assert confusion.sum(axis=0).tolist() == [one.answered for one in found.classes]
    assert np.trace(confusion) / TEST == pytest.approx(made.report.candidate["accuracy"].value)
    assert made.report.calibration is not None
    assert made.report.baseline["macro_f1"].value < made.report.candidate["macro_f1"].value
    # AND the rule knows what each line's shares are, which is more than those of all rows, and less than the model
    of_all = np.full((TEST, 3), np.bincount(labels, minlength=3) / TEST)
    ours, rule = (found["log_loss"].value for found in (made.report.candidate, made.report.baseline))
    assert ours < rule < estimate("log_loss", labels, of_all).value
    assert Report.from_json(made.report.to_json()) == made.report


def test_the_gate_lets_a_model_with_signal_pass_and_names_the_rarest_class(made: SimpleNamespace) -> None:
    expected = Expected(made.declaration.model, "r1", "s1", TEST, None)
    verdict = decide(made.report, made.declaration.gate, expected)
    assert verdict.passed, [r.sentence for r in verdict.reasons if not r.passed]
    told = {r.code: r.sentence for r in verdict.reasons}
    assert "of class cancelled" in told["rows_of_each_class"]
    assert "macro_f1" in told["absolute_threshold"]
    assert "By line, cancelled against all others, groups differ in mean of score less outcome" in str(verdict.reasons)
    assert "get another decision; at most 20% is allowed" in told["robustness_noise_flips"]
    assert "1,000 decisions, by least expected cost, cost" in told["money"]
    assert "money_better_than_baseline" in told


def test_the_gate_refuses_a_class_with_too_few_rows(made: SimpleNamespace) -> None:
    classes = tuple(replace(one, rows=min(one.rows, 9)) for one in made.report.multiclass.classes)
    few = replace(made.report, multiclass=replace(made.report.multiclass, classes=classes))
    expected = Expected(made.declaration.model, "r1", "s1", TEST, None)
    verdict = decide(few, made.declaration.gate, expected)
    assert "too_few_of_a_class" in [r.code for r in verdict.reasons if not r.passed]
    silent = decide(replace(made.report, multiclass=None), made.declaration.gate, expected)
    assert "rows_of_each_class" in [r.code for r in silent.reasons if not r.passed]


def test_the_page_shows_the_confusion(made: SimpleNamespace) -> None:
    text = page(made.report, About(1, "0" * 64, "pass", [], None))
    assert "Which class is taken for which?" in text
    assert "answered: cancelled" in text
    assert "the answered class" in text
    assert "mean probability of cancelled if all rows had this wind" in text
    assert "Groups by line, late against all others" in text
    assert "probability of the outcome" in text
    assert len(text) < 400_000


def test_the_profile_has_a_bin_for_each_class(made: SimpleNamespace) -> None:
    reference = Reference.from_json((made.out / "profile.json").read_text())
    bins = present(reference.score).bins
    assert isinstance(bins, CategoryBins)
    assert bins.categories == tuple(CLASSES)
    answered = [one.answered for one in made.report.multiclass.classes]
    assert list(present(reference.score).counts.counts) == [*answered, 0]
    assert present(reference.outcomes).mean_loss == pytest.approx(made.report.candidate["log_loss"].value)


def test_a_champion_is_compared_on_all_classes(made: SimpleNamespace) -> None:
    old = made.test.times.min().astype("datetime64[ms]").astype(object)
    champion = Champion(3, made.candidate.contract, made.candidate.scorer, old.replace(tzinfo=UTC))
    report = evaluate(made.declaration, made.candidate, champion, made.test, Run("r2", "s1"), made.root / "beside")
    assert present(report.paired_champion).difference == 0
    assert present(present(report.multiclass).compared_rows) > 10
    assert report.as_served is None
    assert present(present(report.money).champion).paired.difference == 0


def test_a_refit_is_as_far_away_as_its_probabilities_are() -> None:
    outcomes = np.array([0, 1, 2, 0])
    before = np.tile([0.5, 0.3, 0.2], (4, 1))
    after = np.tile([0.4, 0.3, 0.3], (4, 1))
    found = score_difference(before, after, outcomes)
    assert found.mean == pytest.approx(0.1)
    assert found.outcome_deviation == pytest.approx(np.sqrt((0.5 * 0.5 + 2 * 0.25 * 0.75) / 2))
    # Of two classes it is what the probabilities of one of them say.
    two = score_difference(before[:, :1], after[:, :1], np.array([0, 0, 0, 0]))
    assert two.largest == pytest.approx(0.05)


def test_a_label_that_is_no_place_of_a_class_stops_the_job(tmp_path: Path) -> None:
    odd = rows().head(40).assign(label=3.0)
    with pytest.raises(ChannelError, match="not the place of one of on_time, late, cancelled"):
        read_split(written(tmp_path / "test", odd), declaration(), labelled=True)


def test_a_model_that_lacks_a_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scenes.CLASSIFIER)
    frame = rows()
    split = read_split(written(tmp_path / "train", frame[frame["label"] < 2]), declaration(), labelled=True)
    with pytest.raises(UserScriptError, match=r"answers 16 rows with the shape \(16, 2\); expected: \(16, 3\)"):
        run_user_script(tmp_path, declaration(), split)


class Swapped:
    """Scores with two classes exchanged, and everything else the same."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores

    def score(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        return self.scores[:, [1, 0, 2]]


def test_exchanged_classes_are_no_parity(made: SimpleNamespace) -> None:
    inputs = SimpleNamespace(arrays=lambda features: (None, None))
    scores = np.tile([0.6, 0.3, 0.1], (len(made.test), 1))
    estimator = SimpleNamespace(predict_proba=lambda features: scores)
    asked: dict[str, Any] = {"inputs": inputs, "problem_type": "multiclass_classification", "threshold": 0.5}
    with pytest.raises(ParityError, match="changes 1,200 labels"):
        check_parity(estimator, Swapped(scores), made.test.features, **asked)
    # Equally likely classes are no flip, whichever comes first.
    even = np.tile([0.45, 0.45 - 1e-12, 0.1 + 1e-12], (len(made.test), 1))
    estimator = SimpleNamespace(predict_proba=lambda features: even)
    assert check_parity(estimator, Swapped(even), made.test.features, **asked).label_flips == 0


def test_an_own_export_answers_each_class(made: SimpleNamespace) -> None:
    frame = made.test.features[["distance"]]
    fitted = HistGradientBoostingClassifier(max_iter=2).fit(frame, made.test.labels)
    own = OwnModel("train.py", fitted, True, lambda action: action(), lambda m, i: b"", None, classes=3)
    assert own.predict_proba(frame).shape == (TEST, 3)
    own.check(frame.head(5))
    half = OwnModel(
        "train.py", fitted, True, lambda a: a(), lambda m, i: b"", lambda m, f: np.full((len(f), 3), 0.2), 3
    )
    with pytest.raises(UserScriptError, match="not 1 together"):
        half.check(frame.head(5))
    two = OwnModel("train.py", fitted, True, lambda a: a(), lambda m, i: b"", lambda m, f: np.full((len(f), 2), 0.5), 3)
    with pytest.raises(UserScriptError, match=r"expected: numbers of the shape \(5, 3\)"):
        two.check(frame.head(5))
