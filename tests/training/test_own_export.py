"""A script that writes its model itself: held to the same proofs, and refused where it breaks its promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from everloop.manifest import CONTRACT, MODEL
from everloop.model_file.schema import ModelDeclaration
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from everloop.training.exceptions import ProbeError, UserScriptError, WarmStartError
from everloop.training.onnx_export import ParityError
from everloop.training.train import Job, run
from tests.helpers.declarations import binary_document, declare
from tests.training.scenes import classification, regression, rows, unpacked_source, write_parts

# A least-squares line by numpy alone, which no exporter knows, written by hand as ONNX.
SCRIPT = """
import numpy as np
from onnx import TensorProto, helper, numpy_helper

NUMBERS = ["distance", "wind"]


def design(features):
    return np.nan_to_num(features[NUMBERS].to_numpy(TYPE), nan=10.0).clip(-100, 100)


def train(features, target, *, seed, parameters):
    X = np.column_stack([design(features), np.ones(len(features))])
    return np.linalg.lstsq(X.astype(float), np.asarray(target, dtype=float), rcond=None)[0].astype(TYPE)


def predict(model, features):
    value = design(features) @ model[:2] + model[2]
    return 1 / (1 + np.exp(-value)) if LOGISTIC else value


def export(model, inputs):
    assert inputs.numbers == tuple(NUMBERS), inputs
    w, b = model[:2].reshape(2, 1).astype(float) * FACTOR, model[2:].astype(float)
    limits = {"low": np.array(-100.0), "high": np.array(100.0)}
    weights = {"w": w, "b": b, "fill": np.array(10.0), **limits, "flat": np.array([-1])}
    nodes = [
        helper.make_node("IsNaN", ["num"], ["missing"]),
        helper.make_node("Where", ["missing", "fill", "num"], ["filled"]),
        helper.make_node("Clip", ["filled", "low", "high"], ["x"]),
        helper.make_node("Gemm", ["x", "w", "b"], ["value"]),
        *([helper.make_node("Sigmoid", ["value"], ["chance"])] if LOGISTIC else []),
        helper.make_node("Reshape", ["chance" if LOGISTIC else "value", "flat"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes, "line",
        [helper.make_tensor_value_info("num", TensorProto.DOUBLE, ["N", 2])],
        [helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["N"])],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return MADE
"""


def script(*, logistic: bool = False, kind: str = "np.float64", factor: float = 1.0, made: str = "made") -> str:
    values = {"TYPE": kind, "LOGISTIC": str(logistic), "FACTOR": str(factor), "MADE": made}
    text = SCRIPT
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def trained(folder: Path, text: str, declaration: ModelDeclaration) -> Path:
    job = Job(
        code=unpacked_source(folder / "code", declaration, text),
        train=write_parts(rows(declaration, 400, 0, 1), folder / "train"),
        test_features=write_parts(rows(declaration, 200, 4, 2), folder / "test"),
        model=folder / "model",
    )
    run(job)
    return job.model


@pytest.mark.parametrize("logistic", [False, True], ids=["values", "chances"])
def test_its_file_is_proven_and_served(tmp_path: Path, logistic: bool) -> None:
    model = trained(tmp_path, script(logistic=logistic), classification() if logistic else regression())
    contract = ServingContract.from_json((model / CONTRACT).read_bytes())
    assert [f.name for f in contract.numbers] == ["distance", "wind"]
    # THEN callers need not send what the file does not take.
    assert contract.categories == ()
    proof = json.loads((model / "parity.json").read_text())
    assert proof["rows"] == 200
    assert proof["max_abs_difference"] < 1e-12
    assert proof["probes"]["rows"] > 50
    Scorer.from_bytes((model / MODEL).read_bytes(), contract)


def test_float32_answers_are_held_to_their_own_digits(tmp_path: Path) -> None:
    model = trained(tmp_path, script(kind="np.float32", logistic=True), classification())
    assert 1e-9 < json.loads((model / "parity.json").read_text())["max_abs_difference"] < 1e-6


def test_the_bytes_are_the_same_twice(tmp_path: Path) -> None:
    first, second = (trained(tmp_path / name, script(), regression()) / MODEL for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_an_export_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="the exported model differs from the trained one"):
        trained(tmp_path, script(factor=1.0001, logistic=True), classification())


def test_an_export_that_differs_where_no_test_row_is_is_refused(tmp_path: Path) -> None:
    """GIVEN a file that fills a missing number otherwise, and test rows that miss none."""
    text = script().replace('"fill": np.array(10.0)', '"fill": np.array(9.0)')
    declaration = regression()
    job = Job(
        code=unpacked_source(tmp_path / "code", declaration, text),
        train=write_parts(rows(declaration, 400, 0, 1), tmp_path / "train"),
        test_features=write_parts(rows(declaration, 200, 4, 2).assign(wind=5.0), tmp_path / "test"),
        model=tmp_path / "model",
    )
    with pytest.raises(ProbeError, match="'wind' missing"):
        run(job)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (script(made="None"), "train.py: what export() returned is NoneType; expected: an onnx.ModelProto"),
        (script(made="b'no model'"), "is no valid ONNX model"),
        (script().replace('"num", TensorProto.DOUBLE', '"num", TensorProto.FLOAT'), "takes 'num': float of 2 columns"),
        (script().replace('["N", 2]', '["N", 3]'), "takes 'num': double of 3 columns"),
        (script().replace('"num"', '"X"'), "takes 'X'"),
        (script().replace('"score"', '"y"'), "Expected are the inputs 'num'"),
        (script(made="1 / 0"), "division by zero"),
        (script().replace("def predict", "def other"), "ndarray, which has no predict; define predict(model, feat"),
        (script().replace("@ model[:2] + model[2]", "[:, :1]"), "answers 16 rows with float64 of the shape (16, 1)"),
        (script().replace("@ model[:2] + model[2]", "@ model[:2] / 0 * 0"), "which is not a finite number"),
    ],
    ids=range(10),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_broken_promise_is_refused_with_what_came(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserScriptError) as refusal:
        trained(tmp_path, text, regression())
    assert said in str(refusal.value)


def test_a_warm_start_is_refused(tmp_path: Path) -> None:
    declaration = declare(binary_document(training={"warm_start": {}}))
    with pytest.raises(WarmStartError, match="exports its model itself"):
        trained(tmp_path, script(logistic=True), declaration)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize(
    "made",
    [
        "from lightgbm import LGBMClassifier as Own; OPTIONS = {'num_leaves': 5, 'verbose': -1}",
        "from xgboost import XGBClassifier as Own; OPTIONS = {'max_depth': 3}",
    ],
    ids=["lightgbm", "xgboost"],
)
def test_boosters_of_other_packages_need_no_export(tmp_path: Path, made: str) -> None:
    text = f"""
{made}
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def train(features, target, *, seed, parameters):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pre = ColumnTransformer([("cat", encoder, ["line", "operator"])], remainder="passthrough")
    return make_pipeline(pre, Own(n_estimators=10, random_state=seed, n_jobs=1, **OPTIONS)).fit(features, target)
"""
    model = trained(tmp_path, text, classification())
    assert json.loads((model / "parity.json").read_text())["label_flips"] == 0
