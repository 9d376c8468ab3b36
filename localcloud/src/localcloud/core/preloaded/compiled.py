"""Modules that programs of one server compiled: what one has compiled, the next ones with the same text only read.

Each job has an unpacked archive of its own, and writes no bytecode into it; without this it would compile the archive's
modules again. So would each function whose package has modules of another's. Like the server's file it is run as it
stands, and imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import sys
import warnings
from importlib.machinery import BYTECODE_SUFFIXES, SourceFileLoader

_UNCHECKED_HASH = 1
"""Flags of a bytecode file (PEP 552) that is not compared with its source: here its name says of which text it is."""


def share_compiled(folder: str, *, in_place_of_writing: bool = False) -> None:
    """Let this process's imports find and leave bytecode in ``folder``, where there is none beside a module.

    Nothing else is different: a text that does not compile, or that warns as it does, is left to the import itself, and
    a process that writes bytecode beside its modules goes on to do so, unless this is to take the place of that.
    """
    if not (in_place_of_writing or sys.dont_write_bytecode):
        return
    read = SourceFileLoader.get_data

    def get_data(self: SourceFileLoader, path: str) -> bytes:
        try:
            return read(self, path)
        except OSError:
            found = _found(folder, path) if path.endswith(tuple(BYTECODE_SUFFIXES)) else None
            if found is None:
                raise
            return found

    SourceFileLoader.get_data = get_data  # type: ignore[assignment]  # every import of a file reads through it


def _found(folder: str, bytecode: str) -> bytes | None:
    """What a bytecode file that is not there would hold; None where its module can't be compiled, or warns."""
    try:
        source = importlib.util.source_from_cache(bytecode)
        with open(source, "rb") as file:
            text = file.read()
    except (OSError, ValueError, NotImplementedError):
        return None
    kept = os.path.join(folder, hashlib.sha256(text).hexdigest())
    with contextlib.suppress(OSError), open(kept, "rb") as file:
        return file.read()
    compiled = _compiled(text, source)
    if compiled is not None:
        _write(kept, compiled)
    return compiled


def _compiled(text: bytes, source: str) -> bytes | None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            code = compile(text, source, "exec", dont_inherit=True)
        except Exception:
            return None
    if said:
        return None
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little") + importlib.util.source_hash(text)
    return head + marshal.dumps(code)


def _write(kept: str, content: bytes) -> None:
    """As a whole or not at all: two programs may come at once, and the server's folder goes with the server."""
    mine = f"{kept}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(mine, "xb") as file:
            file.write(content)
        os.replace(mine, kept)
