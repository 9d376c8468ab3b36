"""What is installed where a job runs, and how the environments of two jobs differ."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

from everloop.documents.training import LockDocument, TrainingDocument
from everloop.evaluation.report import EnvironmentFacts
from everloop.manifest import sha256_hex
from everloop.numbers_of import number_of
from everloop.training.exceptions import EnvironmentDiffersError, JobError
from everloop.training.packages import pins, unmet

LOCK = "requirements.txt"
"""In the code archive: what the jobs' packages have to be, with their hashes."""

MOST_NAMED = 5
"""Differences that one sentence names."""


@dataclass(frozen=True)
class Environment:
    """Where a job runs.

    Attributes
    ----------
    python, platform : str
        As ``3.12.11`` and ``Linux-x86_64``.
    packages : dict of str to str
        Every installed distribution with its version, by canonical name.
    lock : LockDocument
    locked : frozenset of str
        The canonical names that the lock pins for this Python.
    """

    python: str
    platform: str
    packages: dict[str, str]
    lock: LockDocument
    locked: frozenset[str]

    @classmethod
    def of(cls, code: Path) -> Environment:
        """This process's, with the lock of an unpacked code archive.

        Raises
        ------
        JobError
            When the archive has no lock.
        """
        from packaging.utils import canonicalize_name

        file = code / LOCK
        try:
            content = file.read_bytes()
        except OSError as error:
            raise JobError(f"the lock of the jobs' packages can't be read: {error}; deploy the model again") from error
        lines = content.decode().splitlines()
        return cls(
            python=platform.python_version(),
            platform=f"{platform.system()}-{platform.machine()}",
            packages=installed(),
            lock={"sha256": sha256_hex(content), "unmet": unmet(lines)},
            locked=frozenset(canonicalize_name(pin.name) for pin in pins(lines)),
        )

    def compared_with(self, training: TrainingDocument) -> EnvironmentFacts:
        """The facts about this environment beside the one that a model was trained in."""
        refused, told = self._differences(training)
        return self._facts((*refused, *told))

    def require_same_lock(self, training: TrainingDocument) -> EnvironmentFacts:
        """The same, where what decides scores is equal: the lock, the packages that it pins, Python's minor release.

        A package of the image alone, Python's patch release or the platform may differ; the facts say so.

        Raises
        ------
        EnvironmentDiffersError
            When one of the former differs.
        """
        refused, told = self._differences(training)
        if refused:
            raise EnvironmentDiffersError(
                f"the model was trained in another environment than this job's: {_some(refused)}; what one has shown"
                " says nothing about the other. Deploy the model again, then start a new run"
            )
        return self._facts(tuple(told))

    def _facts(self, differences: tuple[str, ...]) -> EnvironmentFacts:
        return EnvironmentFacts(
            python=self.python,
            platform=self.platform,
            packages=len(self.packages),
            lock_sha256=self.lock["sha256"],
            unmet=tuple(self.lock["unmet"]),
            differences=differences,
        )

    def _differences(self, training: TrainingDocument) -> tuple[list[str], list[str]]:
        """Those that decide, and the others."""
        refused: list[str] = []
        told: list[str] = []
        lock = training.get("lock")
        if lock is not None and lock["sha256"] != self.lock["sha256"]:
            refused.append(_one("lock", lock["sha256"][:12], self.lock["sha256"][:12]))
        if training["python"] != self.python:
            decides = _minor(training["python"]) != _minor(self.python)
            (refused if decides else told).append(_one("Python", training["python"], self.python))
        if training["platform"] != self.platform:
            told.append(_one("platform", training["platform"], self.platform))
        then = training["packages"]
        # A record of an earlier release names ten packages; of the others it says nothing.
        names = sorted({*then, *self.packages} if lock is not None else then)
        for name in names:
            if then.get(name) != self.packages.get(name):
                difference = _one(name, then.get(name), self.packages.get(name))
                (refused if name in self.locked else told).append(difference)
        return refused, told


def installed() -> dict[str, str]:
    """Every distribution of this process, by canonical name; of two of a name the first on the path."""
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        head = _head(distribution)
        if "Name" in head:  # else what an interrupted installation left
            found.setdefault(canonicalize_name(head["Name"]), head["Version"])
    return dict(sorted(found.items()))


def _head(distribution: metadata.Distribution) -> Message:
    """The fields of its metadata, without the description that follows: to parse that takes most of the time.

    A wheel has them in METADATA, an egg in PKG-INFO, or is that file itself.
    """
    text = next(filter(None, map(distribution.read_text, ("METADATA", "PKG-INFO", ""))), "")
    return HeaderParser().parsestr(text.partition("\n\n")[0], headersonly=True)


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _one(name: str, then: str | None, now: str | None) -> str:
    return f"{name} {then or 'not there'} in training, {now or 'not there'} in evaluation"


def _some(differences: list[str]) -> str:
    more = len(differences) - MOST_NAMED
    rest = f"; and {number_of(more, 'more difference')}" if more > 0 else ""
    return "; ".join(differences[:MOST_NAMED]) + rest
