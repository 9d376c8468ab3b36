"""A section of which some values are wrong, or missing: rules are compared with the others.

A rule looks at a few keys. Where it asks for one whose value is wrong in itself, it can say nothing, and ends by
:class:`UnknownError`; every other rule still speaks, so that one reading names every mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from everloop.exceptions import TerminalError
from everloop.model_file.misfit import Location, Misfit

Rule = Callable[[Any], Iterator[Misfit]]


class UnknownError(TerminalError):
    """A rule asks for a value that is wrong in itself, or not there."""


class Unknown:
    """Stands for such a value in a list; ``written`` is what is in the document."""

    def __init__(self, written: Any = None) -> None:
        self.written = written

    def __getattr__(self, name: str) -> Any:
        raise UnknownError(name)


class Partial:
    """What is known of one section, under the names of its keys; the properties of its class are its own too."""

    def __init__(self, kind: type[BaseModel], values: Mapping[str, object]) -> None:
        self.__dict__.update(_section=kind, _values=values)

    def __getattr__(self, name: str) -> Any:
        stated = getattr(self._section, name, None)
        if isinstance(stated, property) and stated.fget is not None:
            return stated.fget(self)
        value = self._values.get(name)
        if name not in self._values or isinstance(value, Unknown):
            raise UnknownError(name)
        return value

    def having(self, **values: Any) -> Partial:
        """The section with other values at some keys."""
        return Partial(self._section, {**self._values, **values})


def partial(kind: type[BaseModel], value: Any, wrong: set[Location], at: Location = ()) -> Any:
    """What is known of the section ``value``, where the values at the locations ``wrong`` are wrong."""
    if at in wrong or not isinstance(value, dict):
        return Unknown(value)
    values = {}
    value = getattr(kind, "completed", dict)(value)
    for name, field in kind.model_fields.items():
        if name in value:
            values[name] = _part(section_of(field.annotation), value[name], wrong, (*at, name))
        elif not field.is_required():
            values[name] = field.get_default(call_default_factory=True)
    return Partial(kind, values)


def _part(kind: type[BaseModel] | None, value: Any, wrong: set[Location], at: Location) -> Any:
    if at in wrong:
        return Unknown(value)
    if isinstance(value, list):
        return [_part(kind, item, wrong, (*at, index)) for index, item in enumerate(value)]
    return value if kind is None or value is None else partial(kind, value, wrong, at)


def sections_in(section: Any, at: Location = ()) -> Iterator[tuple[Any, Location]]:
    """The section and those inside it, innermost first, each with its location."""
    if isinstance(section, Partial):
        for name, value in section._values.items():
            yield from sections_in(value, (*at, name))
        yield section, at
    elif isinstance(section, list):
        for index, item in enumerate(section):
            yield from sections_in(item, (*at, index))


def broken(rules: Iterable[Rule], section: Any) -> Iterator[Misfit]:
    """What the rules find in a section, or in what is known of one."""
    for rule in rules:
        try:
            yield from rule(section)
        except UnknownError:
            continue


def known(values: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """The values of a list that are known, with their places."""
    return ((index, value) for index, value in enumerate(values) if not isinstance(value, Unknown))


def all_known(values: Iterable[Any]) -> list[Any]:
    """The values of a list.

    Raises
    ------
    UnknownError
        Where one is wrong.
    """
    values = list(values)
    if any(isinstance(value, Unknown) for value in values):
        raise UnknownError
    return values


def value_of(section: Any, name: str, default: Any = None) -> Any:
    """The value of one key, or ``default`` where it is unknown."""
    try:
        return getattr(section, name)
    except UnknownError:
        return default


def written(section: Any, name: str) -> Any:
    """What is in the document at one key, right or wrong; None where nothing does."""
    value = section._values.get(name) if isinstance(section, Partial) else getattr(section, name, None)
    return value.written if isinstance(value, Unknown) else value


def is_whole(section: Any) -> bool:
    """Whether every value in the section is known."""
    if isinstance(section, Partial):
        required = (name for name, field in section._section.model_fields.items() if field.is_required())
        return all(name in section._values for name in required) and all(map(is_whole, section._values.values()))
    return not isinstance(section, Unknown) and (not isinstance(section, list) or all(map(is_whole, section)))


def whole_items(section: Any, name: str) -> Any:
    """The section with those items of its list ``name`` that are whole; it itself where all are."""
    items = getattr(section, name)
    if not isinstance(section, Partial) or is_whole(items):
        return section
    return section.having(**{name: [item for item in items if is_whole(item)]})


def section_of(annotation: Any) -> Any:
    """The class of sections that an annotation names, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        section = section_of(argument)
        if section is not None:
            return section
    return None
