from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from everloop.serving.contract import NumberField, ServingContract
from everloop.serving.exceptions import ScorerError
from everloop.serving.scorer import Scorer
from tests.helpers.artifacts import small_contract, small_model
from tests.helpers.onnx_models import linear_model

NUM = np.array([[100.0, np.nan], [0.0, 10.0]])
CAT = np.array([["north", "a", ""], ["west", "", "x"]], dtype=object)


def test_rows_are_scored_in_float64() -> None:
    scores = Scorer.from_bytes(small_model(), small_contract()).score(NUM, CAT)
    expected = 1 / (1 + np.exp(-np.array([0.1 + 1.0 + 0.5, 0.1])))
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=1e-15)


def test_a_model_without_categories_takes_numbers_alone() -> None:
    contract = small_contract(categories=(), problem_type="regression")
    scorer = Scorer.from_bytes(linear_model([2.0, 1.0], sigmoid=False), contract)
    scores = scorer.score(NUM, np.empty((2, 0), dtype=object))
    np.testing.assert_array_equal(scores, [200, 10])


def test_a_model_without_numbers_takes_categories_alone() -> None:
    contract = small_contract(numbers=(), problem_type="regression")
    scorer = Scorer.from_bytes(linear_model([], [{"north": 3.0}, {}, {}], sigmoid=False), contract)
    np.testing.assert_array_equal(scorer.score(np.empty((2, 0)), CAT), [3, 0])


@pytest.mark.parametrize(
    ("model", "contract"),
    [
        (b"no model", small_contract()),
        (b"", small_contract()),
        (linear_model([1.0, 1.0]), small_contract()),
        (linear_model([1.0], [{}, {}, {}]), small_contract()),
        (small_model(score_name="probability"), small_contract()),
        (small_model(score_type=TensorProto.FLOAT), small_contract()),
        (small_model(), small_contract(categories=())),
    ],
)
def test_a_model_of_another_contract_is_refused(model: bytes, contract: ServingContract) -> None:
    with pytest.raises(ScorerError, match=r"model\.onnx"):
        Scorer.from_bytes(model, contract)


@pytest.mark.parametrize(
    ("num", "cat"),
    [
        (NUM.astype(np.float32), CAT),
        (np.zeros((2, 2), dtype=np.int64), CAT),
        (NUM, CAT.astype(str)),
        (NUM[:, :1], CAT),
        (NUM, CAT[:, :2]),
        (NUM[0], CAT),
        (NUM[:1], CAT),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(num: np.ndarray, cat: np.ndarray) -> None:
    with pytest.raises(ScorerError):
        Scorer.from_bytes(small_model(), small_contract()).score(num, cat)


def test_a_score_that_is_no_probability_is_never_answered() -> None:
    scorer = Scorer.from_bytes(linear_model([1.0], sigmoid=False), ONE_NUMBER)
    with pytest.raises(ScorerError, match=r"3\.0 for row 1, which is not a probability"):
        scorer.score(np.array([[0.5], [3.0]]), np.empty((2, 0), dtype=object))


def test_a_score_that_is_not_finite_is_never_answered() -> None:
    contract = small_contract(numbers=(NumberField("a"),), categories=(), problem_type="regression")
    scorer = Scorer.from_bytes(linear_model([1e308], sigmoid=False), contract)
    with pytest.raises(ScorerError, match="inf for row 0"):
        scorer.score(np.array([[1e10]]), np.empty((1, 0), dtype=object))


ONE_NUMBER = small_contract(numbers=(NumberField("a"),), categories=())


class PublicSession:
    """A session without what the scorer runs by where it is there."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.run, self.get_inputs, self.get_outputs = session.run, session.get_inputs, session.get_outputs


def test_the_scores_are_those_of_the_session() -> None:
    session = onnxruntime.InferenceSession(small_model(), providers=["CPUExecutionProvider"])
    expected = session.run(["score"], {"num": NUM, "cat": CAT})[0]
    for one in (session, PublicSession(session)):
        scorer = Scorer(one, small_contract())
        np.testing.assert_array_equal(scorer.score(NUM, CAT), expected)
    assert hasattr(session, "_sess"), "this release of onnxruntime runs by something else: the scorer takes longer"
