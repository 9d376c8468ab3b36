"""What keeps a replay from being true."""

from everloop.cli.exceptions import CommandError


class ReplayDataError(CommandError):
    """The data file can't be replayed."""


class LoopNotClosedError(CommandError):
    """The replay ran and the loop did not close; the message says which link is open."""
