"""A model of MLflow's. With a folder it saves itself there, for ``mlflow models serve -m FOLDER/mlflow``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mlflow
from feeding import Model


class Scorer(mlflow.pyfunc.PythonModel):
    """Scores a data frame."""

    def load_context(self, context: Any) -> None:
        """Load the model."""
        self.model = Model(Path(os.environ["PEER_FOLDER"]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[float]:
        """Score the rows."""
        return self.model.scores(model_input.to_dict("records"))


if __name__ == "__main__":
    mlflow.pyfunc.save_model(Path(sys.argv[1]) / "mlflow", python_model=Scorer(), pip_requirements=[])
