"""The features as the trained estimator and as the exported model see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from everloop.model_file.schema import ModelDeclaration

NUMBER_INPUT = "num"
CATEGORY_INPUT = "cat"
SCORE_OUTPUT = "score"


@dataclass(frozen=True)
class ModelInputs:
    """The declared features.

    Attributes
    ----------
    columns : tuple of str
        All features in declared order: the columns of the frame an estimator is fitted on. It need not take them all.
    numbers : tuple of str
        The columns of the input ``num``: float64 [N, len(numbers)], NaN where missing.
    categories : tuple of str
        The columns of the input ``cat``: strings [N, len(categories)], ``""`` where missing.
    """

    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, declaration: ModelDeclaration) -> ModelInputs:
        """The inputs of a declared model."""
        data = declaration.data
        return cls(
            columns=tuple(f.name for f in data.features),
            numbers=tuple(f.name for f in data.numbers),
            categories=tuple(f.name for f in data.categories),
        )

    def arrays(self, features: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """What the exported model is fed for the rows of ``features``: ``num`` and ``cat``."""
        num = np.ascontiguousarray(features[list(self.numbers)].to_numpy(np.float64))
        cat = np.ascontiguousarray(features[list(self.categories)].to_numpy(object))
        return num, cat
