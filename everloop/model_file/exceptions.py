"""What can be wrong with a model declaration."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One mistake in a declaration.

    Attributes
    ----------
    path : str
        The key it is at, dotted, e.g. ``data.features[2].type``.
    line : int
        1-based line of the file; 0 where the file as a whole is meant.
    found : str
        What stands there, as a person would write it.
    allowed : str
        What may stand there.
    """

    path: str
    line: int
    found: str
    allowed: str


class ModelFileError(ValueError):
    """A declaration is refused. ``mistakes`` lists every reason, with file and line."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = mistakes
        lines = [f"{file}:{m.line}: {m.path}: found {m.found}; allowed: {m.allowed}" for m in mistakes]
        super().__init__("\n".join(lines))
