"""What goes wrong with an endpoint or with an invocation of it."""

from __future__ import annotations


class HostingRefusedError(ValueError):
    """A request that SageMaker refuses, or that the local cloud can't carry out; the message says what to ask for."""


class ContainerError(RuntimeError):
    """A container that can't serve; the message becomes the endpoint's FailureReason."""


class InvocationError(RuntimeError):
    """An invocation that is answered with an error.

    Attributes
    ----------
    code, status
        The error's code and HTTP status, as sagemaker-runtime's own description has them.
    """

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class NotAnsweredError(RuntimeError):
    """A container that took a request and gave no answer; ``timed_out`` after it had its time."""

    def __init__(self, message: str, *, timed_out: bool) -> None:
        super().__init__(message)
        self.timed_out = timed_out
