"""CloudWatch Logs keeps events on the disk, for as long as their group's retention says on the local clock.

Replaces: every event in memory for ever, whatever the retention says.
Why: a cloud that lives through a year would hold all that was ever logged.
Obsolete: once moto can keep events elsewhere and lets them go.
"""

from __future__ import annotations

from typing import Any, cast

from moto.logs.models import LogGroup, LogStream

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.services.logs.events import LogEvents

_DAY = 86_400_000


def install(context: CloudContext) -> None:
    """Store events in files, and drop those beyond their retention whenever a stream is added to their group."""
    directory = context.state_directory / "logs"
    directory.mkdir(parents=True, exist_ok=True)

    def stored(original: Any) -> Any:
        def init(self: LogStream, log_group: LogGroup, name: str) -> None:
            original(self, log_group, name)
            self.events = LogEvents(directory)  # type: ignore[assignment]  # all that moto asks of its list

        return init

    def dated(self: LogStream) -> None:
        events = _events(self)
        self.first_event_timestamp = events.oldest  # type: ignore[assignment]  # moto's types know only the None it begins with
        self.last_event_timestamp = events.newest  # type: ignore[assignment]  # moto's types know only the None it begins with

    def expiring(original: Any) -> Any:
        def create_log_stream(self: LogGroup, log_stream_name: str) -> Any:
            if self.retention_in_days:
                _expire(self, int(context.clock.now().timestamp() * 1000) - int(self.retention_in_days) * _DAY)
            # A new stream is a new worker or job: those of before have mostly written their last.
            for stream in list(self.streams.values()):
                _events(stream).spill()
            return original(self, log_stream_name)

        return create_log_stream

    def deleting(original: Any) -> Any:
        def delete_log_stream(self: LogGroup, log_stream_name: str) -> Any:
            stream = self.streams.get(log_stream_name)
            answer = original(self, log_stream_name)
            if stream is not None:
                _events(stream).clear()
            return answer

        return delete_log_stream

    wrap(LogStream, "__init__", stored)
    replace(LogStream, "_update", dated)
    wrap(LogGroup, "create_log_stream", expiring)
    wrap(LogGroup, "delete_log_stream", deleting)


def _events(stream: LogStream) -> LogEvents:
    return cast(LogEvents, stream.events)


def _expire(group: LogGroup, before: int) -> None:
    for name, stream in list(group.streams.items()):
        events = _events(stream)
        events.expire(before)
        if events.newest is not None and events.newest < before:
            events.clear()
            del group.streams[name]
