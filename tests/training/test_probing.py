"""A model is held against what its contract admits, before anything is evaluated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.scorer import Scorer
from everloop.training.exceptions import ProbeError
from everloop.training.onnx_export import ModelInputs, export_onnx, trained_scores
from everloop.training.probes import counted
from everloop.training.probing import Probed, check_probes
from tests.helpers.artifacts import small_contract

INPUTS = ModelInputs(("amount", "age", "country"), ("amount", "age"), ("country",))
AMOUNT, AGE = NumberField("amount", min=0), NumberField("age", missing="allow")
COUNTRY = CategoryField("country", missing="allow", values=("DE", "FR"))
CONTRACT = small_contract(numbers=(AMOUNT, AGE), categories=(COUNTRY,))
RNG = np.random.default_rng(3)
FEATURES = pd.DataFrame(
    {
        "amount": RNG.gamma(2, 50, 400).round(2),
        "age": RNG.integers(1, 400, 400).astype(float),  # never missing
        "country": pd.Series(RNG.choice(["DE", "FR"], 400).tolist(), dtype=object),
    }
)
LATE = (FEATURES["age"] + RNG.normal(0, 100, 400) > 200).to_numpy(int)
ONE_HOT, SCALER = OneHotEncoder(handle_unknown="ignore"), StandardScaler()
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
NAN_ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
IMPUTED = make_pipeline(SimpleImputer(), StandardScaler())


def fitted(numbers: Any, categories: Any, model: Any, target: np.ndarray = LATE) -> Any:
    columns = ColumnTransformer([("n", numbers, ["amount", "age"]), ("c", categories, ["country"])])
    return make_pipeline(columns, model).fit(FEATURES, target)


def probe(estimator: Any, contract: ServingContract = CONTRACT, **options: Any) -> Probed:
    kind = contract.problem_type
    model = export_onnx(getattr(estimator, "of", estimator), INPUTS, kind).SerializeToString()
    scorer = Scorer.from_bytes(model, contract)
    return check_probes(lambda f: trained_scores(estimator, f, kind), scorer, contract, FEATURES, seed=1, **options)


@pytest.mark.parametrize(
    ("numbers", "categories", "model"),
    [
        (IMPUTED, ONE_HOT, LogisticRegression()),
        ("passthrough", ORDINAL, HistGradientBoostingClassifier(max_iter=10)),
        ("passthrough", ORDINAL, HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=400)),  # one leaf
        ("passthrough", ORDINAL, RandomForestClassifier(n_estimators=5, random_state=0)),
        (SimpleImputer(), ONE_HOT, GradientBoostingClassifier(n_estimators=5)),
    ],
)
def test_a_model_that_answers_all_that_is_declared_passes(numbers: Any, categories: Any, model: Any) -> None:
    """GIVEN history without a missing value; THEN the exported model answers what was never seen as the trained one."""
    found = probe(fitted(numbers, categories, model))
    assert found.possibilities == counted(CONTRACT)
    assert found.rows == 8 * sum(found.possibilities.values())
    assert found.max_abs_difference < 1e-9


def test_a_number_that_may_be_missing_and_never_was_is_refused_where_the_model_has_no_answer() -> None:
    linear = fitted(SCALER, ONE_HOT, LogisticRegression())
    with pytest.raises(ProbeError) as refused:
        probe(linear)
    lines = str(refused.value).splitlines()
    assert lines[1].startswith("'age' missing: the model answers nan in 8 of 8 rows. None of the 400 training rows had")
    assert "Put a SimpleImputer before the model, or declare 'age' missing: refuse." in lines[1]
    # AND the remedies work
    needs_age = replace(CONTRACT, numbers=(AMOUNT, replace(AGE, missing="refuse")))
    assert probe(linear, needs_age).possibilities == counted(needs_age)


def test_what_the_trained_model_itself_refuses_proves_nothing_of_the_exported_one() -> None:
    """GIVEN classic boosting, whose exported trees send NaN somewhere although the trained ones raise."""
    with pytest.raises(ProbeError, match=r"'age' missing: the trained model raises ValueError: .*NaN.*SimpleImputer"):
        probe(fitted("passthrough", ONE_HOT, GradientBoostingClassifier(n_estimators=5)))


def test_an_unseen_category_is_probed_unless_it_is_refused() -> None:
    estimator = fitted(IMPUTED, NAN_ORDINAL, LogisticRegression())
    needs_known = replace(CONTRACT, categories=(replace(COUNTRY, missing="refuse"),))
    with pytest.raises(
        ProbeError, match=r"'country' as '𐍈', an unseen category: the model answers nan.*unseen: refuse"
    ):
        probe(estimator, needs_known)
    closed = replace(CONTRACT, categories=(replace(COUNTRY, missing="refuse", unseen="refuse"),))
    assert "unseen" not in probe(estimator, closed).possibilities
    # AND a declared value that no training row has is as unknown to the encoder
    declared = replace(closed.categories[0], values=("DE", "ES", "FR"))
    with pytest.raises(ProbeError, match="'country' as 'ES': the model answers nan"):
        probe(estimator, replace(closed, categories=(declared,)))


def test_a_missing_category_without_an_answer_is_refused() -> None:
    with pytest.raises(ProbeError, match="'country' missing: the model answers nan in 8 of 8 rows"):
        probe(fitted(IMPUTED, NAN_ORDINAL, LogisticRegression()))


class TestARegression:
    VALUES = 3 * FEATURES["age"].to_numpy() + RNG.normal(0, 1, 400)

    def contract(self, **amount: Any) -> ServingContract:
        return replace(CONTRACT, problem_type="regression", numbers=(replace(AMOUNT, **amount), AGE))

    def test_answers_at_its_limits(self) -> None:
        ridge = fitted(IMPUTED, ONE_HOT, Ridge(), self.VALUES)
        assert probe(ridge, self.contract()).outside_target == 0
        # AND extrapolates beyond the range of its labels, which is counted and no refusal
        assert probe(ridge, self.contract(max=1e6), target_range=(0, 1300)).outside_target > 0

    @pytest.mark.parametrize(("limit", "answer"), [(1e308, "inf"), (1e65, "9.99996e+66")])
    def test_is_refused_where_a_declared_limit_overflows_or_cannot_be_counted(self, limit: float, answer: str) -> None:
        steep = fitted(SimpleImputer(), ONE_HOT, Ridge(), self.VALUES + 100 * FEATURES["amount"])
        with pytest.raises(ProbeError) as refused:
            probe(steep, self.contract(max=limit))
        assert f"'amount' as {limit:g}, its declared max: the model answers {answer} in 8 of" in str(refused.value)
        assert "Declare the real limits of 'amount'" in str(refused.value)


class Moved:
    """An estimator that answers a missing age otherwise than it was exported."""

    def __init__(self, of: Any, by: float) -> None:
        self.of, self.by = of, by

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        moved = np.where(features["age"].isna(), self.by, 0.0)
        values: np.ndarray = self.of.predict_proba(features) + moved[:, None]
        return values


@pytest.mark.parametrize("by", [1e-6, np.nan])
def test_a_difference_from_the_trained_model_is_refused_nan_too(by: float) -> None:
    with pytest.raises(ProbeError, match="differs from the trained one for 'age' missing"):
        probe(Moved(fitted(IMPUTED, ONE_HOT, LogisticRegression()), by))


def test_many_features_without_an_answer_are_told_within_what_is_shown_of_a_failure() -> None:
    numbers = (replace(AMOUNT, missing="allow"), AGE)
    with pytest.raises(ProbeError, match="and 2 more") as refused:
        probe(fitted(SCALER, NAN_ORDINAL, LogisticRegression()), replace(CONTRACT, numbers=numbers))
    assert len(str(refused.value)) < 1024
    assert "'amount' missing" in str(refused.value)


class AnswersUnless:
    """Scores 0.5, and NaN where two numbers are missing beside a country that is there."""

    def score(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(num).all(axis=1) & (cat[:, 0] != ""), np.nan, 0.5)


def test_a_model_without_an_answer_only_where_some_come_together_is_refused() -> None:
    """GIVEN a model that answers each alone, and all together."""
    both = replace(CONTRACT, numbers=(replace(AMOUNT, missing="allow"), AGE))

    with pytest.raises(ProbeError, match="'amount' missing, 'age' missing, together: the model answers nan in 8 of 8"):
        check_probes(lambda f: np.full(len(f), 0.5), AnswersUnless(), both, FEATURES, seed=1)
    check_probes(lambda f: np.full(len(f), 0.5), AnswersUnless(), CONTRACT, FEATURES, seed=1)
