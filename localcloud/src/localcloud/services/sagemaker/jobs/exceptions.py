"""What goes wrong with a job. The message of each becomes the job's FailureReason, as the service words it."""

from __future__ import annotations


class JobFailedError(Exception):
    """The job ended, and not as it should."""


class ClientFailureError(JobFailedError):
    """Something the caller asked for can not be had: data, a role's right, a missing directory."""

    def __init__(self, message: str) -> None:
        super().__init__(f"ClientError: {message}")


class AlgorithmFailureError(JobFailedError):
    """The container's program failed."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(f"AlgorithmError: {message}, exit code: {exit_code}")
        self.exit_code = exit_code


class JobStoppedError(Exception):
    """The job was stopped, by a caller or by its time limit (``timed_out``)."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("MaxRuntimeInSeconds exceeded" if timed_out else "stopped")
        self.timed_out = timed_out


class RequestRefusedError(ValueError):
    """A request the local cloud can not carry out; the message says what to ask for instead."""
