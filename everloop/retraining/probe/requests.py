"""How a probe is asked for: the event, and the execution it starts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from everloop.documents.probe import ProbeRequest
from everloop.instants import instant_text
from everloop.retraining.exceptions import RequestUnreadableError
from everloop.typed_json import read_as

KIND = "probe"


@dataclass(frozen=True)
class ProbeWindow:
    """A window of a probe; UTC midnights, the begin included and the end not."""

    start: datetime
    end: datetime


def probe_request(model: str, window: ProbeWindow, as_of: datetime) -> ProbeRequest:
    """What the monitor that ran at ``as_of`` asks for."""
    return {
        "model": model,
        "window_start": window.start,
        "window_end": window.end,
        "as_of": as_of,
    }


def read_request(detail: object) -> ProbeRequest:
    """Read an event's detail.

    Raises
    ------
    RequestUnreadableError
        When something is missing or of another type.
    """
    read = read_as(
        ProbeRequest,
        detail,
        "request of a probe",
        "the monitor sends these: deploy the stack again",
        refusal=RequestUnreadableError,
    )
    return {
        "model": read["model"],
        "window_start": read["window_start"],
        "window_end": read["window_end"],
        "as_of": read["as_of"],
    }


def execution_name(request: ProbeRequest) -> str:
    """The name of the execution: one for each window and each run of the monitor, however often it is asked for."""
    of = (instant_text(request["window_end"]), instant_text(request["as_of"]))
    identity = "|".join((request["model"], KIND, *of))
    return f"{KIND}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def window_of(request: ProbeRequest) -> ProbeWindow:
    """The window that is asked for."""
    return ProbeWindow(request["window_start"], request["window_end"])
