"""Why a query is refused, fails or is cancelled."""

from __future__ import annotations


class AthenaError(Exception):
    """Something about a query."""


class InvalidQueryError(AthenaError):
    """The query is refused before it starts: Athena would not take it, or the local cloud can not run it."""


class QueryFailedError(AthenaError):
    """The query ran into an error; the message starts with Athena's error name."""


class QueryCancelledError(AthenaError):
    """The query was stopped before its end, such as at a limit of its workgroup."""
