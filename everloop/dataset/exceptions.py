"""What can be wrong with data."""

from __future__ import annotations

from collections.abc import Sequence

from everloop.dataset.violations import MOST_TOLD, Violation
from everloop.documents.snapshot import SuspectDocument
from everloop.exceptions import TerminalError, TransientError


class DatasetError(TerminalError):
    """Data can't be used."""


class HistoryFileError(DatasetError):
    """A file can't be read as a table of the wanted columns."""


class ColumnsError(HistoryFileError):
    """A file has other columns than the wanted ones, and no other way of reading it finds those."""


class FileFormatError(HistoryFileError):
    """What is said about a file makes no sense, or not for this file."""


class QueryFailedError(DatasetError):
    """Athena did not answer a query, or answered something else."""


class QueryInterruptedError(TransientError):
    """Athena gave a query up, and says that the same one may pass."""


class PartsIncompleteError(TransientError):
    """What a query left as files is not what was counted; a new attempt writes them anew."""


class PartTooLargeError(DatasetError):
    """A file that a query left is larger than what S3 copies at once."""


class SnapshotAlteredError(DatasetError):
    """What is kept of a snapshot is not what was written."""


class QueryTooLongError(DatasetError):
    """A query has more bytes than Athena takes."""


class DeclarationChangedError(DatasetError):
    """A declaration changes what the champion, or rows in the lake, still have as it was.

    Attributes
    ----------
    sentences : tuple of str
        Each change, with the way to make it.
    """

    def __init__(self, model: str, sentences: Sequence[str]) -> None:
        self.sentences = tuple(sentences)
        lines = [f"  {sentence}" for sentence in self.sentences[:MOST_TOLD]]
        super().__init__(
            "\n".join([f"the declaration of {model} changes something that can't change this way:", *lines])
        )


class SplitError(DatasetError):
    """Rows can't be split into a training and a test part."""


class LeakageSuspectedError(DatasetError):
    """Features of a training set may hold what nobody could have known in time.

    Attributes
    ----------
    suspects : tuple of SuspectDocument
    """

    def __init__(self, model: str, suspects: Sequence[SuspectDocument]) -> None:
        self.suspects = tuple(suspects)
        lines = [f"  {suspect['feature']}: {suspect['sentence']}" for suspect in self.suspects[:MOST_TOLD]]
        if len(self.suspects) > MOST_TOLD:
            lines.append(f"  and {len(self.suspects) - MOST_TOLD:,} more")
        remedy = (
            "Take each out of data.features, or, if it is known when the prediction is asked for, say why in "
            "data.leakage_accepted"
        )
        super().__init__("\n".join([f"the training set of {model} may leak the outcome:", *lines, remedy]))


class ContractViolationError(DatasetError):
    """Data breaks the declared contract.

    Attributes
    ----------
    violations : tuple of Violation
        Every one found.
    """

    def __init__(self, place: str, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        lines = [f"{place} breaks the data contract in {len(self.violations)} way{'s' * (len(self.violations) != 1)}:"]
        lines += [f"  {violation}" for violation in self.violations[:MOST_TOLD]]
        if len(self.violations) > MOST_TOLD:
            lines.append(f"  and {len(self.violations) - MOST_TOLD:,} more")
        super().__init__("\n".join(lines))
