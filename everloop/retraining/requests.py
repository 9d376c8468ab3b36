"""How a retraining, or the return of an older version, is asked for: the event, and the execution it starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from everloop.documents.records import UpdateMode
from everloop.documents.window import WindowRecord
from everloop.instants import format_instant, instant_text
from everloop.names import MONITORING_SOURCE, RETRAINING_REQUESTED
from everloop.reasons import ReasonDocument
from everloop.registry.restorations import RESTORE
from everloop.retraining.exceptions import RequestNotAcceptedError, RequestUnreadableError
from everloop.typed_json import as_json, read_as

KIND = "train"


class WindowTrigger(TypedDict):
    """What asks for the training: a recorded window, and the gravest cause that it shows."""

    kind: str
    reason: str
    requested_at: datetime
    window_end: datetime
    update: NotRequired[UpdateMode]


class RequestDetail(TypedDict):
    """The detail of a retraining request's event."""

    model: str
    trigger: WindowTrigger
    reasons: NotRequired[list[ReasonDocument]]


class ExecutionInput(TypedDict):
    """What the pipeline is started with."""

    model: str
    kind: str
    trigger: WindowTrigger


class RestoreTrigger(WindowTrigger):
    """What asks for an older version: a recorded window, and the version."""

    version: int


class RestoreDetail(TypedDict):
    """The detail of the event that asks for an older version."""

    model: str
    trigger: RestoreTrigger
    reasons: NotRequired[list[ReasonDocument]]


class RestoreInput(TypedDict):
    """What the pipeline is started with to bring a version back."""

    model: str
    kind: str
    trigger: RestoreTrigger


@dataclass(frozen=True)
class RetrainingRequest:
    """A request to train ``model`` again.

    Attributes
    ----------
    trigger : WindowTrigger
    reasons : list of ReasonDocument
        The gravest first.
    """

    model: str
    trigger: WindowTrigger
    reasons: list[ReasonDocument]

    @property
    def execution_name(self) -> str:
        """The name of the pipeline execution: one for each window, however often it is asked for."""
        identity = f"{self.model}|{KIND}|{instant_text(self.trigger['window_end'])}"
        return f"{KIND}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"

    @property
    def execution_input(self) -> ExecutionInput:
        """What the pipeline is started with."""
        return {"model": self.model, "kind": KIND, "trigger": self.trigger}

    def as_detail(self) -> RequestDetail:
        """The event's detail."""
        return {"model": self.model, "trigger": self.trigger, "reasons": self.reasons}

    @classmethod
    def from_window(cls, record: WindowRecord) -> RetrainingRequest:
        """The request that a recorded window asks for.

        Raises
        ------
        RequestUnreadableError
            When it asks for none.
        """
        trigger = _asked_by(record) if record.decision == "retrain" else None
        if trigger is None:
            raise RequestUnreadableError(
                f"the window that ended {format_instant(record.end)} asks for no training: it says {record.decision}"
            )
        return cls(record.model, trigger, [reason.as_dict() for reason in record.reasons])

    @classmethod
    def from_detail(cls, detail: object) -> RetrainingRequest:
        """Read an event's detail.

        Raises
        ------
        RequestUnreadableError
            When something is missing or of another type.
        """
        read = read_as(
            RequestDetail,
            detail,
            "retraining request",
            "`everloop train` starts a training by hand",
            refusal=RequestUnreadableError,
        )
        return cls(read["model"], _of_window(read["trigger"]), list(read.get("reasons", [])))


@dataclass(frozen=True)
class RestoreRequest:
    """A request to bring an older version of ``model`` back; its trigger names the version."""

    model: str
    trigger: RestoreTrigger
    reasons: list[ReasonDocument]

    @property
    def execution_name(self) -> str:
        """The name of the pipeline execution: one for each window, however often it is asked for."""
        identity = f"{self.model}|{RESTORE}|{instant_text(self.trigger['window_end'])}"
        # The names of its jobs are no longer than those of a training's.
        return f"{RESTORE}-{hashlib.sha256(identity.encode()).hexdigest()[:14]}"

    @property
    def execution_input(self) -> RestoreInput:
        """What the pipeline is started with."""
        return {"model": self.model, "kind": RESTORE, "trigger": self.trigger}

    def as_detail(self) -> RestoreDetail:
        """The event's detail."""
        return {"model": self.model, "trigger": self.trigger, "reasons": self.reasons}

    @classmethod
    def from_window(cls, record: WindowRecord) -> RestoreRequest:
        """The request that a recorded window asks for.

        Raises
        ------
        RequestUnreadableError
            When it asks for none.
        """
        trigger = _asked_by(record) if record.decision == "restore" else None
        if trigger is None or record.restore is None:
            raise RequestUnreadableError(
                f"the window that ended {format_instant(record.end)} brings no version back: it says {record.decision}"
            )
        asked: RestoreTrigger = {**trigger, "version": record.restore}
        return cls(record.model, asked, [reason.as_dict() for reason in record.reasons])

    @classmethod
    def from_detail(cls, detail: object) -> RestoreRequest:
        """Read an event's detail.

        Raises
        ------
        RequestUnreadableError
            When something is missing or of another type.
        """
        read = read_as(
            RestoreDetail,
            detail,
            "request to restore",
            "`everloop restore` starts one by hand",
            refusal=RequestUnreadableError,
        )
        asked: RestoreTrigger = {**_of_window(read["trigger"]), "version": read["trigger"]["version"]}
        return cls(read["model"], asked, list(read.get("reasons", [])))


def _asked_by(record: WindowRecord) -> WindowTrigger | None:
    """What a window that decided something asks with; None where it names no cause."""
    if record.trigger is None or not record.reasons:
        return None
    asked: WindowTrigger = {
        "kind": record.trigger,
        "reason": record.reasons[0].sentence,
        "requested_at": record.scheduled_at,
        "window_end": record.end,
    }
    # Only where it says something: a trigger without it is for a full training.
    if record.update != "full":
        asked["update"] = record.update
    return asked


def _of_window(trigger: WindowTrigger) -> WindowTrigger:
    """What is known of a trigger, without what an event may have had beside it."""
    known: WindowTrigger = {
        "kind": trigger["kind"],
        "reason": trigger["reason"],
        "requested_at": trigger["requested_at"],
        "window_end": trigger["window_end"],
    }
    if "update" in trigger:
        known["update"] = trigger["update"]
    return known


def send(request: RetrainingRequest, client: Any, bus: str, *, at: datetime) -> None:
    """Put the request on the bus.

    Parameters
    ----------
    client
        A boto3 ``events`` client.

    Raises
    ------
    RequestNotAcceptedError
        When the bus refuses it.
    """
    put(RETRAINING_REQUESTED, request.as_detail(), client, bus, at=at)


def put(detail_type: str, detail: object, client: Any, bus: str, *, at: datetime) -> None:
    """Put on the bus what the monitor says of a window.

    Raises
    ------
    RequestNotAcceptedError
        When the bus refuses it.
    """
    entry = {
        "Time": at,
        "Source": MONITORING_SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(as_json(detail), sort_keys=True),
        "EventBusName": bus,
    }
    answer = client.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        refused = answer["Entries"][0]
        raise RequestNotAcceptedError(
            f"bus {bus} refused {detail_type!r} of the run at {format_instant(at)}: "
            f"{refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
        )
