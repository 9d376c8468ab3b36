"""What a target gets of an event: all of it, a part, a constant, or a template filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonpath_ng.parser import parse

from localcloud.core.json_text import read_json

_PLACEHOLDER = re.compile(r"<([^<>]+)>")


class TargetInputError(ValueError):
    """A target's input can not be made from an event; the message says why."""


@lru_cache(maxsize=256)
def _path(text: str) -> Any:
    return parse(text)


def _select(event: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    found = _path(path).find(event)
    return (True, found[0].value) if found else (False, None)


def target_input(target: Mapping[str, Any], event: Mapping[str, Any], reserved: Mapping[str, str]) -> str:
    """The text a rule's target gets.

    Parameters
    ----------
    target : mapping
        As in PutTargets, with at most one of Input, InputPath and InputTransformer.
    event : mapping
        The event.
    reserved : mapping of str to str
        Values of ``aws.events.…`` placeholders.

    Raises
    ------
    TargetInputError
        When a path or a filled-in template gives no valid JSON.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        found, value = _select(event, target["InputPath"])
        if not found:
            raise TargetInputError(f"InputPath {target['InputPath']!r} is not in the event")
        return json.dumps(value)
    if target.get("InputTransformer"):
        return _transform(target["InputTransformer"], event, reserved)
    return json.dumps(event)


def _transform(transformer: Mapping[str, Any], event: Mapping[str, Any], reserved: Mapping[str, str]) -> str:
    template = transformer["InputTemplate"]
    values: dict[str, Any] = {"aws.events.event": event, "aws.events.event.json": event, **reserved}
    for name, path in (transformer.get("InputPathsMap") or {}).items():
        found, value = _select(event, path)
        values[name] = value if found else None
    text = "".join(_fill(piece, values) for piece in _pieces(template))
    try:
        read_json(text)
    except ValueError as error:
        raise TargetInputError(f"the filled-in InputTemplate is not JSON: {error}: {text}") from error
    return text


_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|[^"]+|"')


def _pieces(template: str) -> list[str]:
    """The template cut into string literals (with their quotes) and what is between them."""
    return _PIECES.findall(template)


def _fill(piece: str, values: Mapping[str, Any]) -> str:
    """Fill in placeholders: as JSON between strings, as text inside a string."""
    in_string = piece.startswith('"') and piece.endswith('"') and len(piece) > 1

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = values[match[1]]
        if not in_string:
            return json.dumps(value)
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        return json.dumps(text)[1:-1]

    return _PLACEHOLDER.sub(value_of, piece)
