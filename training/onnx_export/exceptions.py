"""Why an estimator does not become an artefact."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class ExportRefusedError(TerminalError, ValueError):
    """The exporter does not know this estimator or this option of it, and does not guess.

    Attributes
    ----------
    step : str
        Where it is in the pipeline, e.g. ``pre > num > imputer``.
    type_name : str
        The class that was found there.
    problem : str
        What is refused, naming the option and its value.
    supported : str
        What may stand there instead.
    """

    def __init__(self, step: str, type_name: str, problem: str, supported: str) -> None:
        self.step = step
        self.type_name = type_name
        self.problem = problem
        self.supported = supported
        super().__init__(f"{step} ({type_name}): {problem}. Supported: {supported}.")


class ParityError(TerminalError, ValueError):
    """The exported model does not answer as the trained one does."""
