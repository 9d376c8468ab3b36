"""A model whose own script writes it as ONNX: of any framework, held to the same proofs as every other.

The script defines ``export(model, inputs)`` beside ``train()``. It may define ``predict(model, features)``; without it
the model's own ``predict_proba`` or ``predict`` is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from everloop.problem_types import ProblemType
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ScorerError
from everloop.serving.scorer import SUM_TOLERANCE, Scorer
from everloop.training.exceptions import UserScriptError
from everloop.training.onnx_export import ModelInputs, export_onnx, used_inputs
from everloop.training.onnx_export.inputs import CATEGORY_INPUT, NUMBER_INPUT, SCORE_OUTPUT

_PROMISE = (
    f"the inputs {NUMBER_INPUT!r} (double, [N, number features]) and {CATEGORY_INPUT!r} (string, [N, category"
    f" features]), each only where it is used, and the output {SCORE_OUTPUT!r} (double, [N]; of several classes"
    " [N, classes])"
)


@dataclass(frozen=True)
class OwnModel:
    """What ``train()`` returned, with the script's functions that speak for it.

    Attributes
    ----------
    model
        Of any type.
    call : callable
        Runs a piece of the script, so that what it raises becomes a message with its line.
    export : callable
        ``export(model, inputs)``: an ``onnx.ModelProto``, or its bytes.
    predict : callable or None
        ``predict(model, features)``: the probability of 1, that of each class, or the value, of each row.
    classes : int
        Of a multiclass classification; else 0.
    """

    script: str
    model: Any
    classification: bool
    call: Callable[[Callable[[], Any]], Any]
    export: Callable[..., Any]
    predict_with: Callable[..., Any] | None
    classes: int = 0

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """The probability of 1, or the value, of each row, in the type that the model answers in.

        Raises
        ------
        UserScriptError
            When the model has no answer, or one of another shape.
        """
        answer = np.asarray(self._asked(features))
        shape = (len(features), self.classes) if self.classes else (len(features),)
        if answer.shape != shape or answer.dtype.kind not in "fiu":
            raise UserScriptError(
                f"{self.script}: {self._asked_how} answers {len(features)} rows with {answer.dtype} of the shape"
                f" {answer.shape}; expected: numbers of the shape {shape}"
            )
        return answer

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        """The probabilities of 0 and 1 [rows, 2], or of several classes [rows, classes]."""
        positive = self.predict(features)
        if self.classes:
            return positive
        return np.column_stack([1 - positive, positive])

    def check(self, rows: pd.DataFrame) -> None:
        """Refuse a model whose answers to ``rows`` can't be used.

        Raises
        ------
        UserScriptError
            With what was answered.
        """
        answer = self.predict(rows).astype(np.float64)
        odd = ~np.isfinite(answer) | (((answer < 0) | (answer > 1)) if self.classification else False)
        if self.classes and not odd.any() and (np.abs(answer.sum(axis=1) - 1) > SUM_TOLERANCE).any():
            raise UserScriptError(f"{self.script}: {self._asked_how} answers probabilities that are not 1 together")
        if odd.any():
            wanted = "a probability" if self.classification else "a finite number"
            raise UserScriptError(f"{self.script}: {self._asked_how} answers {answer[odd][0]}, which is not {wanted}")

    def written(self, inputs: ModelInputs) -> tuple[bytes, ModelInputs]:
        """What ``export()`` wrote, and the inputs that it takes: all features of a kind, or none.

        Raises
        ------
        UserScriptError
            When it is no ONNX file of the promised inputs and output, or one that needs files beside it.
        """
        made = self.call(lambda: self.export(self.model, inputs))
        content = bytes(made) if isinstance(made, bytes | bytearray) else self._serialised(made)
        try:
            model = onnx.load_model_from_string(content)
            onnx.checker.check_model(model)
        except Exception as error:  # onnx and protobuf have no common class
            raise self._refused(f"is no valid ONNX model: {' '.join(str(error).split())[:300]}") from error
        for tensor in model.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:
                raise self._refused(f"keeps the tensor {tensor.name!r} in another file; the model has to be one file")
        return content, self._taken(model, inputs)

    def _taken(self, model: onnx.ModelProto, inputs: ModelInputs) -> ModelInputs:
        constants = {tensor.name for tensor in model.graph.initializer}
        found = {i.name: _shown(i) for i in model.graph.input if i.name not in constants}
        possible = {
            NUMBER_INPUT: (TensorProto.DOUBLE, len(inputs.numbers)),
            CATEGORY_INPUT: (TensorProto.STRING, len(inputs.categories)),
        }
        for name, (kind, width) in found.items():
            if name not in possible or (kind, width) != possible[name] or not width:
                raise self._refused(f"takes {name!r}: {_words(kind, width)}. Expected are {_PROMISE}")
        outputs = {o.name: o for o in model.graph.output}
        score = outputs.get(SCORE_OUTPUT)
        if score is None or score.type.tensor_type.elem_type != TensorProto.DOUBLE:
            given = ", ".join(f"{name!r}: {_words(*_shown(o))}" for name, o in outputs.items())
            raise self._refused(f"gives {given}. Expected are {_PROMISE}")
        return ModelInputs(
            inputs.columns,
            inputs.numbers if NUMBER_INPUT in found else (),
            inputs.categories if CATEGORY_INPUT in found else (),
        )

    def _serialised(self, made: Any) -> bytes:
        if not isinstance(made, onnx.ModelProto):
            raise self._refused(f"is {type(made).__name__}; expected: an onnx.ModelProto, or its bytes")
        return bytes(made.SerializeToString(deterministic=True))

    def _refused(self, what: str) -> UserScriptError:
        return UserScriptError(f"{self.script}: what export() returned {what}")

    def _asked(self, features: pd.DataFrame) -> Any:
        given = features.copy()
        if self.predict_with is not None:
            asked = self.predict_with
            return self.call(lambda: asked(self.model, given))
        method = getattr(self.model, self._method, None)
        if not callable(method):
            raise UserScriptError(
                f"{self.script}: train() returned {type(self.model).__name__}, which has no {self._method}; define"
                " predict(model, features) beside export()"
            )
        answer = self.call(lambda: np.asarray(method(given)))
        two = self.classification and not self.classes and answer.ndim == 2 and answer.shape[1] == 2
        return answer[:, 1] if two else answer

    @property
    def _method(self) -> str:
        return "predict_proba" if self.classification else "predict"

    @property
    def _asked_how(self) -> str:
        return "predict()" if self.predict_with is not None else f"{type(self.model).__name__}.{self._method}()"


def exported(estimator: Any, inputs: ModelInputs, problem_type: ProblemType) -> tuple[bytes, ModelInputs]:
    """A trained model as the bytes of ``model.onnx``, and the inputs that it uses.

    Raises
    ------
    ExportRefusedError, UserScriptError
        When the exporter doesn't know it, or its own ``export()`` gave what can't be served.
    """
    if isinstance(estimator, OwnModel):
        return estimator.written(inputs)
    used = used_inputs(estimator, inputs, problem_type)
    return export_onnx(estimator, used, problem_type).SerializeToString(), used


def loaded(estimator: Any, model: bytes, contract: ServingContract) -> Scorer:
    """The exported model as it will be served.

    Raises
    ------
    UserScriptError
        When what the script exported can't be: the runtime lacks an operator, for instance.
    """
    try:
        return Scorer.from_bytes(model, contract)
    except ScorerError as error:
        if isinstance(estimator, OwnModel):
            raise UserScriptError(f"{estimator.script}: what export() returned can't be served: {error}") from error
        raise


def _shown(value: onnx.ValueInfoProto) -> tuple[int, int | None]:
    """The type of the elements, and how many columns a row has; None where that is not said."""
    kind = value.type.tensor_type
    sizes = kind.shape.dim
    return kind.elem_type, (sizes[1].dim_value or None) if len(sizes) == 2 else None


def _words(kind: int, width: int | None) -> str:
    return f"{TensorProto.DataType.Name(kind).lower()} of {'unsaid' if width is None else width} columns"
