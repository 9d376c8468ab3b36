"""What the registry can tell: where things stand, how a version came to be, and whether the record is sound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeVar

from everloop.documents.records import FileFacts
from everloop.instants import instant_text, parse_instant
from everloop.manifest import MODEL, SIBLING
from everloop.registry import keys
from everloop.registry.audit import ChainVerdict, verify_chain
from everloop.registry.calibration_records import CalibrationFreeze, CalibrationRecord
from everloop.registry.drills import Drill, told_drill
from everloop.registry.evidence import record_sha256
from everloop.registry.exceptions import CorruptRecordError, NoChampionError, UnknownRunError
from everloop.registry.items import Record
from everloop.registry.kept_requests import KeptRequest
from everloop.registry.looks import LookCounts
from everloop.registry.own_labels import OwnLabels, own_labels_of
from everloop.registry.reconciliations import Reconciliation, told_reconciliation
from everloop.registry.records import (
    ActiveRun,
    AuditRecord,
    Champion,
    Rollout,
    Run,
    Snapshot,
    StandingSet,
    Version,
    Window,
)
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.told import (
    Facts,
    told_calibrations,
    told_champion,
    told_evidence,
    told_freeze,
    told_requests,
    told_versions,
    told_waivers,
)
from everloop.registry.waivers import Waiver
from everloop.typed_json import JsonObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Status:
    """Where a model is.

    Attributes
    ----------
    champion : Champion or None
        What serves; ``champion_version`` is its registered version.
    own_labels : OwnLabels or None
        What the champion's own labels say of it.
    calibration : CalibrationRecord or None
        What it is served with; None where what the model says is served.
    calibration_freeze : CalibrationFreeze or None
        Who froze calibrations.
    shadow, staging : int or None
        The version a rollout is bringing to serve: unseen as yet, or met by callers.
    kept_requests : list of KeptRequest
        Every request to train that came while nothing could start, newest first.
    waivers : list of Waiver
        The latest that were granted, newest first, in force or not.
    runs, rollouts, windows : list
        The latest, newest first.
    reconciliation : Reconciliation or None
        What is deployed otherwise than the registry says; None where nothing ever was.
    drill : Drill or None
        The last drill of a rollback.
    """

    model: str
    champion: Champion | None
    champion_version: Version | None
    own_labels: OwnLabels | None
    calibration: CalibrationRecord | None
    calibration_freeze: CalibrationFreeze | None
    staging: int | None
    active_run: ActiveRun | None
    versions: dict[str, list[int]]
    runs: list[Run]
    rollouts: list[Rollout]
    windows: list[Window]
    kept_requests: list[KeptRequest] = field(default_factory=list)
    waivers: list[Waiver] = field(default_factory=list)
    reconciliation: Reconciliation | None = None
    drill: Drill | None = None
    shadow: int | None = None

    def to_json(self) -> JsonObject:
        """The status as JSON values."""
        return _fields_json(self)


@dataclass(frozen=True)
class Origin:
    """Which bytes of a version serve, and which were evaluated on what.

    Attributes
    ----------
    kind : str
        ``evaluated`` when the served bytes are the evaluated ones, ``refit`` when they learned from the test rows too.
    serving_sha256, evaluated_sha256 : str or None
        Of ``model.onnx``.
    evaluated_file : str
        Where the evaluated model is, below the artefact's prefix.
    evaluated_rows, evaluated_after : int or None, datetime or None
        The test rows, and the instant they lie after; None when the snapshot's record is missing.
    learned_rows, learned_until : int or None, datetime or None
        What the served bytes learned from.
    """

    kind: str
    serving_sha256: str | None
    evaluated_sha256: str | None
    evaluated_file: str
    evaluated_rows: int | None
    evaluated_after: datetime | None
    learned_rows: int | None
    learned_until: datetime | None


DecidedBy = TypedDict(
    "DecidedBy",
    {
        "at": str,
        "by": str,
        "action": str,
        "via": NotRequired[str],
        "from": NotRequired[str],
        "to": NotRequired[str],
        "reason": NotRequired[str],
    },
)
"""Who decided something about a version, by which caller of the registry function, when and why."""


@dataclass(frozen=True)
class Trace:
    """Everything on record about one version.

    Attributes
    ----------
    origin : Origin
        Which bytes serve and which were evaluated, and on what.
    own_labels : OwnLabels
        What has become known of the answers it gave itself.
    serves : bool
        It is the champion; ``champion`` then says through which function version and code.
    calibration : CalibrationRecord or None
        What stands between its raw scores and the served ones: in force when it serves.
    calibrations : list of CalibrationRecord
        All that were published for it, newest first.
    decided_by : list of DecidedBy
        Who moved it, by which caller of the registry function (``via``), when and why: one entry per decision that was
        taken on it.
    history : list of AuditRecord
        Every audit record about it, oldest first.
    waivers : list of Waiver
        Reasons of the gate that persons let pass for it, newest first, in force or not.
    same_snapshot : list of (str, int)
        Model and number of every other version trained on the same snapshot.
    looks : LookCounts or None
        How often its test part was looked at; None where that was not recorded.
    standing : StandingSet or None
        The rows that the model's trainings learn nothing from; None where none were chosen.
    """

    version: Version
    origin: Origin
    own_labels: OwnLabels
    serves: bool
    champion: Champion | None
    calibration: CalibrationRecord | None
    calibrations: list[CalibrationRecord]
    snapshot: Snapshot | None
    run: Run
    rollouts: list[Rollout]
    decided_by: list[DecidedBy]
    history: list[AuditRecord]
    same_snapshot: list[tuple[str, int]]
    waivers: list[Waiver] = field(default_factory=list)
    looks: LookCounts | None = None
    standing: StandingSet | None = None

    def to_json(self) -> JsonObject:
        """The trace as JSON values."""
        return _fields_json(self)


@dataclass(frozen=True)
class AuditVerdict:
    """Whether the audit chain is intact, and whether the table says what the chain says.

    Attributes
    ----------
    contradictions : tuple of str
        What the table says otherwise, what of it can't be read, and what decisions rested on that is changed.
    """

    chain: ChainVerdict
    contradictions: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """No tampering was found."""
        return self.chain.intact and not self.contradictions

    @property
    def problems(self) -> list[str]:
        """Every problem, as a sentence."""
        return [p.sentence for p in self.chain.problems] + list(self.contradictions)


def status(store: RegistryStore, *, latest: int = 10) -> Status:
    """Where the store's model is, with the ``latest`` runs, rollouts and windows."""
    champion = store.versions.champion()
    serving = store.versions.get(champion.version) if champion else None
    versions: dict[str, list[int]] = {}
    for version in store.versions.all():
        versions.setdefault(str(version.state), []).append(version.version)
    return Status(
        model=store.model,
        champion=champion,
        champion_version=serving,
        own_labels=own_labels_of(serving, store.windows.latest) if serving else None,
        calibration=store.calibrations.in_force(champion),
        calibration_freeze=store.calibrations.freeze_in_force(),
        shadow=store.versions.place(State.SHADOW),
        staging=store.versions.place(State.STAGING),
        active_run=store.runs.active(),
        kept_requests=store.kept_requests.all()[:latest],
        waivers=store.waivers.all()[:latest],
        versions=versions,
        runs=store.runs.all()[:latest],
        rollouts=store.rollouts.all()[:latest],
        windows=store.windows.latest(latest),
        reconciliation=store.reconciliations.latest(),
        drill=store.drills.latest(),
    )


def trace(store: RegistryStore, version: int | None = None) -> Trace:
    """Everything on record about ``version``, or about what serves now.

    Raises
    ------
    UnknownVersionError
        When there is no such version.
    RegistryError
        When none is given and nothing serves.
    """
    champion = store.versions.champion()
    if version is not None:
        number = version
    elif champion is not None:
        number = champion.version
    else:
        raise NoChampionError(f"model {store.model} has no champion: name a version")
    found = store.versions.get(number)
    serves = champion is not None and champion.version == number
    history = [r for r in store.ledger.audit_records() if r.version == number]
    siblings = store.versions.of_snapshot(found.snapshot_hash)
    snapshot = store.snapshots.find(found.snapshot_hash)
    return Trace(
        version=found,
        origin=origin(found, snapshot),
        own_labels=own_labels_of(found, store.windows.latest),
        serves=serves,
        champion=champion if serves else None,
        calibration=store.calibrations.in_force(champion) if serves else None,
        calibrations=store.calibrations.of(number),
        snapshot=snapshot,
        run=_run_of(store, found),
        rollouts=[r for r in store.rollouts.all() if r.version == number],
        decided_by=[_decision(r) for r in history if r.action != "traffic_shifted"],
        history=history,
        same_snapshot=[s for s in siblings if s != (store.model, number)],
        waivers=[one for one in store.waivers.all() if one.version == number],
        looks=store.looks.counts(found.snapshot_hash),
        standing=store.standing.chosen(),
    )


def origin(version: Version, snapshot: Snapshot | None) -> Origin:
    """Which bytes of ``version`` serve, and which were evaluated on what."""
    told = snapshot.document if snapshot else {}
    rows, whole = told.get("rows", {}), told.get("time_range")
    train, test, boundary = rows.get("train"), rows.get("test"), told.get("boundary")
    refit = version.serves_refit
    both = train + test if train is not None and test is not None else None
    return Origin(
        kind="refit" if refit else "evaluated",
        serving_sha256=_sha256(version.files, MODEL),
        evaluated_sha256=_sha256(version.evaluated_files, MODEL),
        evaluated_file=SIBLING + MODEL if refit else MODEL,
        evaluated_rows=test,
        evaluated_after=boundary,
        learned_rows=both if refit else train,
        learned_until=whole[1] if refit and whole else boundary,
    )


def _sha256(files: Mapping[str, FileFacts], name: str) -> str | None:
    found = files.get(name)
    return None if found is None else str(found["sha256"])


def verify_audit(store: RegistryStore) -> AuditVerdict:
    """Check the audit chain, that versions, champion, calibrations, requests and waivers are what the chain says they
    became, and that the windows and snapshots which runs and versions rest on are still what they were.

    A record that can't be read is a problem among the others, never an end of the check. While others write, the
    chain is checked up to where it ended at the beginning, and the comparison with the table is left out: it would
    compare two different moments.
    """
    unreadable: list[str] = []
    head = _readable(store.ledger.audit_head, unreadable)
    records, refused_records = store.ledger.readable(AuditRecord, keys.AUDIT)
    versions, refused_versions = store.ledger.readable(Version, keys.VERSIONS)
    calibrations, refused_calibrations = store.ledger.readable(CalibrationRecord, keys.CALIBRATIONS)
    requests, refused_requests = store.ledger.readable(KeptRequest, keys.KEPT_REQUESTS)
    waivers, refused_waivers = store.ledger.readable(Waiver, keys.WAIVERS)
    champion = _readable(store.versions.champion, unreadable)
    now, before = _readable(store.ledger.audit_head, []), head.sequence if head else 0
    refused = [*refused_records, *refused_versions, *refused_calibrations, *refused_requests, *refused_waivers]
    unreadable += [*refused, *_evidence_contradictions(store, records)]
    if now is not None and now.sequence > before:
        chain = verify_chain([r for r in records if r.sequence <= before], head)
        return AuditVerdict(chain, tuple(unreadable))
    contradictions = [
        *_version_contradictions(versions, records),
        *_champion_contradictions(champion, records),
        *_calibration_contradictions(store, calibrations, records),
        *_request_contradictions(requests, records),
        *_waiver_contradictions(waivers, records),
        *_reconciliation_contradictions(store, records),
        *_drill_contradictions(store, records),
    ]
    return AuditVerdict(verify_chain(records, head), (*unreadable, *contradictions))


def _evidence_contradictions(store: RegistryStore, records: list[AuditRecord]) -> list[str]:
    """What runs were opened on and versions registered with, where it is no longer what the chain keeps the hash of."""
    found = []
    for (kind, name), hashes in told_evidence(records).items():
        read: Callable[[str], Window | Snapshot | None] = (
            (lambda end: store.windows.find(parse_instant(end))) if kind == "window" else store.snapshots.find
        )
        try:
            stands = read(name)
        except (CorruptRecordError, ValueError) as error:
            found.append(f"{kind} {name}: {error}")
            continue
        if stands is None:
            found.append(f"{kind} {name} is in the audit chain, but its record is missing")
        elif hashes != {record_sha256(stands)}:
            found.append(f"{kind} {name} was changed after the decision: the audit chain has another hash of it")
    return found


def _readable(read: Callable[[], R | None], refusals: list[str]) -> R | None:
    try:
        return read()
    except CorruptRecordError as error:
        refusals.append(str(error))
        return None


def _version_contradictions(versions: list[Version], records: list[AuditRecord]) -> list[str]:
    told, found = told_versions(records), {v.version: v for v in versions}
    missing = [
        f"version {n} is in the audit chain, but the table has no readable record of it" for n in told if n not in found
    ]
    unknown = [
        f"version {n} is in the table, but its registration is not in the audit chain" for n in found if n not in told
    ]
    return [*missing, *unknown] + [
        sentence
        for number, version in found.items()
        for sentence in _contradictions(f"version {number}", version, told.get(number, {}))
    ]


def _calibration_contradictions(
    store: RegistryStore, calibrations: list[CalibrationRecord], records: list[AuditRecord]
) -> list[str]:
    told, found = told_calibrations(records), _by_window(calibrations)

    def named(key: tuple[int, object]) -> str:
        return f"the calibration of version {key[0]} by the window that ended at {_text(key[1])}"

    problems = [
        f"{named(key)} is in the audit chain, but the table has no readable record of it" for key in told.keys() - found
    ]
    problems += [f"{named(key)} is in the table, but not in the audit chain" for key in found.keys() - told]
    for key in found.keys() & told.keys():
        text_sha256 = hashlib.sha256(found[key].calibration.encode()).hexdigest()
        if text_sha256 != found[key].calibration_sha256:
            problems.append(f"{named(key)} has a text with another hash: {text_sha256}")
        problems += _contradictions(named(key), found[key], told[key])
    freeze, should = _readable(store.calibrations.freeze_in_force, problems), told_freeze(records)
    if (freeze is None) != (should is None):
        says, chain = ("nobody" if facts is None else "somebody" for facts in (freeze, should))
        problems.append(f"the table says {says} froze calibrations; the audit chain says {chain}")
    elif freeze is not None and should is not None:
        problems += _contradictions("the freeze of calibrations", freeze, should)
    return problems


def _request_contradictions(requests: list[KeptRequest], records: list[AuditRecord]) -> list[str]:
    told, found = told_requests(records), {one.request_id: one for one in requests}
    problems = [
        f"request {name} is in the audit chain, but the table has no readable record of it"
        for name in told.keys() - found.keys()
    ]
    problems += [f"request {name} is in the table, but not in the audit chain" for name in found.keys() - told.keys()]
    for name in found.keys() & told.keys():
        problems += _contradictions(f"request {name}", found[name], told[name])
    return problems


def _waiver_contradictions(waivers: list[Waiver], records: list[AuditRecord]) -> list[str]:
    told, found = told_waivers(records), {(one.version, one.code, one.until): one for one in waivers}

    def named(key: tuple[object, ...]) -> str:
        return f"the waiver of {key[1]} for version {key[0]} until {_text(key[2])}"

    problems = [
        f"{named(key)} is in the audit chain, but the table has no readable record of it" for key in told.keys() - found
    ]
    problems += [f"{named(key)} is in the table, but not in the audit chain" for key in found.keys() - told]
    for key in found.keys() & told.keys():
        problems += _contradictions(named(key), found[key], told[key])
    return problems


def _reconciliation_contradictions(store: RegistryStore, records: list[AuditRecord]) -> list[str]:
    found = store.reconciliations.latest
    return _latest_contradictions("what the last reconciliation found", found, told_reconciliation(records))


def _drill_contradictions(store: RegistryStore, records: list[AuditRecord]) -> list[str]:
    return _latest_contradictions("the last drill", store.drills.latest, told_drill(records))


def _latest_contradictions(what: str, latest: Callable[[], Any], told: Facts | None) -> list[str]:
    """Of a record of which the table keeps the newest alone."""
    problems: list[str] = []
    found = _readable(latest, problems)
    if problems or (found is None and told is None):
        return problems
    if found is None or told is None:
        where = ("audit chain", "table") if found is None else ("table", "audit chain")
        return [f"{what} is in the {where[0]}, but not in the {where[1]}"]
    return _contradictions(what, found, told)


def _by_window(calibrations: list[CalibrationRecord]) -> dict[tuple[int, object], CalibrationRecord]:
    return {(one.version, one.window_end): one for one in calibrations}


def _champion_contradictions(champion: Champion | None, records: list[AuditRecord]) -> list[str]:
    told = told_champion(records)
    if champion is None or told is None:
        named, should = (champion.version if champion else None), (told["version"] if told else None)
        return [] if named == should else [f"the champion pointer names {named}; the audit chain says {should}"]
    return _contradictions("the champion pointer", champion, told)


def _contradictions(what: str, record: Record, told: Facts) -> list[str]:
    return [
        f"{what}: {name} is {_text(getattr(record, name))}; the audit chain says {_text(value)}"
        for name, value in told.items()
        if getattr(record, name) != value
    ]


def _run_of(store: RegistryStore, version: Version) -> Run:
    try:
        return store.runs.get(version.run_id)
    except UnknownRunError as error:
        raise UnknownRunError(f"version {version.version} names run {version.run_id}, which is missing") from error


def _decision(record: AuditRecord) -> DecidedBy:
    told: DecidedBy = {"at": instant_text(record.at), "by": record.actor, "action": record.action}
    for name in ("via", "from", "to"):
        if name in record.details:
            told[name] = str(record.details[name])
    if record.reason:
        told["reason"] = record.reason
    return told


def _fields_json(record: DataclassInstance) -> JsonObject:
    """A dataclass's fields as JSON values."""
    return {field.name: _json(getattr(record, field.name)) for field in fields(record)}


def _json(value: Any) -> Any:
    """Dataclass contents as JSON values: enums and instants as text, tuples as lists."""
    if isinstance(value, Record):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return _fields_json(value)
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    return _text(value) if isinstance(value, datetime) else str(value) if isinstance(value, State) else value


def _text(value: object) -> object:
    """What people read of a value: of an instant its text."""
    return instant_text(value) if isinstance(value, datetime) else value
