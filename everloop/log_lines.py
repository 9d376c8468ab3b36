"""Log lines as JSON, for functions whose cold start has no room for a logging library."""

from __future__ import annotations

import json
from datetime import UTC, datetime


def log_line(level: str, service: str, message: str, facts: dict[str, object], at: datetime) -> str:
    """One line of a log: ``level``, ``message``, ``service``, ``timestamp``, and what else is known."""
    when = at.astimezone(UTC).isoformat(timespec="milliseconds")
    head = {"level": level, "message": message, "service": service, "timestamp": when}
    return json.dumps({**head, **facts}, separators=(",", ":"), ensure_ascii=False, default=str)
