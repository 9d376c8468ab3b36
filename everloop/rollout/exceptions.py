"""What can go wrong while a version comes to serve."""


class RolloutError(Exception):
    """Any failure of a rollout."""


class AliasContendedError(RolloutError):
    """Someone else keeps changing the alias."""


class FunctionNotReadyError(RolloutError):
    """The function, or a version of it, does not become ready."""


class AliasNotPinnedError(RolloutError):
    """The alias points at ``$LATEST``, where weights and versions mean nothing."""


class StepOutOfPlanError(RolloutError):
    """A step was asked for that the declared plan does not have."""


class MetricsIncompleteError(RolloutError):
    """CloudWatch gave only part of the metrics a guardrail needs."""


class NothingServesError(RolloutError):
    """New function code can only be rolled out for a champion, and there is none."""


class EventNotAcceptedError(RolloutError):
    """The event bus did not take an event."""
