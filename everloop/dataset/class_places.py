"""Classes by their place: what a file calls a class becomes its number among the declared ones, from 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from everloop.problem_types import Class


def class_places(column: pd.Series, classes: Sequence[Class]) -> pd.Series:
    """The place of each cell's class; NaN where the cell is missing.

    A cell that names no class becomes its text, whatever its type: so it is told as it stands in the file, and is taken
    for no place. Of classes that are whole numbers, 3 and 3.0 name the class 3.
    """
    known = {_name(name): float(place) for place, name in enumerate(classes)}
    cells = column.to_numpy(dtype=object)
    missing = pd.isna(cells)
    places = np.full(len(cells), np.nan, dtype=object)
    for row in np.flatnonzero(~missing):
        name = _name(cells[row])
        places[row] = known.get(name, name)
    found = pd.Series(places, index=column.index, name=column.name, dtype=object)
    return found if found.map(lambda cell: isinstance(cell, str)).any() else found.astype(np.float64)


def _name(cell: object) -> str:
    if isinstance(cell, np.generic):
        cell = cell.item()
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
