"""What can go wrong between a request and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.exceptions import TerminalError

if TYPE_CHECKING:
    import numpy as np


class ServingError(TerminalError):
    """The prediction function can't do what was asked."""


class RequestError(ServingError):
    """A request is refused, and the caller can fix it.

    Attributes
    ----------
    code : str
        One of the keys of :data:`everloop.serving.response.STATUS_OF_CODE`.
    message : str
        What is wrong, with the value that was found and what is allowed.
    field : str or None
        The field it is in.
    index : int or None
        The instance it is in, from 0.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> None:
        self.code = code
        self.message = message
        self.field = field
        self.index = index
        super().__init__(f"{code}: {message}")


class NoChampionError(ServingError):
    """The function version is bound to no model version, so there is nothing to answer with."""


class UnknownRouteError(ServingError):
    """A request came by a route that is none of the model's: function and stack are of two releases."""


class ContractFormatError(ServingError):
    """A ``contract.json`` does not say what a serving contract must say."""


class ScorerError(ServingError):
    """A model can't be loaded, or was handed or gave back something other than its contract says."""


class UnusableScoreError(ScorerError):
    """A model gave scores that are not finite, or no probabilities.

    Attributes
    ----------
    rows : tuple of int
        The rows they are of, from 0, ascending.
    scores : float64 array
        What the model gave, of all rows.
    """

    def __init__(self, rows: tuple[int, ...], scores: np.ndarray, message: str) -> None:
        self.rows = rows
        self.scores = scores
        super().__init__(message)


class NoScoreError(ServingError):
    """A model has no usable score for a row that its contract allows: the model's fault, and no caller's.

    Attributes
    ----------
    message : str
        What was asked, what came, and what the caller can do.
    field : str or None
        The feature that alone leaves the model without a score.
    index : int
        The first such instance, from 0.
    rows : int
        Instances of the request without a usable score.
    """

    def __init__(self, message: str, *, field: str | None, index: int, rows: int) -> None:
        self.message = message
        self.field = field
        self.index = index
        self.rows = rows
        super().__init__(message)


class ManifestFormatError(ServingError):
    """A ``manifest.json`` is not a manifest."""


class ArtifactRefusedError(ServingError):
    """The stored bytes are not the evaluated bytes, so they are not served.

    Attributes
    ----------
    file : str
        The file of the artefact that was refused.
    expected : str
        What it had to be.
    found : str
        What it was.
    """

    def __init__(self, file: str, *, expected: str, found: str) -> None:
        self.file = file
        self.expected = expected
        self.found = found
        super().__init__(f"{file}: expected {expected}, found {found}")
