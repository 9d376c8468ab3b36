"""The slices of a report: declared dimensions, their pairs, and what a tree finds among the candidate's errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.evaluation.dimensions import Dimension, dimension_of_category, dimension_of_number
from everloop.evaluation.found_slices import found_parts
from everloop.evaluation.metrics import row_losses
from everloop.evaluation.slice_report import Slices
from everloop.evaluation.slices import Measured, parts_of, slices_of
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split

if TYPE_CHECKING:
    from everloop.model_file.sections.gate import By


def slices_in(
    declaration: ModelDeclaration,
    test: Split,
    candidate: np.ndarray,
    baseline: np.ndarray,
    champion: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> Slices | None:
    """What the declaration's ``gate.slices`` asks for; None where it asks for none.

    Parameters
    ----------
    candidate, baseline : ndarray, shape (rows,)
        Scores of the rows of ``test``.
    champion : tuple or None
        See :class:`~everloop.evaluation.slices.Measured`.
    """
    asked = declaration.gate.slices
    if asked is None:
        return None
    metric = declaration.gate.metric
    rows = Measured(metric, test.labels, candidate, baseline, test.days, champion)
    dimensions = dimensions_of(asked.by, test)
    parts = list(parts_of(dimensions, pairs=asked.pairs))
    search = "no slices were looked for: gate.slices.found is false"
    if asked.found:
        found, search = found_parts(
            columns_of(test), row_losses(metric, test.labels, candidate), test.days, asked.minimum_rows
        )
        parts += found
    said = [one.left_out for one in dimensions if one.left_out]
    return slices_of(rows, parts, asked.minimum_rows, left_out=said, search=search)


def dimensions_of(declared: Sequence[By], rows: Split) -> list[Dimension]:
    """The declared dimensions of the rows."""
    columns = columns_of(rows)
    return [_dimension(by, columns[by.by]) for by in declared]


def _dimension(by: By, values: np.ndarray) -> Dimension:
    if values.dtype.kind == "f":
        return dimension_of_number(by.by, values, by.edges)
    return dimension_of_category(by.by, values, by.groups)


def columns_of(rows: Split) -> dict[str, np.ndarray]:
    """The features' values by name."""
    return {str(name): rows.features[name].to_numpy() for name in rows.features}
