"""The queries of one run of the monitor: one, or as many as Athena's limit for a query's text asks for.

The first counts rows, scores, outcomes and labels, and as many features as it has room for; each further one counts a
group of the rest. Their answers together are what one query would have answered.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import TYPE_CHECKING

from everloop.dataset.lake_sql import LONGEST_ARRAY, LONGEST_QUERY_BYTES
from everloop.monitoring.exceptions import QueryTooLongError
from everloop.monitoring.profile_query import Windows, features_query, profile_query
from everloop.monitoring.reference import Reference

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

MOST_QUERIES = 10
"""For one window. Each takes a few seconds, one after the other, and the monitor has minutes."""

FEATURES_IN_A_QUERY = LONGEST_ARRAY - 2
"""A row's bins stand in one array, with the score's and one for the row itself."""


def profile_queries(
    declaration: ModelDeclaration,
    reference: Reference,
    windows: Windows,
    *,
    version: int,
    longest: int = LONGEST_QUERY_BYTES,
) -> list[str]:
    """The queries whose rows :func:`everloop.monitoring.profile_answer.read_counts` takes together.

    Parameters
    ----------
    longest : int
        Bytes that one query may have.

    Raises
    ------
    QueryTooLongError
        When one feature alone is too long, or all together need more than ``MOST_QUERIES``. Declarations are checked
        for it; see :mod:`everloop.model_file.sizes`.
    """
    names = list(reference.features)
    queries: list[str] = []
    while names or not queries:
        if len(queries) == MOST_QUERIES:
            raise QueryTooLongError(
                f"the {len(reference.features)} features of {declaration.model} take more than {MOST_QUERIES} queries "
                f"of {longest:,} bytes: declare fewer, or a shorter max_length"
            )

        def written(count: int) -> str:
            group = names[:count]  # noqa: B023 (called before names changes)
            if queries:
                return features_query(declaration, reference, windows, group)
            return profile_query(declaration, reference, windows, version=version, features=group)

        count = _most(lambda n: len(written(n).encode()) <= longest, min(len(names), FEATURES_IN_A_QUERY))
        if len(written(count).encode()) > longest or (count == 0 and queries):
            raise QueryTooLongError(
                f"counting the feature {names[0]!r} alone needs a query of {len(written(1).encode()):,} bytes, and"
                f" Athena accepts at most {longest:,}: declare a shorter max_length"
            )
        queries.append(written(count))
        names = names[count:]
    return queries


def _most(fits: Callable[[int], bool], most: int) -> int:
    """The largest number up to ``most`` that fits; where one does not, no larger one does."""
    if fits(most):
        return most
    return bisect.bisect_left(range(1, most), True, key=lambda n: not fits(n))
