"""What can go wrong while a version comes to serve."""

from __future__ import annotations

from everloop.exceptions import EverloopError, TerminalError, TransientError


class RolloutError(EverloopError):
    """Any failure of a rollout."""


class AliasContendedError(RolloutError, TransientError):
    """Someone else keeps changing the alias."""


class FunctionNotReadyError(RolloutError, TransientError):
    """The function, or a version of it, does not become ready."""


class AliasNotPinnedError(RolloutError, TerminalError):
    """The alias points at ``$LATEST``, where weights and versions mean nothing."""


class EndpointNotReadyError(RolloutError, TransientError):
    """The endpoint is being created or updated, which takes minutes; the same call goes on from where it stands."""


class EndpointFailedError(RolloutError, TerminalError):
    """The endpoint, or a new variant of it, did not come into service."""


class VersionNotStartedError(RolloutError, TerminalError):
    """A published version does not start, so no caller is sent to it."""


class EndpointChangedError(RolloutError, TerminalError):
    """A variant is to take requests that the endpoint does not have."""


class StepOutOfPlanError(RolloutError, TerminalError):
    """A step was asked for that the declared plan does not have."""


class MetricsIncompleteError(RolloutError, TransientError):
    """CloudWatch gave only part of the metrics a guardrail needs."""


class NothingServesError(RolloutError, TerminalError):
    """New function code can only be rolled out for a champion, and there is none."""


class SignerRefusedError(RolloutError, TerminalError):
    """A version is not signed by the platform's key, though it must be."""


class EventNotAcceptedError(RolloutError, TransientError):
    """The event bus did not take an event."""
