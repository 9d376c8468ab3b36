"""The serving contract of a trained model: the declared features that it uses, and what training saw of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.model_file.schema import Feature, ModelDeclaration
from everloop.recalibration.interval import Interval
from everloop.serving.contract import CategoryField, NumberField, ServingContract

if TYPE_CHECKING:
    # The evaluation has nothing that fits or exports models.
    from everloop.training.onnx_export.inputs import ModelInputs


def build_contract(declaration: ModelDeclaration, features: pd.DataFrame, inputs: ModelInputs) -> ServingContract:
    """Write the contract.

    Parameters
    ----------
    features : DataFrame
        The training rows. A category's values are those declared and those seen here; the empty string, which
        stands for a missing one, is none.
    inputs : ModelInputs
        What the model takes: a declared feature that it does not use is no part of what it needs.
    """
    return ServingContract(
        model=declaration.model,
        problem_type=declaration.problem.type,
        key=declaration.data.key,
        target=declaration.data.target,
        threshold=declaration.serving.threshold,
        max_rows=declaration.serving.max_rows,
        numbers=tuple(_number(f, features[f.name]) for f in declaration.data.numbers if f.name in inputs.numbers),
        categories=tuple(
            _category(f, features[f.name]) for f in declaration.data.categories if f.name in inputs.categories
        ),
        classes=tuple(declaration.problem.classes or ()),
    )


def with_interval(contract: ServingContract, content: bytes, interval: Interval | None) -> bytes:
    """``contract.json`` with this interval, and no other: what a training job says of one counts for nothing.

    ``content`` is the contract's own, which stays to the byte where there is nothing to change.
    """
    return content if contract.interval == interval else replace(contract, interval=interval).to_json()


def _number(feature: Feature, column: pd.Series) -> NumberField:
    present = column.to_numpy(np.float64)
    present = present[np.isfinite(present)]
    return NumberField(
        name=feature.name,
        min=feature.min,
        max=feature.max,
        missing=feature.missing,
        median=float(np.median(present)) if len(present) else None,
    )


def _category(feature: Feature, column: pd.Series) -> CategoryField:
    values = (set(column) | set(feature.values or ())) - {""}
    return CategoryField(
        name=feature.name,
        missing=feature.missing,
        unseen=feature.unseen,
        max_length=feature.max_length,
        values=tuple(sorted(values)),
    )
