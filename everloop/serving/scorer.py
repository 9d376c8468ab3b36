"""Runs a model. ONNX bytes in, one float64 score for each row out."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

import numpy as np

from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ScorerError, UnusableScoreError

if TYPE_CHECKING:
    import onnxruntime

NUMBERS_INPUT = "num"
CATEGORIES_INPUT = "cat"
SCORE_OUTPUT = "score"

_OUTPUTS = [SCORE_OUTPUT]
_FLOAT64, _OBJECT = np.dtype(np.float64), np.dtype(object)

SUM_TOLERANCE = 1e-6
"""How far the probabilities of all classes may add up to something else than 1: float32 has seven digits."""


class ScoresRows(Protocol):
    """Scores rows of the two matrices, as :class:`Scorer` does."""

    def score(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        """Scores of the rows of ``num`` and ``cat``."""


class Scorer:
    """A loaded model whose inputs and output are those of its serving contract.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The model.
    contract : ServingContract
        What it must take.

    Raises
    ------
    ScorerError
        When an input or the output is missing, extra, or of another type or width.
    """

    def __init__(self, session: onnxruntime.InferenceSession, contract: ServingContract) -> None:
        self._session = session
        # What the session runs by. Its own ``run`` looks at names and devices first, which are known here.
        self._run_session = getattr(session, "_sess", session).run
        self._is_probability = contract.is_classification or contract.is_multiclass
        self._classes = len(contract.classes)
        self._range = (0.0, 1.0) if self._is_probability else (-sys.float_info.max, sys.float_info.max)
        self._columns = len(contract.numbers), len(contract.categories)
        self._widths = _widths(contract)
        self._check_signature()

    @classmethod
    def from_bytes(cls, model: bytes, contract: ServingContract) -> Scorer:
        """Load a model from the bytes of ``model.onnx``.

        Raises
        ------
        ScorerError
            When the bytes are no model, or not one of this contract.
        """
        # Official builds report their use to Microsoft, from a thread of their own, unless told not to.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A request has few rows and the function few cores: more threads only wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # One row's tensors are small: the system's allocator hands them out faster than a store of the session's own.
        options.enable_cpu_mem_arena = False
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no public base class
            raise ScorerError(f"model.onnx can't be loaded: {error}") from error
        return cls(session, contract)

    def score(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        """Score rows.

        Parameters
        ----------
        num : float64 array, shape (rows, number features)
            NaN is missing.
        cat : object array of str, shape (rows, category features)
            The empty string is missing.

        Returns
        -------
        float64 array, shape (rows,), or (rows, classes) of a multiclass classification
            The probability of 1, that of each class, or the predicted value.

        Raises
        ------
        UnusableScoreError
            When a score is not a finite number, or no probability; of several classes when they do not add up to 1.
        ScorerError
            When an array has another type or shape.
        """
        scores = self._run(num, cat)
        if not self._classes and self._in_range(scores.tolist()):
            return scores
        usable = self._usable(scores)
        if not usable.all():
            raise self._unusable(scores, usable)
        return scores

    def plain(self, num: np.ndarray, cat: np.ndarray) -> tuple[np.ndarray, list[float]] | None:
        """:meth:`score` of arrays whose types and shapes are known to be right, also as a list; not of several classes.

        None where a score can't be answered.
        """
        scores = self._asked(num, cat)
        values: list[float] = scores.tolist()
        return (scores, values) if len(values) == len(num) and self._in_range(values) else None

    def _unusable(self, scores: np.ndarray, usable: np.ndarray) -> UnusableScoreError:
        rows = tuple(np.flatnonzero(~usable).tolist())
        wanted = "a probability" if self._is_probability else "a finite number"
        if self._classes:
            wanted = "a probability of each class, 1 together"
        message = f"the model gave {scores[rows[0]]} for row {rows[0]}, which is not {wanted}"
        return UnusableScoreError(rows, scores, message)

    def usable(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        """Which of these rows get a score that can be answered; the arguments are those of :meth:`score`."""
        return self._usable(self._run(num, cat))

    def _run(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        rows, (numbers, categories) = len(num), self._columns
        if num.shape != (rows, numbers) or cat.shape != (rows, categories):
            raise self._misshapen(num, cat)
        # A dtype is mostly the one object that numpy has of it, and to compare two takes longer.
        if num.dtype is not _FLOAT64 and num.dtype != _FLOAT64:
            raise ScorerError(f"the numbers are {num.dtype}, not float64")
        if cat.dtype is not _OBJECT and cat.dtype != _OBJECT:
            raise ScorerError(f"the categories are {cat.dtype}, not objects with strings")
        scores = self._asked(num, cat)
        if scores.shape != ((rows, self._classes) if self._classes else (rows,)):
            raise ScorerError(f"the model gave shape {scores.shape} for {rows} rows")
        return scores

    def _asked(self, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        """What the session says of two arrays as it takes them."""
        numbers, categories = self._columns
        feed = {NUMBERS_INPUT: num} if numbers else {}
        if categories:
            feed[CATEGORIES_INPUT] = cat
        scores: np.ndarray = self._run_session(_OUTPUTS, feed, None)[0]
        return scores

    def _in_range(self, values: list[float]) -> bool:
        """Whether each can be answered; for the few rows of a request Python compares faster than numpy."""
        low, high = self._range
        for value in values:  # noqa: SIM110  # a generator takes longer than all the comparisons
            if not low <= value <= high:
                return False
        return True

    def _misshapen(self, num: np.ndarray, cat: np.ndarray) -> ScorerError:
        for array, width, kind in zip((num, cat), self._columns, ("numbers", "categories"), strict=True):
            if array.ndim != 2 or array.shape[1] != width:
                return ScorerError(f"the {kind} have shape {array.shape}, not (rows, {width})")
        return ScorerError(f"{num.shape[0]} rows of numbers, {cat.shape[0]} of categories")

    def _usable(self, scores: np.ndarray) -> np.ndarray:
        usable: np.ndarray = np.isfinite(scores)
        if self._is_probability:
            usable &= (scores >= 0) & (scores <= 1)
        if self._classes:
            with np.errstate(invalid="ignore"):  # infinities of either sign have no sum
                together = np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE
            return np.asarray(usable.all(axis=1) & together)
        return usable

    def _check_signature(self) -> None:
        wanted = {name: _wanted_input(name, width) for name, width in self._widths.items()}
        found = {i.name: (i.type, _width(i.shape)) for i in self._session.get_inputs()}
        if found != wanted:
            raise ScorerError(f"model.onnx takes {found}; its contract needs {wanted}")
        outputs = {o.name: (o.type, len(o.shape)) for o in self._session.get_outputs()}
        axes = 2 if self._classes else 1
        if outputs.get(SCORE_OUTPUT) != ("tensor(double)", axes):
            word = "axes" if self._classes else "axis"
            raise ScorerError(
                f"model.onnx gives {outputs}; needed is {SCORE_OUTPUT!r}, tensor(double) of {axes} {word}"
            )


def _widths(contract: ServingContract) -> dict[str, int]:
    widths = {NUMBERS_INPUT: len(contract.numbers), CATEGORIES_INPUT: len(contract.categories)}
    return {name: width for name, width in widths.items() if width}


def _wanted_input(name: str, width: int) -> tuple[str, int]:
    return ("tensor(double)" if name == NUMBERS_INPUT else "tensor(string)", width)


def _width(shape: list[int | str | None]) -> int | str | None:
    return shape[1] if len(shape) == 2 else None
