"""What can be wrong with a model declaration."""

from dataclasses import dataclass

from everloop.exceptions import TerminalError

MOST_TOLD = 100
"""Mistakes in an error's text; its attribute has all of them."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in a declaration.

    Attributes
    ----------
    path : str
        The key it is at, dotted, e.g. ``data.features[2].type``; empty where there is none to name.
    line : int
        1-based line of the file; 0 where the file as a whole is meant.
    found : str
        What is there, as a person would write it.
    allowed : str
        What may stand there.
    """

    path: str
    line: int
    found: str
    allowed: str


class ModelFileError(TerminalError, ValueError):
    """A declaration is refused. ``mistakes`` lists every reason, with file and line."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = mistakes
        lines = [self._line(mistake) for mistake in mistakes[:MOST_TOLD]]
        if len(mistakes) > MOST_TOLD:
            lines.append(f"{file}: {len(mistakes) - MOST_TOLD:,} more mistakes")
        super().__init__("\n".join(lines))

    def _line(self, mistake: Mistake) -> str:
        place = f"{self.file}:{mistake.line}" if mistake.line else self.file
        path = f"{mistake.path}: " if mistake.path else ""
        return f"{place}: {path}found {mistake.found}; allowed: {mistake.allowed}"
