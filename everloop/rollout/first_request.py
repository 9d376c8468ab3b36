"""Asks a version once before callers meet it: it starts then, and one that can't start reaches nobody."""

from __future__ import annotations

from datetime import datetime

from everloop.rollout.targets import Question, RolloutTarget

TRIES = 2
"""A start may fail by chance, as when a store is busy; one that takes longer than it may fails every time."""


def why_not_started(target: RolloutTarget, lambda_version: str, *, model: str, name: str, at: datetime) -> str:
    """Ask a published version for nothing; what it answers where it does not start, empty where it does.

    A request without rows is refused by whatever has its model loaded. Nothing of it is captured or counted.

    Parameters
    ----------
    name : str
        The request's id, which the version's log has.
    at : datetime
        The request's time.
    """
    question, said = Question(model, '{"instances": []}', name, at), ""
    for _ in range(TRIES):
        asked = target.ask(lambda_version, question)
        error = asked.document.get("error") or {} if isinstance(asked.document, dict) else {}
        if (asked.status, error.get("code")) == (400, "no_instances"):
            return ""
        told = [str(error[key]) for key in ("code", "message") if error.get(key)]
        said = " ".join([str(asked.status), *([": ".join(told)] if told else [])])
    return said
