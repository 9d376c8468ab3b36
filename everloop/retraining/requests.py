"""How a retraining is asked for: the event, and the execution it starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everloop.names import MONITORING_SOURCE, RETRAINING_REQUESTED
from everloop.retraining.exceptions import RequestNotAcceptedError, RequestUnreadableError

KIND = "train"


@dataclass(frozen=True)
class RetrainingRequest:
    """A request to train ``model`` again.

    Attributes
    ----------
    trigger : dict
        ``{"kind", "reason", "requested_at", "window_end"}``.
    reasons : list of dict
        ``{"code", "sentence"}``, the gravest first.
    """

    model: str
    trigger: dict[str, Any]
    reasons: list[dict[str, str]]

    @property
    def execution_name(self) -> str:
        """The name of the pipeline execution: one for each window, however often it is asked for."""
        identity = f"{self.model}|{KIND}|{self.trigger['window_end']}"
        return f"{KIND}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"

    @property
    def execution_input(self) -> dict[str, Any]:
        """What the pipeline is started with."""
        return {"model": self.model, "kind": KIND, "trigger": self.trigger}

    def as_detail(self) -> dict[str, Any]:
        """The event's detail."""
        return {"model": self.model, "trigger": self.trigger, "reasons": self.reasons}

    @classmethod
    def from_window(cls, document: Mapping[str, Any]) -> RetrainingRequest:
        """The request that a recorded window asks for."""
        reasons = [dict(reason) for reason in document["reasons"]]
        return cls(
            model=document["model"],
            trigger={
                "kind": document["trigger"],
                "reason": reasons[0]["sentence"],
                "requested_at": document["scheduled_at"],
                "window_end": document["end"],
            },
            reasons=reasons,
        )

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> RetrainingRequest:
        """Read an event's detail.

        Raises
        ------
        RequestUnreadableError
            When something is missing or of another type.
        """
        trigger = detail.get("trigger")
        wanted = ("kind", "reason", "requested_at", "window_end")
        if not isinstance(detail.get("model"), str) or not isinstance(trigger, dict):
            raise RequestUnreadableError("a retraining request names its model and its trigger")
        absent = [name for name in wanted if not isinstance(trigger.get(name), str)]
        if absent:
            raise RequestUnreadableError(f"the trigger of a retraining request has no {', '.join(absent)}")
        return cls(detail["model"], {n: trigger[n] for n in wanted}, list(detail.get("reasons", [])))


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
    entry = {
        "Time": at,
        "Source": MONITORING_SOURCE,
        "DetailType": RETRAINING_REQUESTED,
        "Detail": json.dumps(request.as_detail(), sort_keys=True),
        "EventBusName": bus,
    }
    answer = client.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        refused = answer["Entries"][0]
        raise RequestNotAcceptedError(
            f"bus {bus} refused the retraining request of window {request.trigger['window_end']}: "
            f"{refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
        )
