"""Reads rows in one pass of compiled code, where they are right; what is wrong is left to who can say so.

The contract becomes a type, and msgspec reads a request's body into rows of it: types, limits and names are checked on
the way, and no Python object is made that is not needed. Nothing is refused here: where anything is wrong, or only
unusual, there is no answer, and :class:`everloop.serving.request.RequestParser` reads the rows field by field, with its
messages. So what is taken here must be exactly what is taken there.

Sources: https://jcristharif.com/msgspec/structs.html and https://jcristharif.com/msgspec/constraints.html
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from struct import Struct
from struct import error as StructError  # it has no name of its own
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from everloop.row_key import MAX_KEY_LENGTH, KeyRefusedError, row_key
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.rows import Columns, Rows
from everloop.serving.typed_tensors import columns_of_body

_PLAIN_KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_.:/-]{0,255}|(?![0-9][eE]-[0-9]+\Z)[0-9][0-9A-Za-z_:/-]{0,255}")
"""Keys that :func:`everloop.row_key.row_key` takes as they are: no sign, no space, no number but one of digits."""

_is_plain_key = _PLAIN_KEY.fullmatch
_FLOAT64, _OBJECT = np.dtype(np.float64), np.dtype(object)
_MOST = sys.float_info.max
_QUOTE = b'"'
_ENCODER = msgspec.json.Encoder()
_COMBINATIONS = 4096
"""Of so many combinations of a row's texts it is kept how the model takes them: about a megabyte."""


class TypedReader:
    """Reads rows of one contract.

    Parameters
    ----------
    contract : ServingContract
    others : sequence of NumberField and CategoryField
        What else a row may have: declared, and not used by this version.
    check : callable
        Raises for a text that is no value of a category feature, or not an accepted one.

    Attributes
    ----------
    encode : callable
        Writes JSON. What is no number in JSON becomes null, so no score that is not finite may come here.

    Raises
    ------
    ValueError
        Where a name of the contract can't be one of such a type: it has a quote or a backslash.
    """

    encode: Callable[[object], bytes] = staticmethod(_ENCODER.encode)

    def __init__(
        self,
        contract: ServingContract,
        others: Sequence[NumberField | CategoryField],
        check: Callable[[str, CategoryField], object],
    ) -> None:
        numbers, categories = contract.numbers, contract.categories
        self._fields: tuple[NumberField | CategoryField, ...] = (*numbers, *categories, *others)
        self._numbers = slice(1, 1 + len(numbers))
        self._used = len(categories)
        self._categories = slice(1 + len(numbers), 1 + len(numbers) + len(categories))
        self._key = contract.key
        self._most, self._check = contract.max_rows, check
        # Where in a row each text stands; those of the model's input come first.
        self._texts = [(1 + i, f) for i, f in enumerate(self._fields) if isinstance(f, CategoryField)]
        self._known = [frozenset(v for v in f.values if v and _is_taken(check, v, f)) for _, f in self._texts]
        self._seen = [frozenset(f.values) for _, f in self._texts]
        # Where each text stands, and what it may be so that there is nothing more to look at.
        self._choices = [
            (at, known | {None} if spec.missing == "allow" else known)
            for (at, spec), known in zip(self._texts, self._known, strict=True)
        ]
        names = {"f0": contract.key, **{f"f{1 + i}": f.name for i, f in enumerate(self._fields)}}
        self._whole = self._row(names)
        self._partial = self._row(names, whole=False)
        self._optional = [f"f{1 + i}" for i, f in enumerate(self._fields) if self._may_lack(f)]
        self._plain_one = self._plain_reader()
        self._decode, self._decode_partial = (
            msgspec.json.Decoder(_document_of(row)).decode for row in (self._whole, self._partial)
        )
        self._lists = {row: _list_of(row) for row in (self._whole, self._partial)}
        self._begins = len(_ENCODER.encode({contract.key: 0})) - len(b"0}")

    def of_body(self, body: bytes) -> Rows | None:
        """The rows of ``{"instances": [{…}, …]}``; None where it is anything else, or one of them is not right."""
        try:
            try:
                rows = self._decode(body).instances
            except msgspec.ValidationError as error:
                if "missing required field" not in str(error):
                    return None
                rows = self._decode_partial(body).instances
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        quotes = body.count(_QUOTE)
        if len(rows) == 1 and type(rows[0]) is self._whole:
            plain = self._plain_one(rows, quotes)
            if plain is not None:
                return plain
        return self._rows(rows, quotes)

    def columns_of_body(self, body: bytes) -> Columns | None:
        """The columns of a document of the Open Inference Protocol; see :func:`columns_of_body`."""
        return columns_of_body(body, self._key, self._most)

    def of_objects(self, instances: Sequence[object]) -> Rows | None:
        """The rows that were parsed before; None where one of them is not right."""
        for row, rows in self._lists.items():
            try:
                found = msgspec.convert(instances, rows)
            except msgspec.ValidationError as error:
                if row is self._whole and "missing required field" in str(error):
                    continue
                return None
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return None
            return self._rows(found, None)
        return None

    def _rows(self, rows: list[Any], quotes: int | None) -> Rows | None:
        if not 0 < len(rows) <= self._most:
            return None
        lacking = self._filled(rows) if type(rows[0]) is self._partial else 0
        if len(rows) == 1 and (quotes is None or lacking):
            plain = self._plain_one(rows, None if quotes is None else quotes + 2 * lacking)
            if plain is not None:
                return plain
        values = [astuple(row) for row in rows]
        columns = list(zip(*values, strict=True))
        if quotes is not None and quotes != self._quotes(columns, len(rows)) - 2 * lacking:
            return None
        keys = _keys(rows, columns[0])
        if keys is None:
            return None
        unseen: dict[str, int] = {}
        texts = [row[self._categories] for row in values]
        for place, (at, _) in enumerate(self._texts):
            column = columns[at]
            if self._known[place].issuperset(column):
                continue
            if not self._odd(place, column, unseen):
                return None
            if None in column or "" in column:
                _set_missing(rows, column, f"f{at}")
                if place < self._used:
                    columns[at] = tuple(text or "" for text in column)
                    texts = list(zip(*columns[self._categories], strict=True))
        num = np.array([row[self._numbers] for row in values], _FLOAT64)
        cat = np.array(texts, _OBJECT)
        return Rows(keys, num, cat, unseen, [], partial(self._written, rows))

    def _plain_reader(self) -> Callable[[list[Any], int | None], Rows | None]:
        """Makes what reads a row that is alone, of known texts and with a plain key: most requests are such.

        It gives None for any other. It takes the row, and how many quotes its document has, where that is to be known.
        """
        numbers, categories, written = self._numbers, self._categories, self._written
        known_texts, others = _KnownTexts(self._choices[: self._used]), self._choices[self._used :]
        floats = Struct(f"{numbers.stop - numbers.start}d").pack
        shape, most = (1, numbers.stop - numbers.start), 2 * (2 + 1 + len(self._fields) + len(self._texts))
        array, from_bytes = np.array, np.ndarray

        def read(rows: list[Any], quotes: int | None) -> Rows | None:
            values = astuple(rows[0])
            found = known_texts[values[categories]]
            if found is None:
                return None
            cat, missing = found
            for at, known in others:
                text = values[at]
                if text not in known:
                    return None
                if text is None:
                    missing += 1
            key = values[0]
            if type(key) is not str or not (
                (key.isascii() and key.isalnum() and len(key) <= MAX_KEY_LENGTH) or _is_plain_key(key)
            ):
                return None
            if quotes is not None and quotes != most - 2 * missing:
                return None
            given = values[numbers]
            try:
                num = from_bytes(shape, _FLOAT64, floats(*given))  # four times as fast as to look what they are
            except StructError:  # one is missing
                num = array((given,), _FLOAT64)
            return Rows([key], num, cat, {}, [], partial(written, rows))

        return read

    def _quotes(self, columns: list[tuple[Any, ...]], rows: int) -> int:
        """How many quotes a document has that gives each field of such rows once, and has no text with a quote.

        One that names a field twice has more. So has one with an escaped quote, which is rare, and read the other way.
        """
        keys, texts = columns[0], [columns[at] for at, _ in self._texts]
        strings = sum(type(key) is str for key in keys) + sum(rows - column.count(None) for column in texts)
        return 2 * (1 + rows * len(columns) + strings)

    def _odd(self, place: int, column: tuple[Any, ...], unseen: dict[str, int]) -> bool:
        """Whether the texts of a column that are missing or not known may be there; counts the unseen."""
        spec = self._texts[place][1]
        for text in set(column) - self._known[place]:
            if not text:
                if spec.missing == "refuse":
                    return False
                continue
            if not _is_taken(self._check, text, spec):
                return False
            if place < self._used and text not in self._seen[place]:
                unseen[spec.name] = unseen.get(spec.name, 0) + column.count(text)
        return True

    def _filled(self, rows: list[Any]) -> int:
        """How many fields are left out; they become missing values."""
        lacking = 0
        for row in rows:
            for name in self._optional:
                if getattr(row, name) is msgspec.UNSET:
                    setattr(row, name, None)
                    lacking += 1
        return lacking

    def _written(
        self, rows: list[Any], others: Sequence[object], places: Sequence[int], masked: frozenset[str]
    ) -> tuple[list[bytes], list[bytes]]:
        if len(places) < len(rows):
            rows = [rows[place] for place in places]
        for name in [f"f{1 + i}" for i, f in enumerate(self._fields) if f.name in masked] if masked else ():
            for row in rows:
                setattr(row, name, None)
        begins, lines = self._begins, _ENCODER.encode_lines(rows).splitlines()
        return _ENCODER.encode_lines(others).splitlines(), [line[begins:] for line in lines]

    def _may_lack(self, spec: NumberField | CategoryField) -> bool:
        return spec.missing == "allow"

    def _row(self, names: dict[str, str], *, whole: bool = True) -> Any:
        """The type of a row; unless it is ``whole``, fields may be left out whose values may be missing."""
        fields: list[Any] = [("f0", str | int)]
        for index, spec in enumerate(self._fields):
            kind: Any = str
            if isinstance(spec, NumberField):
                # Within the limits of floats too: so neither infinity nor what is no number passes.
                low, high = -_MOST if spec.min is None else spec.min, _MOST if spec.max is None else spec.max
                kind = Annotated[float, msgspec.Meta(ge=low, le=high)]
            if self._may_lack(spec):
                kind = kind | None
            more = [] if whole or not self._may_lack(spec) else [msgspec.UNSET]
            if more:
                kind = kind | msgspec.UnsetType
            fields.append((f"f{1 + index}", kind, *more))
        return msgspec.defstruct(
            "Row", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False, weakref=False
        )


class _KnownTexts(dict[tuple[str | None, ...], tuple[np.ndarray, int] | None]):
    """The texts of a row as the model takes them, and how many of them are missing; None where one is not known.

    Rows have the same few texts again and again: what is found of them is kept.

    Parameters
    ----------
    choices : list of (int, set)
        Where each text stands in a row, and what it may be.
    """

    def __init__(self, choices: list[tuple[int, frozenset[str | None]]]) -> None:
        super().__init__()
        self._known = [known for _, known in choices]

    def __missing__(self, texts: tuple[str | None, ...]) -> tuple[np.ndarray, int] | None:
        for text, known in zip(texts, self._known, strict=True):
            if text not in known:
                return None
        cat = np.array((tuple(text or "" for text in texts),), _OBJECT)
        cat.flags.writeable = False  # other rows have it too
        if len(self) >= _COMBINATIONS:
            self.clear()
        found = self[texts] = cat, texts.count(None)
        return found


def _set_missing(rows: list[Any], column: tuple[Any, ...], name: str) -> None:
    """Empty texts are missing ones, in the records too."""
    for row, text in zip(rows, column, strict=True):
        if text == "":
            setattr(row, name, None)


def _document_of(row: Any) -> Any:
    return msgspec.defstruct("Document", [("instances", _list_of(row))], forbid_unknown_fields=True)


def _list_of(row: Any) -> Any:
    return list[row]


def _keys(rows: list[Any], given: Iterable[Any]) -> list[str] | None:
    """The keys in the lake's form, also in ``rows``; None where one is no key, or comes twice."""
    keys: list[str] = []
    for row, key in zip(rows, given, strict=True):
        if type(key) is not str or not _is_plain_key(key):
            try:
                row.f0 = key = row_key(key)
            except KeyRefusedError:
                return None
        keys.append(key)
    return keys if len(set(keys)) == len(keys) else None


def _is_taken(check: Callable[[str, CategoryField], object], text: str, spec: CategoryField) -> bool:
    try:
        check(text, spec)
    except Exception:  # whatever is said against it is said by who reads the rows then
        return False
    return True
