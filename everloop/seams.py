"""Seams: places that are meant to grow, where implementations of one protocol stand side by side, one file each.

A seam is a package. Its ``__init__`` holds the protocol and registers the implementations by name, which is the name
of the file. A file is imported when its implementation is asked for, and not before: whoever only must know the
names, as the declaration's schema does, imports none of what implementations need.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

from everloop.exceptions import TerminalError

T = TypeVar("T")


class UnknownImplementationError(TerminalError, ValueError):
    """No implementation of that name is registered."""


class Seam(Generic[T]):
    """The registered implementations of one protocol.

    Parameters
    ----------
    package : str
        Where their files stand, e.g. ``everloop.evaluation.baselines``.
    what : str
        What one of them is, for messages.
    attribute : str
        What each file calls its implementation.
    names : str
        The registration: the files, in the order in which they are told.
    """

    def __init__(self, package: str, what: str, attribute: str, *names: str) -> None:
        self.package = package
        self.what = what
        self.attribute = attribute
        self.names = names
        self._loaded: dict[str, T] = {}

    def __iter__(self) -> Iterator[T]:
        """The implementations, in the order of their registration."""
        return (self.load(name) for name in self.names)

    def load(self, name: str) -> T:
        """The implementation of that name.

        Raises
        ------
        UnknownImplementationError
            Naming those that are registered.
        """
        if name in self._loaded:
            return self._loaded[name]
        if name not in self.names:
            raise UnknownImplementationError(f"{name!r} is not a {self.what}; registered are {', '.join(self.names)}")
        module = importlib.import_module(f"{self.package}.{name}")
        found = self._loaded[name] = cast("T", getattr(module, self.attribute))
        return found

    def registered(self, name: Any) -> str:
        """``name``, which is registered; for a declaration's key.

        Raises
        ------
        ValueError
            With the names that are, as a mistake of the declaration says what is allowed.
        """
        if not isinstance(name, str) or name not in self.names:
            *others, last = (repr(known) for known in self.names)
            raise ValueError(f"{', '.join(others)} or {last}" if others else last)
        return name
