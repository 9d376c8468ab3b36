"""Reads JSON values as the type they are declared with: a document is that type, or it is refused by name.

Types are what JSON has: None, bool, int, float, str, list, dict with text keys, unions, literals and typed dicts of
these. A typed dict may have more keys than are declared: whoever wrote it may be newer. Nothing is converted.
Dataclasses of these are read too (:func:`read_record`); of them every field has to be there, default or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from everloop.exceptions import TerminalError
from everloop.instants import parse_instant
from everloop.shown import shown

T = TypeVar("T")

PIPELINE_SENDS = "the pipeline sends these: deploy the model's stack again, so that both are of one release"
"""The remedy of an event that the pipeline's definition and its function do not agree on."""

Event = Mapping[str, object]
"""What a handler is invoked with, before it is read."""

MOST_PROBLEMS = 5
"""Problems that one refusal names."""


class DocumentRefusedError(TerminalError, ValueError):
    """A document is not what its reader takes."""


class Checked:
    """Marks a type whose values have to pass ``check`` as well, which raises ``ValueError`` for those that don't."""

    def __init__(self, check: Callable[[Any], object]) -> None:
        self.check = check


InstantText = Annotated[str, Checked(parse_instant)]
"""An instant on the wire: ISO 8601 text with an offset, e.g. ``2013-03-01T05:00:00Z``."""


def read_as(kind: type[T], value: object, what: str, remedy: str) -> T:
    """``value``, which is a ``kind``.

    Parameters
    ----------
    kind : type
        A typed dict, or any other type above.
    what, remedy : str
        What the value should be, and what to do where it is not; for the refusal.

    Raises
    ------
    DocumentRefusedError
        Naming each place that is wrong (at most five), what stands there and what belongs there.
    """
    problems = _problems(kind, value, "")
    first = [problem for _, problem in zip(range(MOST_PROBLEMS), problems, strict=False)]
    if first:
        raise DocumentRefusedError(f"this is no {what}: {'; '.join(first)}; {remedy}")
    return value  # type: ignore[return-value]  # it was held against the kind just now


def read_record(kind: type[T], value: object, what: str, remedy: str) -> T:
    """The dataclass that was written as ``value``, field by field; of its fields some may be dataclasses or tuples.

    Raises
    ------
    DocumentRefusedError
        As :func:`read_as`.
    """
    return cast("T", _built(kind, read_as(cast("type[object]", kind), value, what, remedy)))


def _built(hint: Any, value: Any) -> Any:
    """``value``, which was found to be a ``hint``, with its dataclasses and tuples made."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        fitting = next(option for option in get_args(hint) if not list(_problems(option, value, "")))
        return _built(fitting, value)
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**{name: _built(inner, value[name]) for name, (inner, _) in _declared(hint).items()})
    if origin is tuple:
        return tuple(_built(get_args(hint)[0], element) for element in value)
    if origin in (list, Sequence):
        return [_built(get_args(hint)[0], element) for element in value]
    if origin in (dict, Mapping):
        return {name: _built(get_args(hint)[1], inner) for name, inner in value.items()}
    return value


def _problems(hint: Any, value: object, place: str) -> Iterator[str]:
    """What is wrong with ``value`` where a ``hint`` belongs; ``place`` is its path, e.g. ``quality.loss``."""
    origin = get_origin(hint)
    if hint is Any or hint is object:
        return
    if origin is Annotated:
        yield from _checked(hint, value, place)
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
    None: "null", NoneType: "null", bool: "true or false", int: "a whole number", float: "a number", str: "a text",
    dict: "an object", list: "a list",
}  # fmt: skip


def _checked(hint: Any, value: object, place: str) -> Iterator[str]:
    kind, *marks = get_args(hint)
    problems = list(_problems(kind, value, place))
    yield from problems
    for mark in marks if not problems else ():
        if isinstance(mark, Checked):
            try:
                mark.check(value)
            except ValueError as error:
                yield f"{place or 'it'}: {error}"


def _one_of(options: Sequence[Any], value: object, place: str) -> Iterator[str]:
    found = [list(_problems(option, value, place)) for option in options]
    if all(found):
        # The problems inside an option that is an object tell more than that it is none of all.
        objects = [is_typeddict(option) or is_dataclass(option) for option in options]
        inside = [f for is_object, f in zip(objects, found, strict=True) if is_object and type(value) is dict]
        names = " or ".join(_name(option) for option in options)
        yield from inside[0] if inside else [_wrong(place, value, names)]


def _name(hint: Any) -> str:
    """What belongs where a hint stands, in a word or two."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _name(get_args(hint)[0])
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
    """The keys of a typed dict or a dataclass: their types, and whether they have to be there."""
    hints = get_type_hints(kind, include_extras=True)
    if is_dataclass(kind):
        return {field.name: (hints[field.name], True) for field in dataclass_fields(kind)}
    optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    return {
        name: (get_args(hint)[0], False) if name in optional else (hint, kind.__total__) for name, hint in hints.items()
    }


def _elements(hint: Any, value: object, place: str) -> Iterator[str]:
    if type(value) is not list:
        yield _wrong(place, value, "a list")
        return
    for index, element in enumerate(value):
        yield from _problems(hint, element, f"{place}[{index}]")


def _values(hint: Any, value: object, place: str) -> Iterator[str]:
    if type(value) is not dict:
        yield _wrong(place, value, "an object")
        return
    for name, inner in value.items():
        yield from _problems(hint, inner, f"{place}.{name}" if place else str(name))


def _wrong(place: str, value: object, wanted: str) -> str:
    return f"{place or 'it'} is {shown(value)}, not {wanted}"
