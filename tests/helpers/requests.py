"""Reads request bodies as the product's own protocol does."""

from __future__ import annotations

from everloop.serving.exchange import HttpRequest
from everloop.serving.protocols import ServedModel
from everloop.serving.protocols.predictions import PROTOCOL
from everloop.serving.request import RequestParser
from everloop.serving.rows import Rows


def rows_in_body(parser: RequestParser, body: bytes) -> Rows:
    """The rows of a body."""
    return parser.rows(PROTOCOL.question(HttpRequest(), body, ServedModel(7, parser)).instances)
