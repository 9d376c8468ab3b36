"""Keeps every answer as the caller received it, column by column, until it is written as evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from everloop.serving.protocols.predictions import PredictionsDocument


def chance_column(model: str, place: int) -> str:
    """The column with what ``model``, ``loop`` or ``frozen``, said of the class at this place."""
    return f"probability_{place}" if model == "loop" else f"{model}_probability_{place}"


@dataclass
class Answers:
    """The answers so far, in the order they came.

    Of several ``classes`` the prediction, like the label, is the place of one of them; each has its probabilities.
    """

    asked_at: list[datetime] = field(default_factory=list)
    key: list[str] = field(default_factory=list)
    prediction_id: list[str] = field(default_factory=list)
    version: list[int] = field(default_factory=list)
    prediction: list[float] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    raw_score: list[float] = field(default_factory=list)
    calibration: list[str | None] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    _position: dict[str, int] = field(default_factory=dict)
    _label_at: dict[int, datetime] = field(default_factory=dict)
    _label: dict[int, float] = field(default_factory=dict)

    def add(self, at: datetime, keys: list[str], answer: PredictionsDocument) -> None:
        """Keep one answer of the predictions route."""
        for key, row in zip(keys, answer["predictions"], strict=True):
            self._position[key] = len(self.key)
            self.asked_at.append(at)
            self.key.append(key)
            self.prediction_id.append(row["prediction_id"])
            self.version.append(int(answer["version"]))
            said = row["prediction"]
            self.prediction.append(float(self.classes.index(str(said)) if self.classes else said))
            self.probability.append(float(row.get("probability", np.nan)))
            self.raw_score.append(float(row.get("raw_score", np.nan)))
            if self.classes:
                self.probabilities.append([row["probabilities"][name] for name in self.classes])
            self.calibration.append(answer["calibration"])
            self.low.append(float(row.get("low", np.nan)))
            self.high.append(float(row.get("high", np.nan)))

    def prediction_id_of(self, key: str) -> str:
        """The id of the answer given for ``key``."""
        return self.prediction_id[self._position[key]]

    def has(self, key: str) -> bool:
        """Whether there is an answer for ``key``."""
        return key in self._position

    def add_label(self, key: str, label: float, at: datetime) -> None:
        """Keep the outcome of ``key`` and when it was sent."""
        self._label[self._position[key]] = label
        self._label_at[self._position[key]] = at

    def to_frame(self) -> pd.DataFrame:
        """All of it: one row an answer, the label and its instant missing where none ever came."""
        rows = range(len(self.key))
        of_classes = {
            chance_column("loop", place): [each[place] for each in self.probabilities]
            for place, _ in enumerate(self.classes)
        }
        return pd.DataFrame(
            {
                "time": pd.to_datetime(pd.Series(self.asked_at), utc=True),
                "key": pd.Series(self.key, dtype="str"),
                "prediction_id": pd.Series(self.prediction_id, dtype="str"),
                "version": np.asarray(self.version, dtype=np.int32),
                "prediction": self.prediction,
                "probability": self.probability,
                "raw_score": self.raw_score,
                "calibration": pd.Series(self.calibration, dtype="str"),
                "low": self.low,
                "high": self.high,
                **of_classes,
                "label": [self._label.get(i, np.nan) for i in rows],
                "label_time": pd.to_datetime(pd.Series([self._label_at.get(i) for i in rows]), utc=True),
            }
        )
