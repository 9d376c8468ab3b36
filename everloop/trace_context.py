"""The caller's own trace, as W3C's Trace Context writes it (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
from collections.abc import Mapping

TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(headers: Mapping[str, str]) -> str:
    """The header ``traceparent`` of a request, by names in lower case; empty where it is none.

    A header is whatever a caller likes to send: nothing else of it than this gets into a log.
    """
    given = headers.get("traceparent", "")
    return given if given and TRACEPARENT.fullmatch(given) else ""
