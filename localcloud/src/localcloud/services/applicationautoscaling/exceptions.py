"""What Application Auto Scaling refuses."""

from __future__ import annotations


class ScalingRefusedError(RuntimeError):
    """A request that can't be carried out; the message names the parameter, the value and the remedy."""


class NotRegisteredError(RuntimeError):
    """A target or a policy that is not there."""
