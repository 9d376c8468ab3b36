"""Reads a prediction request and checks it against the serving contract."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from everloop.json_text import read_json
from everloop.limits import UNUSABLE_CHARACTERS, shows_nothing
from everloop.row_key import KeyRefusedError, row_key
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exceptions import RequestError
from everloop.serving.rows import Columns, RowReader, Rows
from everloop.shown import shortened

MAX_BODY_BYTES = 1024 * 1024
"""Largest request body, decoded."""

GZIP_BEGINS = b"\x1f\x8b"

LONGEST_NAME = 64
"""Characters of a caller's field name that an answer repeats."""


MakesReader = Callable[
    [ServingContract, Sequence[NumberField | CategoryField], Callable[[str, CategoryField], object]], RowReader
]
"""Makes a reader of a contract, of what else is declared, and of what raises for a text that is not taken."""


def decode_body(body: str | bytes | None, *, is_base64: bool) -> bytes:
    """The body of an HTTP API event as the bytes the caller sent; bytes are those already.

    Raises
    ------
    RequestError
        ``malformed_json`` when there is none, or base64 does not decode; ``too_large`` above 1 MiB.
    """
    if not body:
        raise RequestError("malformed_json", "the body is empty; send a JSON object")
    if isinstance(body, bytes):
        data = body
    elif is_base64:
        try:
            data = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError("malformed_json", f"the body is not base64: {error}") from error
    else:
        data = body.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BODY_BYTES:
        raise RequestError(
            "too_large",
            f"the body has {len(data)} bytes; at most {MAX_BODY_BYTES} are accepted: send fewer rows at once",
        )
    return data


def parse_json(body: bytes) -> Any:
    """Parse JSON in which no object gives a field twice.

    Bare ``NaN`` and ``Infinity`` are let through as floats: whoever reads the field can then name it.

    Raises
    ------
    RequestError
        ``malformed_json``.
    """
    try:
        return read_json(body, object_of=_object_of_distinct_fields)
    except ValueError as error:
        packed = body.startswith(GZIP_BEGINS)
        how = "; it looks like gzip: add the header content-encoding: gzip" if packed else "; JSON is sent in UTF-8"
        how = how if packed or isinstance(error, UnicodeDecodeError) else ""
        raise RequestError("malformed_json", f"the body is not JSON: {error}{how}") from error


def read_key(value: Any, name: str, index: int) -> str:
    """The key in the field ``name`` of an instance or a label, in the lake's form.

    Raises
    ------
    RequestError
        When it is none; see :func:`everloop.row_key.row_key`.
    """
    try:
        return row_key(value)
    except KeyRefusedError as error:
        code = "wrong_type" if error.code == "control_character" else error.code
        raise RequestError(code, error.about(name, value), field=name, index=index) from error


class RequestParser:
    """Checks requests against one contract. Made once for each artefact; holds nothing of any request.

    Parameters
    ----------
    contract : ServingContract
        What the version that answers needs.
    declared : iterable of NumberField and CategoryField
        The features that are declared where it runs. Those that it does not use may be sent or left out: so callers
        may change over before or after the version does, and the lake has the values either way.

    Attributes
    ----------
    contract : ServingContract
    fields : tuple of str
        What a row may have: the key, the version's numbers and categories in its order, then what else is declared.
    numbers : frozenset of str
        Those of them that are numbers.
    rows_of_body : callable
        Gives the rows of the native protocol's document, where all is right with it and the parser is compiled; else
        None.
    columns_of_body : callable
        Gives the columns of the Open Inference Protocol's document in the same case; else None.
    encode : callable or None
        Writes answers, where the parser is compiled.
    """

    def __init__(self, contract: ServingContract, declared: Iterable[NumberField | CategoryField] = ()) -> None:
        self.contract = contract
        used: tuple[NumberField | CategoryField, ...] = (*contract.numbers, *contract.categories)
        own = {contract.key, *(f.name for f in used)}
        self._unused = tuple(f for f in declared if f.name not in own)
        self._required = (contract.key, *(f.name for f in used if f.missing == "refuse"))
        self._fields = frozenset(own)
        self.fields = (contract.key, *(f.name for f in used), *(f.name for f in self._unused))
        self._taken = frozenset(self.fields)
        self.numbers = frozenset(f.name for f in (*used, *self._unused) if isinstance(f, NumberField))
        categories = (f for f in (*used, *self._unused) if isinstance(f, CategoryField))
        self._seen = {f.name: frozenset(f.values) for f in categories}
        self._typed: RowReader | None = None
        self.rows_of_body: Callable[[bytes], Rows | None] = _unread
        self.columns_of_body: Callable[[bytes], Columns | None] = _unread
        self.encode: Callable[[object], bytes] | None = None

    def compile(self, make: MakesReader) -> None:
        """From now on read rows by compiled code where they are right: the same rows, in a fraction of the time.

        ``make`` is :class:`everloop.serving.typed_rows.TypedReader`, which who has only labels to read does not ship.
        """
        with suppress(ValueError):  # a name that the compiled code can't have
            self._typed = typed = make(self.contract, self._unused, self._check_category)
            self.rows_of_body, self.encode = typed.of_body, typed.encode
            self.columns_of_body = typed.columns_of_body

    @property
    def is_compiled(self) -> bool:
        """Whether rows are read by compiled code where they are right."""
        return self._typed is not None

    def rows(self, instances: Sequence[object] | Rows) -> Rows:
        """The rows that a protocol read out of a request's body.

        Raises
        ------
        RequestError
            At the first thing wrong, in the order of the rows and, in a row, of the contract's columns.
        """
        if isinstance(instances, Rows):
            return instances
        read = None if self._typed is None else self._typed.of_objects(instances)
        return self._field_by_field(instances) if read is None else read

    def _field_by_field(self, instances: Sequence[object]) -> Rows:
        # Each protocol says so in its own words. None goes past what the function has time and room for.
        if not 0 < len(instances) <= self.contract.max_rows:
            raise RequestError(
                "too_many_instances" if instances else "no_instances",
                f"the request has {len(instances)} rows; 1 to {self.contract.max_rows} are accepted at once",
            )
        numbers, categories = self.contract.numbers, self.contract.categories
        keys: list[str] = []
        num: list[list[float]] = []
        cat: list[list[str]] = []
        unseen: dict[str, int] = {}
        unused: list[dict[str, float | str | None]] = []
        for index, given in enumerate(instances):
            instance = self._checked(given, index)
            keys.append(read_key(instance[self.contract.key], self.contract.key, index))
            num.append([_number(instance.get(f.name), f, index) for f in numbers])
            texts = [_category(instance.get(f.name), f, index) for f in categories]
            cat.append(texts)
            for spec, text in zip(categories, texts, strict=True):
                if text and text not in self._seen[spec.name]:
                    _refuse_unseen_if_declared(text, spec, index)
                    unseen[spec.name] = unseen.get(spec.name, 0) + 1
            if self._unused:
                unused.append({f.name: self._unused_value(instance.get(f.name), f, index) for f in self._unused})
        _refuse_repeated_key(keys, self.contract.key)
        shape = len(keys), len(categories)
        return Rows(
            keys=keys,
            num=np.array(num, dtype=np.float64).reshape(len(keys), len(numbers)),
            cat=np.array(cat, dtype=object).reshape(shape),
            unseen=unseen,
            unused=unused,
        )

    def _check_category(self, text: str, spec: CategoryField) -> None:
        """Raise for a text that the feature does not take, as :meth:`rows` does."""
        _category(text, spec, 0)
        if text not in self._seen[spec.name]:
            _refuse_unseen_if_declared(text, spec, 0)

    def _unused_value(self, value: Any, spec: NumberField | CategoryField, index: int) -> float | str | None:
        """Held against the declaration all the same: a later version is trained on what the lake has."""
        if isinstance(spec, NumberField):
            number = _number(value, spec, index)
            return None if math.isnan(number) else number
        text = _category(value, spec, index)
        if text and text not in self._seen[spec.name]:
            _refuse_unseen_if_declared(text, spec, index)
        return text or None

    def _checked(self, instance: object, index: int) -> dict[str, object]:
        """The instance, whose fields are those of the contract."""
        if not isinstance(instance, dict):
            raise RequestError("wrong_type", f"the instance is {kind_of(instance)}, not an object", index=index)
        if instance.keys() == self._fields:
            return instance
        for name in self._required:
            if name not in instance:
                raise RequestError("missing_feature", f"the field {name!r} is missing", field=name, index=index)
        unknown = next((name for name in instance if name not in self._taken), None)
        if unknown is None:
            return instance
        raise RequestError(
            "unknown_feature",
            f"the model has no field {shortened(unknown, LONGEST_NAME)!r}",
            field=shortened(unknown, LONGEST_NAME),
            index=index,
        )


def _unread(_body: bytes) -> None:
    """What a parser that is not compiled reads of a body."""


def _object_of_distinct_fields(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        repeated = _first_repeated(name for name, _ in pairs)
        raise RequestError(
            "malformed_json",
            f"an object gives {shortened(repeated, LONGEST_NAME)!r} twice",
            field=shortened(repeated, LONGEST_NAME),
        )
    return result


def _first_repeated(names: Iterable[str]) -> str:
    """The first name that came before; there must be one."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("unreachable: a dictionary has fewer keys than were given only where one came twice")


def _number(value: Any, spec: NumberField, index: int) -> float:
    if value is None:
        if spec.missing == "allow":
            return math.nan
        raise _missing_not_allowed(spec.name, index)
    if type(value) is not float and type(value) is not int:  # a bool is an int to isinstance
        raise RequestError(
            "wrong_type", f"{spec.name!r} is {kind_of(value)}; send a number", field=spec.name, index=index
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError(
            "not_finite",
            f"{spec.name!r} is {number}, which is not a finite number; send null for a missing value",
            field=spec.name,
            index=index,
        )
    if (spec.min is not None and number < spec.min) or (spec.max is not None and number > spec.max):
        raise RequestError(
            "out_of_range",
            f"{spec.name!r} is {number}; allowed is {_range(spec)}",
            field=spec.name,
            index=index,
        )
    return number


def _category(value: Any, spec: CategoryField, index: int) -> str:
    if value is None or value == "":
        if spec.missing == "allow":
            return ""
        raise _missing_not_allowed(spec.name, index)
    return _text(value, spec.name, spec.max_length, index)


def _text(value: Any, name: str, max_length: int, index: int) -> str:
    if type(value) is not str:
        raise RequestError("wrong_type", f"{name!r} is {kind_of(value)}; send a string", field=name, index=index)
    if len(value) > max_length:
        raise RequestError(
            "too_long",
            f"{name!r} has {len(value)} characters; at most {max_length} are accepted",
            field=name,
            index=index,
        )
    if not value.isprintable() and UNUSABLE_CHARACTERS.search(value):
        raise RequestError("wrong_type", f"{name!r} has a control character: {value!r}", field=name, index=index)
    if shows_nothing(value):
        raise RequestError(
            "wrong_type",
            f"{name!r} is {value!a}, a string without any visible character; send null",
            field=name,
            index=index,
        )
    return value


def _refuse_unseen_if_declared(text: str, spec: CategoryField, index: int) -> None:
    if spec.unseen == "refuse":
        raise RequestError(
            "unseen_category",
            f"{spec.name!r} is {text!r}, a category that the model does not accept",
            field=spec.name,
            index=index,
        )


def _refuse_repeated_key(keys: list[str], name: str) -> None:
    if len(set(keys)) == len(keys):
        return
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key in first:
            raise RequestError(
                "duplicate_key",
                f"instances {first[key]} and {index} have the same {name!r}, {key!r}",
                field=name,
                index=index,
            )
        first[key] = index


def _missing_not_allowed(name: str, index: int) -> RequestError:
    return RequestError("missing_not_allowed", f"{name!r} is missing, but the model needs it", field=name, index=index)


def _range(spec: NumberField) -> str:
    low = "" if spec.min is None else f"from {spec.min:g}"
    high = "" if spec.max is None else f"to {spec.max:g}"
    return f"{low} {high}".strip()


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def kind_of(value: object) -> str:
    """What a JSON value is, for messages."""
    return _KINDS.get(type(value), "a number")
