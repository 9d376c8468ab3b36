"""What became of a request to train that was kept: waiting, answered by a run, or expired. Facts in, a sentence out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from everloop.documents.records import UpdateMode
from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.typed_json import JsonObject

if TYPE_CHECKING:
    from everloop.registry.kept_requests import KeptRequest
    from everloop.registry.records import Run

DAYS_KEPT = 30
"""How long a request is kept. A rollout with its bake takes a few days; a month later the wish is an old one."""


@dataclass(frozen=True)
class Kept:
    """What became of a kept request.

    Attributes
    ----------
    answered_by : str or None
        The run that answered it.
    expires_at : datetime
        From when on it is let go.
    """

    request: KeptRequest
    state: Literal["waiting", "answered", "expired"]
    answered_by: str | None
    expires_at: datetime

    @property
    def reason(self) -> str:
        """Why it was asked for."""
        return self.request.trigger.get("reason") or "no reason given"

    @property
    def sentence(self) -> str:
        """All of it, for a person."""
        asked = f"asked for at {instant_text(self.request.kept_at)} ({self.reason})"
        if self.state == "answered":
            return f"{asked}: answered by the run {self.answered_by}, which started later"
        if self.state == "expired":
            return f"{asked}: nothing could start until {instant_text(self.expires_at)}, so it expired"
        return (
            f"{asked}: nothing could start ({self.request.held_by}); the monitor starts a training with its first"
            f" window after that. The request expires at {instant_text(self.expires_at)}"
        )

    def to_json(self) -> JsonObject:
        """As JSON values."""
        return {
            **self.request.to_json(),
            "state": self.state,
            "answered_by": self.answered_by,
            "expires_at": instant_text(self.expires_at),
        }


def what_became_of(request: KeptRequest, runs: Iterable[Run], *, as_of: datetime) -> Kept:
    """Whether a request still waits.

    The first training run answers it that started after it came, by whatever cause, unless that run broke before it
    trained. A run that started before may have learned from less than there was when the request came.
    """
    expires = request.kept_at + timedelta(days=DAYS_KEPT)
    later = [r for r in runs if r.kind == "train" and r.trained and request.kept_at < r.started_at < expires]
    answered = min(later, key=lambda r: r.started_at).run_id if later else None
    state: Literal["waiting", "answered", "expired"] = "waiting"
    if answered is not None:
        state = "answered"
    elif as_of >= expires:
        state = "expired"
    return Kept(request, state, answered, expires)


def waiting(requests: Iterable[KeptRequest], runs: Sequence[Run], *, as_of: datetime) -> list[Kept]:
    """Those that still wait at ``as_of``, oldest first."""
    found = [what_became_of(request, runs, as_of=as_of) for request in requests if request.kept_at <= as_of]
    return sorted((k for k in found if k.state == "waiting"), key=lambda k: k.request.kept_at)


def update_asked_for(kept: Sequence[Kept]) -> UpdateMode:
    """How a training learns that answers them all: by warm start if each of them asks for one."""
    return "warm" if all(one.request.trigger.get("update") == "warm" for one in kept) else "full"


def told_waiting(kept: Sequence[Kept]) -> str:
    """The requests of a decision, as the end of its sentence."""
    oldest = kept[0]
    more = f", and {number_of(len(kept) - 1, 'more request')}" if len(kept) > 1 else ""
    return f"since {instant_text(oldest.request.kept_at)} ({oldest.reason}){more}"
