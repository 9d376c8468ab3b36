"""Where versions serve: a published version of something, behind a name that callers ask.

To add one: a file here whose ``TARGET`` is a :class:`TargetKind`, its tests, and its name below. A declaration chooses
by ``rollout.target``. The stack that makes the resource is the target's business in ``infra/``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from everloop.rollout.endpoint_place import EndpointPlace
from everloop.rollout.served_artifact import ServedArtifact as ServedArtifact
from everloop.rollout.serverless_place import ServerlessPlace
from everloop.seams import Seam


@dataclass(frozen=True)
class Published:
    """A published version: its name at the target, the hash of its code, and its layers."""

    lambda_version: str
    code_sha256: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrafficState:
    """Where requests go: ``percent`` of them to ``candidate``, the rest to ``primary``.

    Attributes
    ----------
    pinned : bool
        ``primary`` is a published version. It is not before the first one is published: what would serve then changes
        under the callers.
    revision : str or None
        The target's own mark of this state.
    """

    primary: str
    candidate: str | None
    percent: float
    pinned: bool = True
    revision: str | None = None


@dataclass(frozen=True)
class Question:
    """A request to one version alone: its body as the native protocol has it, its name, and its time."""

    model: str
    body: str
    request_id: str
    at: datetime


@dataclass(frozen=True)
class AskedAnswer:
    """A version's answer: HTTP status, and the document; empty where there is none."""

    status: int
    document: Any


class RolloutTarget(Protocol):
    """One name that callers ask, and the published versions behind it. Every method may be repeated."""

    def current(self) -> TrafficState:
        """Where requests go."""
        ...

    def idle(self) -> str:
        """Send every request to a published version that has nothing to serve and says so; its name."""
        ...

    def publish(self, artifact: ServedArtifact) -> Published:
        """Publish a version that serves ``artifact`` and reaches nobody yet. What is the same already is used again.

        Raises
        ------
        AliasNotPinnedError
            While what serves is not a published version.
        """
        ...

    def publish_like(self, artifact: ServedArtifact, lambda_version: str) -> Published | None:
        """As :meth:`publish`, if that differs from a version in nothing but what it serves; else None.

        None as well while what serves is not a published version.
        """
        ...

    def shift(self, *, primary: str, candidate: str, percent: float) -> None:
        """Send ``percent`` of the requests to ``candidate``, the rest to ``primary``."""
        ...

    def settle(self, lambda_version: str, *, only_if: Callable[[], bool] | None = None) -> bool:
        """Send every request to one version; whether that changed anything.

        With ``only_if`` nothing is changed unless it holds, and unless nobody else moved anything since it was asked.
        """
        ...

    def unchanged_since(self, lambda_version: str) -> bool:
        """Whether what would be published now differs from that version in nothing but what it serves."""
        ...

    def holds(self, lambda_version: str, artifact: ServedArtifact | None = None) -> bool:
        """Whether there is that published version, and whether it serves ``artifact`` where one is named."""
        ...

    def prune(self, keep: set[str]) -> list[str]:
        """Delete the versions that rollouts published, but those in ``keep`` and those that serve; which."""
        ...

    def release(self, lambda_version: str) -> None:
        """Let a version that was rolled back stop running, where one that nobody asks still costs something."""
        ...

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        """Ask one published version, whoever else is sent to it. The answer is neither captured nor counted.

        A version that fails answers 500, with what is known of why as ``error``: ``code`` and ``message``.
        """
        ...

    def describe(self, published: Published) -> dict[str, str]:
        """What serves ``published``, for the serving manifest: its ``kind``, and what names it."""
        ...


@dataclass(frozen=True)
class TargetPlace:
    """Where a deployed model is asked: its prediction function, by an alias; and, where one serves it, its endpoint.

    ``serverless`` instead of ``endpoint`` is what makes an endpoint for each version.
    """

    function: str
    alias: str
    endpoint: EndpointPlace | None = None
    serverless: ServerlessPlace | None = None


class TargetKind(Protocol):
    """Makes the target of one deployed model."""

    def open(self, client: Callable[..., Any], place: TargetPlace) -> RolloutTarget:
        """The target at a place.

        Parameters
        ----------
        client : callable
            Makes a boto3 client by its service's name.
        """
        ...


TARGETS: Seam[TargetKind] = Seam(
    __name__, "rollout target", "TARGET", "lambda_alias", "sagemaker_endpoint", "sagemaker_serverless"
)
