"""Which rows of a table are of a held-out group; see :mod:`everloop.dataset.held_groups`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from everloop.dataset.held_groups import HeldGroups


def held_rows(held: HeldGroups, groups: Iterable[str]) -> np.ndarray:
    """Which rows are of a held-out group, bool [rows], of the group of each row."""
    values = list(groups)
    known = {group: held.holds(group) for group in set(values)}
    return np.fromiter((known[group] for group in values), dtype=bool, count=len(values))
