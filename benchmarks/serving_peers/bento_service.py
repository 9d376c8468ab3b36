"""A service of BentoML's, as its documentation begins. ``bentoml serve bento_service:Scorer``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
from feeding import Model


@bentoml.service
class Scorer:
    """Scores rows."""

    def __init__(self) -> None:
        self.model = Model(Path(os.environ["PEER_FOLDER"]))

    @bentoml.api
    def predict(self, instances: list[dict[str, Any]]) -> list[float]:
        """Score the rows."""
        return self.model.scores(instances)
