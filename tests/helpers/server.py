"""A process of ``everloop serve``, with a small version's files."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.helpers.artifacts import PREFIX, StoredArtifact

ROOT = Path(__file__).resolve().parents[2]


def stored_in(folder: Path) -> StoredArtifact:
    """A small version whose files are in this folder."""
    stored = StoredArtifact()
    for key, data in stored.objects.items():
        (folder / key.removeprefix(PREFIX)).write_bytes(data)
    return stored


class Server:
    """The process, which listens once this is made; ``facts`` are what it says of itself.

    Parameters
    ----------
    artefact : Path
        A folder of :func:`stored_in`, or, where it ``says_which``, a file that names a version with its hash.
    flags : sequence of str
        Options of the interpreter.
    errors : Path, optional
        A file that standard error goes to.
    """

    def __init__(
        self,
        artefact: Path,
        *options: str,
        says_which: bool = False,
        flags: Sequence[str] = (),
        errors: Path | None = None,
    ) -> None:
        command = [sys.executable, *flags, "-m", "everloop.cli.main", "serve", str(artefact), "--port", "0", "--json"]
        named = [] if says_which else ["--manifest-sha256", StoredArtifact().manifest_sha256]
        command += [*named, *options]
        with nullcontext(subprocess.PIPE) if errors is None else errors.open("w") as to:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=to, text=True)
        told = self.process.stdout
        assert told is not None
        self.facts = json.loads("".join(iter(told.readline, "}\n")) + "}")
        self.url = self.facts["url"]
        self.address = urlsplit(self.url).netloc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, bytes]:
        """Send JSON, and give status and body of the answer."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
