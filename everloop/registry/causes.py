"""Finds the sentence in what a pipeline gives as the cause of a failure."""

from __future__ import annotations

import re

from everloop.json_text import read_json

_SENTENCES = ("errorMessage", "ExitMessage", "FailureReason")
"""Where Lambda functions and SageMaker jobs put theirs, inside JSON; the first that says anything counts.

Of a processing job only the ``ExitMessage`` is its program's own; its ``FailureReason`` is an exit code. A training
job has no ``ExitMessage``.
"""

_TRUNCATED = [re.compile(rf'"{name}"\s*:\s*("(?:[^"\\]|\\.)+")') for name in _SENTENCES]
"""Step Functions cuts long causes, which leaves no valid JSON."""

MAX_LENGTH = 4000
"""Characters that are kept: a record of the registry has to stay small."""


def readable_cause(cause: str) -> str:
    """The error's name and its sentence.

    Parameters
    ----------
    cause : str
        As a catch of the pipeline gives it: ``<error>: <text>`` or the text alone, where the text may be JSON
        that wraps the sentence.
    """
    error, colon, text = cause.partition(": ")
    if not colon or not text.lstrip().startswith("{"):
        error, text = "", cause
    sentence = _sentence(text) or text
    return (f"{error}: {sentence}" if error and not sentence.startswith(error) else sentence)[:MAX_LENGTH]


def _sentence(text: str) -> str | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        document = read_json(text)
    except ValueError:
        found = next(filter(None, (pattern.search(text) for pattern in _TRUNCATED)), None)
        return _text_in(found.group(1)) if found else None
    return next((str(document[name]) for name in _SENTENCES if document.get(name)), None)


def _text_in(quotes: str) -> str | None:
    """A JSON text; None where it is none, as one with an unknown escape."""
    try:
        return read_json(quotes, strict=False)
    except ValueError:
        return None
