"""A custom runtime of MLServer's. ``mlserver start FOLDER``."""

from __future__ import annotations

import os
from pathlib import Path

from feeding import Model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Scorer(MLModel):
    """Scores rows, which come as a tensor a column."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = Model(Path(os.environ["PEER_FOLDER"]))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score the rows."""
        columns = {
            tensor.name: NumpyCodec.decode_input(tensor).tolist() if tensor.datatype == "FP64" else tensor.data.root
            for tensor in payload.inputs
        }
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        scores = self.model.scores(rows)
        output = ResponseOutput(name="score", shape=[len(scores)], datatype="FP64", data=scores)
        return InferenceResponse(model_name=self.name, outputs=[output])
