"""Reads JSON values as the type they are declared with: a document is that type, or it is refused by name.

Types are what JSON has: None, bool, int, float, str, list, dict with text keys, unions, literals, typed dicts and
dataclasses of these. An object may have more keys than are declared: whoever wrote it may be newer. Every field of a
dataclass must be there, default or not, except those that are :data:`ADDED`.

Instants are text in JSON and a ``datetime`` inside: a ``datetime`` is made of the text of an instant, a dataclass of an
object, a tuple of a list. Nothing else is converted. :func:`as_json` is the way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import (
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from everloop.exceptions import TerminalError
from everloop.instants import WrittenInstant, instant_text, parse_instant
from everloop.shown import shown

T = TypeVar("T")

PIPELINE_SENDS = "the pipeline sends these: deploy the model's stack again, so that both have the same release"
"""The remedy of an event that the pipeline's definition and its function do not agree on."""

JsonObject = dict[str, object]
"""A JSON object whose values are not read yet, or are no matter of whoever holds it."""

Event = Mapping[str, object]
"""What a handler is invoked with, before it is read."""

MOST_PROBLEMS = 5
"""Problems that one refusal names."""


class DocumentRefusedError(TerminalError, ValueError):
    """A document is not what its reader takes."""


ADDED = MappingProxyType({"added": True})
"""Of a dataclass field: a document may lack it, as those of earlier releases do, and then it has its default."""


def read_as(
    kind: type[T], value: object, what: str, remedy: str, *, refusal: type[Exception] = DocumentRefusedError
) -> T:
    """The ``kind`` that was written as ``value``: ``value`` itself where no part of it is written in another way.

    Parameters
    ----------
    kind : type
        A typed dict, a dataclass, or any other type above.
    what, remedy : str
        What the value should be, and what to do where it is not; for the refusal.
    refusal : type of Exception, optional
        The reader's own error, made of one sentence.

    Raises
    ------
    DocumentRefusedError, or ``refusal``
        Naming each place that is wrong (at most five), what is there and what belongs there.
    """
    problems = _problems(kind, value, "")
    first = [problem for _, problem in zip(range(MOST_PROBLEMS), problems, strict=False)]
    if first:
        raise refusal(f"this is not a valid {what}: {'; '.join(first)}; {remedy}")
    read: T = with_instants_read(kind, value, "")
    return read


def as_json(value: Any) -> Any:
    """``value`` as JSON values: instants as text, dataclasses as objects, tuples as lists.

    A dataclass that says itself how it is written, by a method ``as_dict``, is written so.
    """
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Mapping):
        return {name: as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(element) for element in value]
    if is_dataclass(value) and not isinstance(value, type):
        if hasattr(value, "as_dict"):
            return as_json(value.as_dict())
        return {one.name: as_json(getattr(value, one.name)) for one in dataclass_fields(value)}
    return value


def with_instants_read(hint: Any, value: Any, place: str) -> Any:
    """``value``, with the instants made that a ``hint`` has; nothing else of it is looked at.

    For records that a newer release may have written: it may know more words than this one.

    Raises
    ------
    ValueError
        Naming the place of a text that names no instant.
    """
    if value is None or not is_made(hint):
        return value
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        fitting = (option for option in get_args(hint) if not list(_problems(option, value, place)))
        likely = next(option for option in get_args(hint) if is_made(option))
        return with_instants_read(next(fitting, likely), value, place)
    if hint is datetime:
        problem = next(_no_instant(value, place), None)
        if problem is not None:
            raise ValueError(problem)
        return WrittenInstant.read(value)
    if (is_typeddict(hint) or is_dataclass(hint)) and isinstance(value, dict):
        inner = {name: kind for name, (kind, _) in _declared(hint).items() if name in value}
        made = {name: with_instants_read(kind, value[name], f"{place}.{name}") for name, kind in inner.items()}
        return {**value, **made} if is_typeddict(hint) else hint(**made)
    if origin in (list, tuple, Sequence) and isinstance(value, list):
        elements = [with_instants_read(get_args(hint)[0], element, f"{place}[]") for element in value]
        return tuple(elements) if origin is tuple else elements
    if isinstance(value, dict):
        return {name: with_instants_read(get_args(hint)[1], inner, f"{place}.{name}") for name, inner in value.items()}
    return value


@cache
def is_made(hint: Any) -> bool:
    """Whether a value of this type is written in another way than it is inside: an instant, or what holds one."""
    if hint is datetime or is_dataclass(hint) or get_origin(hint) is tuple:
        return True
    inner = [kind for kind, _ in _declared(hint).values()] if is_typeddict(hint) else get_args(hint)
    return get_origin(hint) is not Literal and any(is_made(one) for one in inner)


def _problems(hint: Any, value: object, place: str) -> Iterator[str]:
    """What is wrong with ``value`` where a ``hint`` belongs; ``place`` is its path, e.g. ``quality.loss``."""
    origin = get_origin(hint)
    if hint is Any or hint is object:
        return
    if hint is datetime:
        yield from _no_instant(value, place)
    elif origin in (Union, UnionType):
        yield from _one_of(get_args(hint), value, place)
    elif origin is Literal:
        if not any(value == allowed and type(value) is type(allowed) for allowed in get_args(hint)):
            yield _wrong(place, value, " or ".join(repr(allowed) for allowed in get_args(hint)))
    elif is_typeddict(hint) or is_dataclass(hint):
        yield from _fields(hint, value, place)
    elif origin in (list, Sequence, tuple):
        yield from _elements(get_args(hint)[0], value, place)
    elif origin in (dict, Mapping):
        yield from _values(get_args(hint)[1], value, place)
    elif type(value) not in _PLAIN[hint]:
        yield _wrong(place, value, _NAMES[hint])


_PLAIN: dict[Any, tuple[type, ...]] = {
    None: (NoneType,),
    NoneType: (NoneType,),
    bool: (bool,),
    int: (int,),
    float: (float, int),
    str: (str,),
    dict: (dict,),
    list: (list,),
}
_NAMES = {
    None: "null", NoneType: "null", bool: "true or false", int: "a whole number", float: "a number", str: "a string",
    dict: "an object", list: "a list", datetime: "an instant",
}  # fmt: skip


def _no_instant(value: object, place: str) -> Iterator[str]:
    if type(value) is not str:
        yield _wrong(place, value, _NAMES[datetime])
        return
    try:
        parse_instant(value)
    except ValueError as error:
        yield f"{place or 'it'}: {error}"


def _one_of(options: Sequence[Any], value: object, place: str) -> Iterator[str]:
    if any(type(value) in _PLAIN.get(option, ()) for option in options):
        return
    found = [list(_problems(option, value, place)) for option in options]
    if all(found):
        # The problems inside an option that the value could be tell more than that it is none of all.
        inside = [f for option, f in zip(options, found, strict=True) if type(value) is _written_as(option)]
        names = " or ".join(_name(option) for option in options)
        yield from inside[0] if inside else [_wrong(place, value, names)]


def _written_as(option: Any) -> type | None:
    if is_typeddict(option) or is_dataclass(option):
        return dict
    return str if option is datetime else None


def _name(hint: Any) -> str:
    """What belongs where a hint stands, in a word or two."""
    origin = get_origin(hint)
    if origin is Literal:
        return " or ".join(repr(allowed) for allowed in get_args(hint))
    if origin or is_typeddict(hint) or is_dataclass(hint):
        return _NAMES[{list: list, Sequence: list, tuple: list}.get(origin, dict)]
    return _NAMES[hint]


def _fields(kind: Any, value: object, place: str) -> Iterator[str]:
    if type(value) is not dict:
        yield _wrong(place, value, "an object")
        return
    for name, (hint, required) in _declared(kind).items():
        below = f"{place}.{name}" if place else name
        if name in value:
            yield from _problems(hint, value[name], below)
        elif required:
            yield f"{below} is missing"


@cache
def _declared(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The keys of a typed dict or a dataclass: their types, and whether they must be there."""
    hints = get_type_hints(kind, include_extras=True)
    if is_dataclass(kind):
        return {one.name: (hints[one.name], not one.metadata.get("added")) for one in dataclass_fields(kind)}
    optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    return {
        name: (get_args(hint)[0], False) if name in optional else (hint, kind.__total__) for name, hint in hints.items()
    }


def _elements(hint: Any, value: object, place: str) -> Iterator[str]:
    if type(value) is not list:
        yield _wrong(place, value, "a list")
        return
    if _are_all(hint, value):
        return
    for index, element in enumerate(value):
        yield from _problems(hint, element, f"{place}[{index}]")


def _values(hint: Any, value: object, place: str) -> Iterator[str]:
    if type(value) is not dict:
        yield _wrong(place, value, "an object")
        return
    if _are_all(hint, value.values()):
        return
    for name, inner in value.items():
        yield from _problems(hint, inner, f"{place}.{name}" if place else str(name))


def _are_all(hint: Any, values: Iterable[object]) -> bool:
    """Whether values of a plain type are all of it: most documents are long lists of numbers, and nothing wrong."""
    plain = _PLAIN.get(hint)
    return plain is not None and all(type(value) in plain for value in values)


def _wrong(place: str, value: object, wanted: str) -> str:
    return f"{place or 'it'} is {shown(value)}, not {wanted}"
