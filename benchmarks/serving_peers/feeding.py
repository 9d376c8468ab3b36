"""What every peer does with rows: the model's two inputs, and its score. Each imports it from its own environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Model:
    """The model beside this run's ``columns.json``, with the session options that the product has."""

    def __init__(self, folder: Path) -> None:
        columns = json.loads((folder / "columns.json").read_text())
        self.numbers, self.categories = columns["numbers"], columns["categories"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)

    def scores(self, rows: list[dict[str, Any]]) -> list[float]:
        """A score a row."""
        num = np.array([[row[name] for name in self.numbers] for row in rows], dtype=np.float64)
        cat = np.array([[row[name] for name in self.categories] for row in rows], dtype=object)
        scores: list[float] = self._session.run(["score"], {"num": num, "cat": cat})[0].tolist()
        return scores
