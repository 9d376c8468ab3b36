"""Why a training or evaluation job fails."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class JobError(TerminalError):
    """A job cannot go on; the message is what the person who reads the failed run sees."""


class ChannelError(JobError):
    """The rows a job was given are not what the declaration says."""


class UserScriptError(JobError):
    """The model's own script failed, or returned something that is no fitted estimator."""


class ProbeError(JobError):
    """The model has no usable score for something that its declaration allows."""


class CandidateError(JobError):
    """The trained model handed to the evaluation is incomplete, or not the one that was checked."""


class ChampionError(JobError):
    """The champion cannot be fetched, is not what its manifest says, or cannot score the test rows."""


class KeptProbeError(JobError):
    """A fresh probe of an earlier window is not there, or is not what was recorded."""
