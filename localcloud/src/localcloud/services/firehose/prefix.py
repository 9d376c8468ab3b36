"""Object keys: what the expressions in a stream's prefixes stand for."""

from __future__ import annotations

import random
import re
import string
import uuid
from datetime import datetime
from functools import lru_cache

from localcloud.services.firehose.exceptions import UnsupportedDestinationError

_EXPRESSION = re.compile(r"!\{([^:}]*):?([^}]*)\}")
_PATTERN = re.compile(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']")
_LETTERS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "DDD": "%j",
}


def check_prefix(prefix: str, *, is_error_prefix: bool = False) -> None:
    """Refuse a prefix with an expression that is not understood, or not allowed where it stands.

    Raises
    ------
    UnsupportedDestinationError
        Naming the expression.
    """
    expand_prefix(prefix, datetime(2000, 1, 1), error_type="format-conversion-failed" if is_error_prefix else None)
    if is_error_prefix and prefix and "!{firehose:error-output-type}" not in prefix and "!{" in prefix:
        raise UnsupportedDestinationError(
            f"ErrorOutputPrefix {prefix!r} has expressions but not !{{firehose:error-output-type}}, which AWS asks for"
        )


def expand_prefix(prefix: str, at: datetime, error_type: str | None = None) -> str:
    """A prefix with its expressions replaced.

    Parameters
    ----------
    at : datetime
        Arrival of the oldest record of the object, in UTC.
    error_type : str, optional
        What ``!{firehose:error-output-type}`` stands for; without it the expression is refused.
    """

    def replace(match: re.Match[str]) -> str:
        namespace, value = match.groups()
        if namespace == "timestamp":
            return format_java(value, at)
        if namespace == "firehose" and value == "random-string":
            return "".join(random.choices(string.ascii_letters + string.digits, k=11))
        if namespace == "firehose" and value == "error-output-type" and error_type is not None:
            return error_type
        raise UnsupportedDestinationError(f"{match.group(0)} is not supported in prefix {prefix!r}")

    expanded = _EXPRESSION.sub(replace, prefix)
    if "!{timestamp:" not in prefix:
        # Without an expression of its own Firehose adds the hour.
        expanded += (f"{error_type}/" if error_type and "!{" not in prefix else "") + at.strftime("%Y/%m/%d/%H/")
    return expanded


def format_java(pattern: str, at: datetime) -> str:
    """A time in the pattern language of Java's ``DateTimeFormatter``, as far as dates and times go."""
    return "".join(at.strftime(text) if is_directive else text for is_directive, text in _pieces(pattern))


@lru_cache(maxsize=64)
def _pieces(pattern: str) -> tuple[tuple[bool, str], ...]:
    """What a pattern consists of: text, and directives of ``strftime``."""
    pieces = []
    for match in _PATTERN.finditer(pattern):
        text = match.group(0)
        if match.group(1) is not None:
            pieces.append((False, match.group(1) or "'"))
        elif match.group(2) is not None:
            if text not in _LETTERS:
                raise UnsupportedDestinationError(f"timestamp pattern {pattern!r}: {text!r} is not supported")
            pieces.append((True, _LETTERS[text]))
        else:
            pieces.append((False, text))
    return tuple(pieces)


def object_name(stream: str, version: str, at: datetime, extension: str) -> str:
    """The last part of a key: stream, its version, time and something unique."""
    return f"{stream}-{version}-{at.strftime('%Y-%m-%d-%H-%M-%S')}-{uuid.uuid4()}{extension}"
