"""Why a training or evaluation job fails."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class JobError(TerminalError):
    """A job cannot go on; the message is what the person who reads the failed run sees."""


class ChannelError(JobError):
    """The rows a job was given are not what the declaration says."""


class DataDiffersError(ChannelError):
    """A job was given other files than its run's snapshot has."""


class UserScriptError(JobError):
    """The model's own script failed, or returned something that is not a fitted estimator."""


class TuningError(JobError):
    """Parameters can't be chosen: too few rows for the validation parts, or no trial that came to an end."""


class WarmStartError(JobError):
    """A training can't continue an estimator, or would return one that the next can't."""


class ParentError(JobError):
    """What was kept of the version to continue is absent, or is not what the registry says."""


class ProbeError(JobError):
    """The model has no usable score for something that its declaration allows."""


class CandidateError(JobError):
    """The trained model handed to the evaluation is incomplete, or not the one that was checked."""


class ChampionError(JobError):
    """The champion cannot be fetched, is not what its manifest says, or cannot score the test rows."""


class OlderVersionError(JobError):
    """An older version can't be judged again: it fits the declaration no more, or has learned from all test rows."""


class EnvironmentDiffersError(JobError):
    """A model was trained with other packages, by another lock or by another Python than this job's."""


class KeptProbeError(JobError):
    """A fresh probe of an earlier window is not there, or is not what was recorded."""
