"""The rows of a valid request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Columns = tuple[dict[str, list[object]], str | None]
"""The columns of a request's rows by their names, and the id that its caller gave it."""


class RowReader(Protocol):
    """Reads rows that are right; what is wrong is left to :class:`everloop.serving.request.RequestParser`."""

    @property
    def encode(self) -> Callable[[object], bytes]:
        """Writes an answer as JSON."""
        ...

    def of_body(self, body: bytes) -> Rows | None:
        """The rows of a native document, where nothing is wrong with it."""
        ...

    def columns_of_body(self, body: bytes) -> Columns | None:
        """The tensors of a document of the Open Inference Protocol, where they are plain and nothing is wrong."""
        ...

    def of_objects(self, instances: Sequence[object]) -> Rows | None:
        """The rows that were parsed before, where nothing is wrong with them."""
        ...


Writing = Callable[[Sequence[object], Sequence[int], frozenset[str]], tuple[list[bytes], list[bytes]]]
"""Takes the objects, the places of the rows, and the names of the masked features."""


@dataclass(slots=True)  # neither frozen nor a tuple: it has a length of its own, and one is made for each request
class Rows:
    """The rows of a valid request, as the model takes them.

    Attributes
    ----------
    keys : list of str
        The caller's key of each row.
    num : float64 array, shape (rows, number features)
        NaN is missing.
    cat : object array of str, shape (rows, category features)
        The empty string is missing.
    unseen : dict of str to int
        How often each category feature had a value that training never saw; features without any are left out.
    unused : list of dict
        Each row's values of declared features that this version does not use, for the lake; None is missing. Empty
        where there are no such features, and where the rows are ``written``.
    written : callable, optional
        Writes some objects as JSON, and beside them the rows at some places as captured records end: the key's value, a
        comma, the features with their names, a closing brace; of masked features null. It is there where compiled code
        read the rows, and called once.
    """

    keys: list[str]
    num: np.ndarray
    cat: np.ndarray
    unseen: dict[str, int] = field(default_factory=dict)
    unused: list[dict[str, float | str | None]] = field(default_factory=list)
    written: Writing | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.keys)
