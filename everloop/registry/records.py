"""The registry's records. Their instants are in UTC; as text they stand in items and in JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from everloop.documents.probe import ProbeDocument
from everloop.documents.records import (
    EnvironmentRecord,
    Files,
    GateVerdict,
    GuardrailCheck,
    RefitChoice,
    StoredTrigger,
    TrainingSpan,
    TrainingUpdate,
)
from everloop.documents.snapshot import SnapshotDocument
from everloop.documents.window import WindowRecord
from everloop.manifest import EVALUATED, SIBLING
from everloop.reasons import ReasonDocument
from everloop.registry import keys
from everloop.registry.items import Record
from everloop.registry.states import State
from everloop.typed_json import JsonObject

OPEN_ROLLOUT = frozenset({"canary", "baking"})
"""The statuses of a rollout that has not ended."""


@dataclass(frozen=True)
class Version(Record):
    """One registered version of a model.

    Attributes
    ----------
    version : int
        Its number, from 1, never reused.
    artifact_prefix : str
        Where its files stand in the artifact bucket, e.g. ``artifacts/flights/000007/``.
    manifest_sha256 : str
        Hash of the manifest, which carries the hash of every file.
    code_sha256 : str
        Hash of the training code.
    files : dict
        File name to ``{"sha256", "bytes"}``.
    metrics, gate : dict
        What the gate measured, and its verdict with reasons. Both are of the evaluated files.
    refit : dict
        Which model serves, and why: ``{"serves": "refit" | "evaluated", "reasons", "report_sha256"}``. Empty
        where there was no refit: the evaluated files serve.
    state_since : datetime
        Since when it is in ``state``; ``reason`` says why, where a reason was due.
    readmitted_by : str or None
        The last run that brought it back with the gate's leave; None where none did.
    parent_version : int or None
        The version that it continues by warm start; None where it was trained in full.
    environment : dict or None
        Python, packages and lock of its evaluation, and how its training's differed; None of an earlier release.
    signer : str or None
        The fingerprint of the key that signed its manifest; None of an earlier release.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"files", "metrics", "gate", "refit", "environment"})

    model: str
    version: int
    state: State
    run_id: str
    snapshot_hash: str
    artifact_prefix: str
    manifest_sha256: str
    code_sha256: str
    created_at: datetime
    state_since: datetime
    files: Files = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    gate: GateVerdict = field(default_factory=GateVerdict)
    refit: RefitChoice = field(default_factory=RefitChoice)
    reason: str | None = None
    readmitted_by: str | None = None
    parent_version: int | None = None
    environment: EnvironmentRecord | None = None
    signer: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))

    @property
    def serves_refit(self) -> bool:
        """Whether a refit serves, which no labels had judged when it was registered."""
        return self.refit.get("serves") == "refit"

    @property
    def evaluated_files(self) -> Files:
        """The files that its evaluation is about: name to ``{"sha256", "bytes"}``."""
        if not self.serves_refit:
            return {name: self.files[name] for name in EVALUATED if name in self.files}
        return {name: self.files[SIBLING + name] for name in EVALUATED if SIBLING + name in self.files}

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, under ``VERSION#`` and its number."""
        return keys.partition(self.model), keys.version(self.version)

    @property
    def index_attributes(self) -> dict[str, str]:
        """Its places in the indexes ``by_state`` and ``by_snapshot``."""
        return {
            "state_pk": keys.state_partition(self.state),
            "state_sk": keys.state_sort(self.model, self.version),
            "snapshot_pk": keys.snapshot_partition(self.snapshot_hash),
            "snapshot_sk": keys.snapshot_sort(self.model, self.version),
        }


@dataclass(frozen=True)
class Run(Record):
    """One execution of the pipeline.

    Attributes
    ----------
    kind : str
        ``train``, ``smoke``, ``rollout`` or ``restore``.
    trigger : dict
        ``{"kind", "reason", "requested_at", "window_end"}``; of a restore with the ``version`` to bring back.
    status : str
        ``open``, then ``succeeded``, ``rejected``, ``failed``, ``rolled_back``, ``smoke_passed`` or ``released``.
    champion_version : int or None
        The champion when the run opened: what its candidate is compared with.
    training_span : TrainingSpan or None
        The newest days that it learns from, where evidence chose them; None where it had no say.
    update : TrainingUpdate or None
        Of a training that was asked to continue the champion: whether it does, and why.
    version : int or None
        The version it registered, or brought back; ``verdict`` is its gate's, and ``refit`` that version's.
    trained : bool
        False when it broke before its training job got an instance, or by no fault of the model's: then it cost none of
        the quota.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"trigger", "training_span", "update", "gate_reasons", "refit"})

    model: str
    run_id: str
    kind: str
    started_at: datetime
    as_of: datetime
    status: str = "open"
    trigger: StoredTrigger = field(default_factory=StoredTrigger)
    champion_version: int | None = None
    training_span: TrainingSpan | None = None
    update: TrainingUpdate | None = None
    version: int | None = None
    snapshot_hash: str | None = None
    verdict: str | None = None
    gate_reasons: list[ReasonDocument] = field(default_factory=list)
    refit: RefitChoice = field(default_factory=RefitChoice)
    ended_at: datetime | None = None
    cause: str | None = None
    trained: bool = True

    @property
    def training_days(self) -> int | None:
        """The newest days that it learns from, where evidence chose them."""
        return None if self.training_span is None else self.training_span.get("days")

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, under ``RUN#`` and its id."""
        return keys.partition(self.model), keys.run(self.run_id)


@dataclass(frozen=True)
class ActiveRun(Record):
    """The one open run of a model."""

    model: str
    run_id: str
    kind: str
    started_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """The one place for an open run in the model's partition."""
        return keys.partition(self.model), keys.ACTIVE_RUN


@dataclass(frozen=True)
class Champion(Record):
    """The pointer to the version that serves.

    ``lambda_version`` is the published function version that serves it, ``code_sha256`` the hash of that
    function's code. ``calibrated_by`` is the end of the window whose calibration it is served with, and
    ``calibration_sha256`` that calibration's hash; None where what the model says is served.
    """

    model: str
    version: int
    since: datetime
    lambda_version: str
    code_sha256: str
    rollout_id: str
    calibrated_by: datetime | None = None
    calibration_sha256: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The one place for the champion in the model's partition."""
        return keys.partition(self.model), keys.CHAMPION


@dataclass(frozen=True)
class Place(Record):
    """The pointer to the one version in ``staging`` or ``shadow``."""

    model: str
    state: State
    version: int

    @property
    def key(self) -> tuple[str, str]:
        """The one place for the version in this state in the model's partition."""
        return keys.partition(self.model), keys.place(self.state)


@dataclass(frozen=True)
class RolloutBeginning:
    """What the beginning of a rollout fixes.

    Attributes
    ----------
    kind : str
        ``version`` (a candidate replaces the champion) or ``code`` (the champion under new function code).
    lambda_version, code_sha256 : str
        The published function version that is rolled out, and the hash of its code.
    fallback_lambda_version : str
        Where the alias stood, and goes back to; without a champion it answers nothing.
    previous_version, previous_lambda_version, previous_code_sha256
        The champion it set out against; None when there was none.
    unseen_first : bool
        Whether the candidate answers unseen before it meets a caller.
    """

    rollout_id: str
    run_id: str
    kind: str
    version: int
    lambda_version: str
    code_sha256: str
    fallback_lambda_version: str
    started_at: datetime
    previous_version: int | None = None
    previous_lambda_version: str | None = None
    previous_code_sha256: str | None = None
    unseen_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Rollout(RolloutBeginning, Record):
    """One change of what serves.

    Attributes
    ----------
    status : str
        ``canary``, ``baking``, then ``completed``, ``rolled_back`` or ``superseded``.
    previous_calibrated_by, previous_calibration_sha256
        What the champion it set out against was calibrated by.
    step_index : int
        The step of the plan that is in effect, from 0; -1 before the first.
    last_check : dict
        The guardrail's last decision that changed anything, with its reasons and numbers.
    paused_at : datetime, optional
        When a person paused it, while that lasts.
    paused_seconds, phase_paused_seconds : int
        How long earlier pauses held it up: all of them, and those since its step or its bake began.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"last_check", "reasons"})

    model: str
    status: str = "canary"
    previous_calibrated_by: datetime | None = None
    previous_calibration_sha256: str | None = None
    step_index: int = -1
    percent: float | None = None
    step_started_at: datetime | None = None
    promoted_at: datetime | None = None
    ended_at: datetime | None = None
    last_check: GuardrailCheck = field(default_factory=GuardrailCheck)
    reasons: list[ReasonDocument] = field(default_factory=list)
    paused_at: datetime | None = None
    paused_seconds: int = 0
    phase_paused_seconds: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, under ``ROLLOUT#`` and its id."""
        return keys.partition(self.model), keys.rollout(self.rollout_id)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN_ROLLOUT

    @property
    def changes_nothing(self) -> bool:
        """Whether the function version to roll out is the one that already serves."""
        return self.lambda_version == self.previous_lambda_version


@dataclass(frozen=True)
class Snapshot(Record):
    """A training set, immutable, named by the hash of its content. ``document`` is its ``snapshot.json``."""

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"document"})

    model: str
    snapshot_hash: str
    uri: str
    created_at: datetime
    document: SnapshotDocument = field(default_factory=SnapshotDocument)

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the partition of the model's snapshots, under its hash."""
        return keys.snapshots_partition(self.model), keys.snapshot(self.snapshot_hash)


@dataclass(frozen=True)
class Look(Record):
    """A test part was handed to the evaluation of a run: its rows are later than ``after``, up to ``until``."""

    model: str
    run_id: str
    snapshot_hash: str
    after: datetime
    until: datetime
    at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the partition of the model's snapshots, under its run."""
        return keys.snapshots_partition(self.model), keys.look(self.run_id)


@dataclass(frozen=True)
class StandingSet(Record):
    """The rows that no training learns from: those of ``snapshot_hash`` later than ``after``, up to ``until``.

    They stand at ``uri``, an S3 prefix with a final slash; ``sha256`` is over their files
    (:func:`everloop.dataset.part_digest.part_sha256`).
    """

    model: str
    snapshot_hash: str
    uri: str
    sha256: str
    rows: int
    after: datetime
    until: datetime
    chosen_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the partition of the model's snapshots: there is one."""
        return keys.snapshots_partition(self.model), keys.STANDING


@dataclass(frozen=True)
class Window(Record):
    """What the monitor found in one window, which ends at ``end``: its document, not read yet."""

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"document"})

    model: str
    end: datetime
    document: JsonObject

    @cached_property
    def record(self) -> WindowRecord:
        """What the document says.

        Raises
        ------
        DocumentRefusedError
            When it is not a record of a window.
        """
        return WindowRecord.from_document(self.document)

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the partition of the model's windows, under its end."""
        return keys.windows_partition(self.model), keys.window(self.end)


@dataclass(frozen=True)
class Probe(Record):
    """What a fresh probe found of the window that ends at ``window_end``.

    Attributes
    ----------
    uri : str
        Where its files are, an S3 prefix with a final slash; ``document`` has their hashes.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"document"})

    model: str
    window_end: datetime
    uri: str
    created_at: datetime
    document: ProbeDocument

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the partition of the model's probes, under the end of its window."""
        return keys.probes_partition(self.model), keys.probe(self.window_end)


@dataclass(frozen=True)
class AuditRecord(Record):
    """One link of the audit chain.

    Attributes
    ----------
    sequence : int
        Its place, from 1, without gaps.
    action : str
        What happened, e.g. ``transition`` or ``run_opened``.
    operation : str
        The key under which it happened once.
    previous_hash, hash : str
        The link before, and this one (sha256, hexadecimal).
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"details"})

    model: str
    sequence: int
    at: datetime
    action: str
    actor: str
    operation: str
    previous_hash: str
    hash: str
    version: int | None = None
    run_id: str | None = None
    reason: str | None = None
    details: JsonObject = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, under ``AUDIT#`` and its number."""
        return keys.partition(self.model), keys.audit(self.sequence)


@dataclass(frozen=True)
class AuditHead(Record):
    """The end of the audit chain: how long it is, and its last hash."""

    model: str
    sequence: int
    hash: str

    @property
    def key(self) -> tuple[str, str]:
        """The one place for the chain's end in the model's partition."""
        return keys.partition(self.model), keys.AUDIT_HEAD
