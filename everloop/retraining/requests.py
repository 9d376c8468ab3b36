"""How a retraining is asked for: the event, and the execution it starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from everloop.documents.window import WindowRecord
from everloop.instants import format_instant, instant_text
from everloop.names import MONITORING_SOURCE, RETRAINING_REQUESTED
from everloop.reasons import ReasonDocument
from everloop.retraining.exceptions import RequestNotAcceptedError, RequestUnreadableError
from everloop.typed_json import DocumentRefusedError, as_json, read_as

KIND = "train"


class WindowTrigger(TypedDict):
    """What asks for the training: a recorded window, and the gravest cause that it shows."""

    kind: str
    reason: str
    requested_at: datetime
    window_end: datetime


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
        if record.decision != "retrain" or record.trigger is None or not record.reasons:
            raise RequestUnreadableError(
                f"the window that ended {format_instant(record.end)} asks for no training: it says {record.decision}"
            )
        return cls(
            model=record.model,
            trigger={
                "kind": record.trigger,
                "reason": record.reasons[0].sentence,
                "requested_at": record.scheduled_at,
                "window_end": record.end,
            },
            reasons=[reason.as_dict() for reason in record.reasons],
        )

    @classmethod
    def from_detail(cls, detail: object) -> RetrainingRequest:
        """Read an event's detail.

        Raises
        ------
        RequestUnreadableError
            When something is missing or of another type.
        """
        try:
            read = read_as(RequestDetail, detail, "retraining request", "`everloop train` starts one by hand")
        except DocumentRefusedError as error:
            raise RequestUnreadableError(str(error)) from error
        trigger = read["trigger"]
        known: WindowTrigger = {
            "kind": trigger["kind"],
            "reason": trigger["reason"],
            "requested_at": trigger["requested_at"],
            "window_end": trigger["window_end"],
        }
        return cls(read["model"], known, list(read.get("reasons", [])))


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
