"""Settings that infrastructure hands to a function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, get_args, get_type_hints

from everloop.exceptions import TerminalError

PREFIX = "EVERLOOP_"
REMEDY = "deploy the model's stack again"


class MissingSettingError(TerminalError, RuntimeError):
    """A function was deployed without an environment variable that it needs."""


class WrongSettingError(TerminalError, RuntimeError):
    """An environment variable of a function holds what it can't."""


@dataclass(frozen=True)
class Settings:
    """The environment variables of a function; each function has a class of its own with those that it reads.

    A field is the variable of its name, in capitals and after ``EVERLOOP_``: text or a whole number. One with a default
    need not be set.

    Attributes
    ----------
    model : str
        The model that the function belongs to.
    """

    model: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Self:
        """The settings among the variables of a process.

        Raises
        ------
        MissingSettingError
            When variables are absent or empty, naming them all.
        WrongSettingError
            When a number is none.
        """
        require(variables, *(field.name for field in fields(cls) if field.default is MISSING))
        hints = get_type_hints(cls)
        given = {field.name: variables.get(variable(field.name)) for field in fields(cls)}
        values: dict[str, Any] = {name: _value(name, text, hints[name]) for name, text in given.items() if text}
        return cls(**values)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def in_parts(name: str, text: str, most: int) -> Iterator[tuple[str, str]]:
    """A text as variables of at most so many characters each: ``NAME``, ``NAME_2`` and so on."""
    for number, start in enumerate(range(0, max(1, len(text)), most), 1):
        yield (name if number == 1 else f"{name}_{number}"), text[start : start + most]


def joined(variables: Mapping[str, str], name: str) -> str:
    """The inverse of :func:`in_parts`; empty where the first is absent."""
    parts = [variables.get(name, "")]
    while (part := variables.get(f"{name}_{len(parts) + 1}")) is not None:
        parts.append(part)
    return "".join(parts)


def require(variables: Mapping[str, str], *names: str) -> None:
    """Refuse variables among which settings are absent or empty.

    Raises
    ------
    MissingSettingError
        Naming them all.
    """
    missing = [variable(name) for name in names if not variables.get(variable(name))]
    if missing:
        what, verb = ("variable", "is") if len(missing) == 1 else ("variables", "are")
        raise MissingSettingError(f"the environment {what} {' and '.join(missing)} {verb} not set: {REMEDY}")


def _value(name: str, text: str, hint: Any) -> str | int:
    if int not in (hint, *get_args(hint)):
        return text
    if not text.isdecimal():
        raise WrongSettingError(f"the environment variable {variable(name)} is {text!r}, not a whole number: {REMEDY}")
    return int(text)
