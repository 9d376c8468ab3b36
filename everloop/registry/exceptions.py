"""What the registry refuses, and why."""

from __future__ import annotations

from everloop.exceptions import EverloopError, TerminalError, TransientError
from everloop.numbers_of import number_of


class RegistryError(EverloopError):
    """Any refusal of the registry."""


class UnknownVersionError(RegistryError, TerminalError):
    """No version of that number is registered."""


class UnknownRunError(RegistryError, TerminalError):
    """No run of that id is recorded."""


class NoChampionError(RegistryError, TerminalError):
    """Nothing serves, and no version was named."""


class ReasonMissingError(RegistryError, TerminalError):
    """What a person does by hand needs a reason."""


class NotWaivableError(RegistryError, TerminalError):
    """A reason of the gate is not waived: nobody may, this person may not, or the waiver lacks something."""


class UnknownRefusalError(RegistryError, TerminalError):
    """A registry function that is newer than this code refused for a reason that is not known here."""


class UnknownStatusError(RegistryError, TerminalError, ValueError):
    """A run does not end in that word."""


class UnknownRolloutError(RegistryError, TerminalError):
    """No rollout of that id is recorded."""


class CorruptRecordError(RegistryError, TerminalError):
    """An item of the table does not read as the record its key promises."""


class AuditAheadError(RegistryError, TerminalError):
    """More audit records are locked than the table has: it was set back, and nothing may be written to it."""


class LockedRecordDiffersError(RegistryError, TerminalError):
    """An audit record of the table is not the one that was locked in its place."""


class InvalidTransitionError(RegistryError, TerminalError):
    """The states do not allow this move, or the version is not in the state the caller expects."""


class StateOccupiedError(InvalidTransitionError):
    """Another version holds the one place in ``staging`` or ``shadow``."""


class ChampionChangedError(RegistryError, TerminalError):
    """The champion is not the one this decision was made against."""


class RunNotOpenedError(RegistryError, TerminalError):
    """A run is not opened, by design: nothing was written, and nothing is broken."""


class RunAlreadyActiveError(RunNotOpenedError):
    """Another run of the model is open. ``run_id`` and ``started_at`` say which."""

    def __init__(self, model: str, run_id: str, started_at: str) -> None:
        self.model, self.run_id, self.started_at = model, run_id, started_at
        super().__init__(
            f"model {model}: run {run_id} has been active since {started_at}; wait for it to end, or, if its"
            f" execution is dead, `everloop runs release {model} {run_id} --reason …`"
        )


class RunNotActiveError(RegistryError, TerminalError):
    """The run that wants to change what serves is not (or no longer) the model's active run."""


class RunOutOfOrderError(RegistryError, TerminalError):
    """A run would be recorded as opened before one that was opened already."""


class InstantAheadError(RegistryError, TerminalError):
    """Something would be recorded at an instant that has not come."""


class QuotaExceededError(RunNotOpenedError):
    """The model has had as many training runs as its declaration allows."""

    def __init__(self, model: str, started: int, allowed: int, days: int, free_at: str) -> None:
        self.started, self.allowed, self.days, self.free_at = started, allowed, days, free_at
        super().__init__(
            f"model {model}: {number_of(started, 'training run')} started in the last {number_of(days, 'day')}, the"
            f" declared quota is {allowed} (retraining.quota); the next one may start at {free_at}"
        )


class RecordTooLargeError(RegistryError, TerminalError):
    """A record is more than DynamoDB takes for an item."""

    def __init__(self, where: str, found: int, limit: int) -> None:
        self.found, self.limit = found, limit
        super().__init__(
            f"the record {where} has {found:,} bytes, and DynamoDB accepts at most {limit:,}: declare fewer"
            " features, or import history as fewer, larger files"
        )


class TooManyBrokenRunsError(RunNotOpenedError):
    """Too many runs broke that are none of the quota's. ``free_at`` says when the next one may start."""

    def __init__(self, model: str, broken: int, hours: float, free_at: str) -> None:
        self.broken, self.free_at = broken, free_at
        super().__init__(
            f"model {model}: {broken} training runs failed in the last {hours:g} hours for other reasons than the"
            " model (no instance, a busy service, the data contract), and more are not allowed in that time. Fix"
            f" what `everloop runs list {model}` reports, and try again after {free_at}, or at once with `everloop"
            f" train {model} --smoke`, which is not counted"
        )


class NotRestorableError(RunNotOpenedError):
    """This version may not be brought back: it serves, it never did, or something would still go back to it."""


class CalibrationHeldError(RegistryError, TerminalError):
    """No calibration is published now, by design: a rollout is open, a person holds them, or it comes too late."""


class UnknownCalibrationError(RegistryError, TerminalError):
    """No such calibration is recorded."""


class ServedOtherwiseError(RegistryError, TransientError):
    """The champion came to be served by another function version meanwhile: read it again."""


class RolloutEndedError(RegistryError, TerminalError):
    """The rollout is over, so it can be neither advanced, promoted nor rolled back."""


class OperationMismatchError(RegistryError, TerminalError):
    """An operation key was used before, for something else."""


class StandingSetChosenError(RegistryError, TransientError):
    """Another standing set was chosen meanwhile: the snapshot is made again, without its rows."""


class ContentionError(RegistryError, TransientError):
    """A transaction lost against concurrent writers as often as it may."""


class ArtifactMismatchError(RegistryError, TerminalError):
    """The files of a candidate are not the ones that were evaluated."""


class ArtifactMissingError(RegistryError, TerminalError):
    """A file that a registered version needs is not where the evaluation writes it."""


class SigningRefusedError(RegistryError, TerminalError):
    """The platform's key does not sign, or does not say what its public half is."""


class ParentRefusedError(RegistryError, TerminalError):
    """A candidate says that it continues a version, and that is not the one its run was to continue."""


class CommandRefusedError(RegistryError, TerminalError):
    """The registry function does not take this command, or not from this caller."""


class WriterFailedError(RegistryError, TerminalError):
    """The registry function failed over a command; whether it was written is not known."""
