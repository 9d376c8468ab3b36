"""Tells from its head whether a request is a plain one: of the native protocol, JSON, and nothing more to look at.

A caller's requests have heads that are alike, so what was found of one is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import httptools

from everloop.names import ModelNames
from everloop.serving.exchange import JSON, whole
from everloop.serving.protocols import NATIVE

_END = b"\r\n\r\n"
_KEPT, _LONGEST = 256, 4096
"""At most so many heads, of so many bytes, are kept: a megabyte."""

_UNUSUAL = frozenset({"content-encoding", "expect", "transfer-encoding", "upgrade"})


class Plain(NamedTuple):
    """A plain request's body, and its headers by their names in lower case."""

    body: bytes
    headers: dict[str, str]


class PlainHeads:
    """The heads of plain requests for one model's predictions."""

    def __init__(self, model: str) -> None:
        paths = (f"/{NATIVE}", ModelNames(model).path(NATIVE))
        self._begins = tuple(f"POST {path} HTTP/1.1\r\n".encode() for path in paths)
        self._known: dict[bytes, tuple[int, dict[str, str]] | None] = {}
        self._last: tuple[bytes, int, int, dict[str, str]] = (b"\0", 1, 0, {})

    def plain(self, data: bytes) -> Plain | None:
        """What is asked by ``data``, where that is one whole plain request and no byte more; None of all else."""
        last, begin, size, headers = self._last
        if len(data) == size and data.startswith(last):
            return whole(Plain, (data[begin:], headers))
        if not data.startswith(self._begins):
            return None
        end = data.find(_END)
        if not 0 <= end <= _LONGEST:
            return None
        head, body = data[:end], data[end + len(_END) :]
        try:
            known = self._known[head]
        except KeyError:
            known = self._learn(head)
        if known is None or len(body) != known[0]:
            return None
        begin = end + len(_END)
        self._last = data[:begin], begin, len(data), known[1]
        return Plain(body, known[1])

    def _learn(self, head: bytes) -> tuple[int, dict[str, str]] | None:
        if len(self._known) >= _KEPT:
            self._known.clear()
        found = self._known[head] = _read(head)
        return found


class _Fields:
    """What the parser tells of a head; it calls these by their names."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.lower().decode("latin-1"), value.decode("latin-1")))


def _read(head: bytes) -> tuple[int, dict[str, str]] | None:
    """The length of the body that a head says, and its headers, as the server's own parser reads them."""
    fields = _Fields()
    parser = httptools.HttpRequestParser(fields)
    try:
        parser.feed_data(head + _END)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None  # the server says what is wrong with it
    headers = dict(fields.pairs)
    length = headers.get("content-length", "")
    if len(headers) != len(fields.pairs) or not _UNUSUAL.isdisjoint(headers) or not parser.should_keep_alive():
        return None
    if headers.get("content-type", JSON) != JSON or not (length.isascii() and length.isdigit()):
        return None
    return int(length), headers
