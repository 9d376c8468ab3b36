"""The user's script runs as it says, and what is wrong with it is said precisely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split, read_split
from everloop.training.exceptions import UserScriptError
from everloop.training.user_script import run_user_script
from tests.helpers.present import present
from tests.training.scenes import CLASSIFIER, classification, regression, rows, write_parts

SIGNATURE = "def train(features, target, *, seed, parameters):\n"
DUMMY = "from sklearn.dummy import DummyClassifier, DummyRegressor\n"
LINEAR = "from sklearn.linear_model import LogisticRegression\n"


def split_of(declaration: ModelDeclaration, folder: Path) -> Split:
    return read_split(write_parts(rows(declaration, 300, 0, 1), folder / "train"), declaration, labelled=True)


def run(script: str, folder: Path, declaration: ModelDeclaration | None = None) -> object:
    declaration = declaration or classification()
    model = folder / "user_model"
    model.mkdir()
    (model / "train.py").write_text(script, encoding="utf-8")
    return run_user_script(model, declaration, split_of(declaration, folder))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (SIGNATURE + "    return 1 / 0\n", "train.py line 2: ZeroDivisionError: division by zero"),
        ("def train(features, target)\n    pass\n", "train.py line 1: SyntaxError"),
        ("import nowhere_to_be_found\n", "train.py line 1: ModuleNotFoundError"),
        (
            SIGNATURE + "    raise ValueError('Input X contains NaN.\\nSee the page:\\n\\nhttps://example.com')\n",
            "train.py line 2: ValueError: Input X contains NaN. See the page: https://example.com\n",
        ),
        (
            SIGNATURE + "    error = KeyError('wind')\n    error.add_note('a note\\nof two lines')\n    raise error\n",
            "train.py line 4: KeyError: 'wind'\n",
        ),
        (SIGNATURE + "    raise ValueError('x' * 5000)\n", f"train.py line 2: ValueError: {'x' * 388}…\n"),
        ("import sys\nsys.exit(3)\n", "train.py line 2: SystemExit: 3"),
        ("def train(features):\n    pass\n", "TypeError: train() "),
        ("def fit():\n    pass\n", "defines no function train(features, target, *, seed, parameters)"),
        (SIGNATURE + "    return {}\n", "train() returned dict, which has no predict_proba"),
        (SIGNATURE + "    return None\n", "train() returned NoneType"),
        (LINEAR + SIGNATURE + "    return LogisticRegression\n", "a fitted scikit-learn classifier"),
        (LINEAR + SIGNATURE + "    return LogisticRegression()\n", "LogisticRegression, which is not fitted"),
        (
            DUMMY + SIGNATURE + "    return DummyClassifier().fit(features, target * 0)\n",
            "the shape (16, 1); expected: (16, 2)",
        ),
        (
            DUMMY + SIGNATURE + "    return DummyClassifier().fit(features, target + 1)\n",
            "with the classes [1, 2]; expected: 0 and 1",
        ),
        (
            LINEAR + SIGNATURE + "    return LogisticRegression().fit(features[['distance']], target)\n",
            "ValueError",
        ),
    ],
)
def test_a_bad_script_is_refused_with_its_place(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(UserScriptError) as refusal:
        run(script, tmp_path)
    assert said in str(refusal.value)[:1024]


def test_a_regressor_that_answers_two_values_is_refused(tmp_path: Path) -> None:
    script = DUMMY + SIGNATURE + "    return DummyRegressor().fit(features, [[t, t] for t in target])\n"
    with pytest.raises(UserScriptError, match=r"the shape \(16, 2\); expected: \(16,\)"):
        run(script, tmp_path, regression())


def test_an_error_in_a_module_beside_the_script_is_placed_there(tmp_path: Path) -> None:
    (tmp_path / "user_model").mkdir()
    (tmp_path / "user_model" / "helper_of_test.py").write_text("x = 1\ny = x.nothing\n", encoding="utf-8")
    (tmp_path / "user_model" / "train.py").write_text("import helper_of_test\n", encoding="utf-8")
    declaration = classification()
    with pytest.raises(UserScriptError, match=r"^helper_of_test\.py line 2: AttributeError"):
        run_user_script(tmp_path / "user_model", declaration, split_of(declaration, tmp_path))


def test_the_script_gets_the_declared_features_seed_and_parameters(tmp_path: Path) -> None:
    script = (
        DUMMY
        + SIGNATURE
        + """    model = DummyClassifier().fit(features, target)
    model.seen = features, target, seed, parameters
    return model
"""
    )
    features, target, seed, parameters = vars(run(script, tmp_path))["seen"]
    assert list(features.columns) == ["distance", "wind", "line", "operator"]
    assert features["wind"].dtype == np.float64
    assert features["wind"].isna().any()
    assert set(features["operator"]) == {"a", "b", "c", ""}
    assert target.dtype == np.int64
    assert set(target) == {0, 1}
    assert (seed, parameters) == (7, {"trees": 25})


def test_what_the_script_does_to_its_rows_stays_with_it(tmp_path: Path) -> None:
    declaration = classification()
    split = split_of(declaration, tmp_path)
    before = split.features.copy()
    model = tmp_path / "user_model"
    model.mkdir()
    script = DUMMY + SIGNATURE + "    features['line'] = ''\n    target[:] = [0, 1] * 150\n"
    script += "    return DummyClassifier().fit(features, target)\n"
    (model / "train.py").write_text(script, encoding="utf-8")
    labels = present(split.target).copy()
    run_user_script(model, declaration, split)
    pd.testing.assert_frame_equal(split.features, before)
    assert np.array_equal(present(split.target), labels)


def test_a_feature_without_any_value_is_named_where_the_script_fails(tmp_path: Path) -> None:
    """GIVEN a feature that was declared before anybody had it; THEN the estimator's own words are not all there is."""
    declaration = classification()
    frame = rows(declaration, 300, 0, 1).assign(wind=np.nan)
    split = read_split(write_parts(frame, tmp_path / "train"), declaration, labelled=True)
    (tmp_path / "user_model").mkdir()
    (tmp_path / "user_model" / "train.py").write_text(CLASSIFIER, encoding="utf-8")
    with pytest.raises(UserScriptError) as failed:
        run_user_script(tmp_path / "user_model", declaration, split)
    what, hint = str(failed.value).splitlines()[:2]
    assert what.startswith("train.py line 12: ValueError")
    assert hint.startswith("'wind' has no value in any of the 300 training rows: leave it out of the script until")
