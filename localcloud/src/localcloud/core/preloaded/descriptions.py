"""Descriptions of services that programs of one server read: the server reads them as well, for those that come later.

A client is made from a file of JSON, and most functions make the same ones: reading them is a tenth of what functions
take that start often. Like the server's file it is run as it stands, and imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

_LOADERS = "botocore.loaders"


class Descriptions:
    """What has been read for programs, of the botocore that the server has imported, if it has.

    Parameters
    ----------
    folder : str
        The server's own: in it programs note what they had to read themselves.
    """

    def __init__(self, folder: str) -> None:
        self._notes = os.path.join(folder, "descriptions")
        self._heard = 0
        self._read: dict[str, Any] = {}

    def learn(self) -> None:
        """In the server: read what programs have noted since, so that the next one has it."""
        loaders: Any = sys.modules.get(_LOADERS)
        if loaders is None:
            return
        try:
            with open(self._notes, encoding="utf-8") as notes:
                notes.seek(self._heard)
                noted = notes.read()
        except OSError:
            return
        whole = noted[: noted.rfind("\n") + 1]  # somebody may be writing the rest
        self._heard += len(whole.encode())
        new = set(whole.splitlines()).difference(self._read)
        for path in new:
            with contextlib.suppress(Exception):  # the program that wants it says what is wrong
                self._read[path] = loaders.JSONFileLoader().load_file(path)
        if new:
            gc.freeze()

    def use(self) -> None:
        """In a program: take each that was read once, so that nobody has another's; and note what was not."""
        loaders: Any = sys.modules.get(_LOADERS)
        if loaders is None:
            return
        plainly, read, notes = loaders.JSONFileLoader.load_file, self._read, self._notes
        shipped = os.path.join(loaders.BOTOCORE_ROOT, "data", "")

        def load_file(self: Any, file_path: str) -> Any:
            found = read.pop(file_path, None)
            if found is not None:
                return found
            found = plainly(self, file_path)
            if found is not None and file_path.startswith(shipped):
                with contextlib.suppress(OSError), open(notes, "a", encoding="utf-8") as file:
                    file.write(f"{file_path}\n")
            return found

        loaders.JSONFileLoader.load_file = load_file
