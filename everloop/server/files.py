"""Artefacts and captured rows in files of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from everloop.limits import largest_file
from everloop.serving.capture import Line, Record, RecordFailure, encode_record
from everloop.serving.exceptions import ArtifactRefusedError


def files_of(folder: Path) -> Callable[[str], bytes]:
    """Reads the files of an artefact out of a folder, none of them beyond what it may have.

    Raises
    ------
    ArtifactRefusedError
        The reader does, for a file that is not there or is too large.
    """

    def read(name: str) -> bytes:
        file, most = folder / name, largest_file(name)
        try:
            with file.open("rb") as stream:
                content = stream.read(most + 1)
        except OSError as error:
            raise ArtifactRefusedError(name, expected=str(file), found=error.strerror or str(error)) from error
        if len(content) > most:
            raise ArtifactRefusedError(name, expected=f"at most {most:,} bytes", found="more")
        return content

    return read


class FileWriter:
    """Appends captured rows to a file, a JSON line each, whole lines at a time.

    What is written has left the process: it survives its end, not the machine's.
    """

    def __init__(self, file: Path) -> None:
        self._stream = file.open("ab", buffering=0)

    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        """Append; a disk that takes nothing gives the records back."""
        try:
            self._stream.write(b"".join(map(encode_record, records)))
        except OSError as error:
            return [RecordFailure.of(record, f"{error.strerror}") for record in records]
        return []
