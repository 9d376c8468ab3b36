"""A job's log stream in CloudWatch Logs, on the local clock."""

from __future__ import annotations

import threading
import time
from typing import Any

from botocore.exceptions import ClientError

from localcloud.core.context import CloudContext

_FLUSH_SECONDS = 0.5
_FLUSH_LINES = 500


class LogStream:
    """Collects lines and puts them in batches."""

    def __init__(self, context: CloudContext, group: str, stream: str) -> None:
        self._context = context
        self._client: Any = context.client("logs")
        self._lock = threading.Lock()
        self._lines: list[dict[str, Any]] = []
        self._flushed_at = time.monotonic()
        self.group = group
        self.stream = stream
        # The group is shared by all jobs of a kind. By its code: the classes in a client's `exceptions` are made when
        # first asked for, and two jobs that start at once may each get their own.
        try:
            self._client.create_log_group(logGroupName=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
        self._client.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(self, line: str) -> None:
        """Add a line. Empty lines are kept as a space, since the service takes no empty message."""
        now = round(self._context.clock.now().timestamp() * 1000)
        with self._lock:
            self._lines.append({"timestamp": now, "message": line or " "})
            is_due = time.monotonic() - self._flushed_at > _FLUSH_SECONDS or len(self._lines) >= _FLUSH_LINES
        if is_due:
            self.flush()

    def flush(self) -> None:
        """Put what has been collected."""
        with self._lock:
            lines, self._lines = self._lines, []
            self._flushed_at = time.monotonic()
        if lines:
            self._client.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=lines)
