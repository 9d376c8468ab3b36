"""Finds the sentence in what a pipeline gives as the cause of a failure, and whose fault that was."""

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

_FAILURE = re.compile(r'"FailureReason"\s*:\s*"([A-Za-z]+)')
"""The kind of failure, with which the reason of a SageMaker job begins."""

_OF_THE_MODEL = frozenset({"AlgorithmError", "ClientError"})
"""Kinds that are the model's own: its program failed, or what it was given. The others are the platform's or the
account's: ``CapacityError``, ``InternalServerError``, ``ResourceLimitExceeded``."""

_OUT_OF_TIME = "MaxRuntimeExceeded"
"""The status of a job that SageMaker stopped at ``training.max_minutes``; it has no failure reason."""

MAX_LENGTH = 4000
"""Characters that are kept: a record of the registry must stay small."""


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


def by_the_model(cause: str) -> bool:
    """Whether a run broke by the model's own fault, so that it costs one of the trainings that the quota allows.

    That is known of a job whose program or input failed, or that took longer than it may. Everything else counts
    apart: a service that failed or was busy, an account without the instance, a job that was not taken, a function of
    the pipeline that failed, a word that nobody knows. Runs that count apart are limited too, for each day.

    Parameters
    ----------
    cause : str
        As a catch of the pipeline gives it.
    """
    found = _FAILURE.search(cause)
    if found is not None:
        return found[1] in _OF_THE_MODEL
    return _OUT_OF_TIME in cause


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
        text: str = read_json(quotes, strict=False)
        return text
    except ValueError:
        return None
