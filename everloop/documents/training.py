"""What a training job says of its candidate: ``training.json`` and ``parity.json``, as the evaluation reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from everloop.documents.snapshot import HeldGroupsDocument, PartRows, PeriodDocument
from everloop.evaluation.learning_report import LearningCurve
from everloop.reasons import ReasonDocument

PARENT_CHANNEL = "parent"
PARENT_VERSION, PARENT_SHA256 = "EVERLOOP_PARENT_VERSION", "EVERLOOP_PARENT_SHA256"
"""How a training job is told which version to continue: a channel with its kept estimator, and what that has to be."""

TUNED_CHANNEL = "tuned"
"""The channel with what a training before this one made, whose parameters this one takes."""

CHECKPOINTS = "EVERLOOP_CHECKPOINTS"
"""The variable that names the folder which outlives an interruption, where a job may be interrupted."""


class BaselineDocument(TypedDict):
    """A learned rule; see :class:`everloop.evaluation.baseline.Baseline`."""

    kind: str
    value: float
    by: str | None
    groups: dict[str, float]
    numbers: NotRequired[dict[str, float]]
    expression: NotRequired[str]


class ParentDocument(TypedDict):
    """The version that a warm start continued: the SHA-256 of its kept estimator, and the trees it had, if any."""

    version: int
    estimator_sha256: str
    trees: int | None


class UpdateDocument(TypedDict):
    """How a training learned that was asked to continue the champion, and why.

    ``rows`` are those it learned from itself: of a warm start the newer ones. ``parent`` is None of a full one.
    """

    kind: Literal["full", "warm"]
    reason: ReasonDocument
    rows: int
    parent: ParentDocument | None


class FoldDocument(TypedDict):
    """A validation part: its rows are later than ``after`` and not later than ``until``; fitted on all earlier ones."""

    after: datetime
    until: datetime
    rows: int
    fitted_on: int


class TrialDocument(TypedDict):
    """One set of parameters that was tried.

    ``state`` is ``complete``, ``failed`` (``error`` says why), or ``cut_off`` where the time was up. ``folds`` has the
    metric on each validation part that was scored, ``value`` their mean, and of a complete trial alone.
    """

    number: int
    state: Literal["complete", "failed", "cut_off"]
    parameters: dict[str, str | float | int | bool]
    value: float | None
    folds: list[float]
    seconds: float
    error: NotRequired[str]


class TuningDocument(TypedDict):
    """How a training chose parameters: each trial, which was the best, and what ended the search.

    ``declared`` is the trial with the parameters as declared, where they lie within the space.
    """

    metric: str
    seed: int
    optuna: str
    folds: list[FoldDocument]
    trials: list[TrialDocument]
    best: int
    declared: int | None
    ended_by: Literal["trials", "minutes", "space"]
    seconds: float


class LockDocument(TypedDict):
    """The lock of the jobs' packages: its SHA-256, and which of its pins the environment does not meet.

    The container installs what a pin asks for before a job begins; the local cloud does not.
    """

    sha256: str
    unmet: list[str]


class TrainingDocument(TypedDict):
    """``training.json``: what the run was made of.

    ``packages`` are all that were installed, by canonical name. A document without ``lock`` is of an earlier release,
    whose ``packages`` are ten of them.

    ``rows.train`` and ``time_range`` are of the rows learned from, which those of the test are among when it is a
    refit. ``update`` is there where a warm start was asked for: from the older rows, the version that it continues had
    learned. ``data_sha256`` has, by channel, the SHA-256 of the part that was read; a document of an earlier release
    lacks it. ``parameters`` are those that were handed to the script. ``tuning`` is there where the training chose some
    of them; ``tuned_by`` in its place where it took those that the training before it had chosen: the SHA-256 of that
    one's ``training.json``. ``held_out`` is there where the training was told of a period to learn nothing from, and
    found none of its rows; ``held_groups`` where it has learned nothing from these groups.
    """

    model: str
    refit: bool
    rows: PartRows
    time_range: list[datetime]
    script: str
    seed: int
    parameters: dict[str, str | float | int | bool]
    baseline: BaselineDocument
    code_sha256: str
    python: str
    platform: str
    packages: dict[str, str]
    lock: NotRequired[LockDocument]
    data_sha256: NotRequired[dict[str, str]]
    learning_curve: NotRequired[LearningCurve]
    update: NotRequired[UpdateDocument]
    tuning: NotRequired[TuningDocument]
    tuned_by: NotRequired[str]
    held_out: NotRequired[PeriodDocument]
    held_groups: NotRequired[HeldGroupsDocument]


class ComparedDocument(TypedDict):
    """The comparison of the trained and the exported model on the test rows."""

    rows: int
    max_abs_difference: float
    label_flips: int


class ProbesDocument(TypedDict):
    """The comparison on what the contract admits; see :class:`everloop.training.probing.Probed`."""

    possibilities: dict[str, int]
    base_rows: int
    rows: int
    max_abs_difference: float
    outside_target: int


class ParityDocument(ComparedDocument):
    """``parity.json``: both comparisons, and the model that they are of."""

    model_sha256: str
    probes: ProbesDocument
