"""Whether what is deployed is what the registry says: facts in, differences out.

A difference is a change that nobody asked the registry for: an alias moved by hand, a file written over, an endpoint
that no rollout made.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from everloop.manifest import CONTRACT, MANIFEST, MODEL, PROFILE
from everloop.reasons import Reason
from everloop.registry.records import Champion, Rollout, Version
from everloop.rollout.targets import TrafficState
from everloop.serving.exceptions import ArtifactRefusedError
from everloop.signature import SIGNATURE, require_signature

TRAFFIC_MOVED = "traffic_moved"
"""The one difference that can be put right by moving the traffic back."""

_READ_TO_SERVE = (MODEL, CONTRACT, PROFILE)
_SMALLEST_SHARE = 0.01
"""Percent: shares that differ by less are the same, rounded."""


@dataclass(frozen=True)
class Difference(Reason):
    """A reason with what it is about: an alias, an endpoint, a file's key, the function version or variant."""

    about: str = ""


@dataclass(frozen=True)
class Expected:
    """Where requests should go: ``percent`` of them to ``candidate``, the rest to ``primary``.

    Without a champion ``primary`` is None: whatever serves nothing will do.
    """

    primary: str | None
    candidate: str | None = None
    percent: float = 0.0


@dataclass(frozen=True)
class Told:
    """What the registry says.

    Attributes
    ----------
    champion : Champion or None
    rollouts : tuple of Rollout
        All of them, newest first.
    serving : tuple of Version
        The versions that requests may reach: the champion, and what an open rollout brings.
    calibrated : frozenset of str
        The function versions or variants that calibrations of the champion were published as.
    running : bool
        A run is active: variants may come up that no rollout names yet.
    """

    champion: Champion | None
    rollouts: tuple[Rollout, ...] = ()
    serving: tuple[Version, ...] = ()
    calibrated: frozenset[str] = frozenset()
    running: bool = False

    @property
    def open_rollout(self) -> Rollout | None:
        """The rollout that is under way."""
        return next((r for r in self.rollouts if r.is_open), None)

    @property
    def versions_by_name(self) -> dict[str, int]:
        """The version that each known function version or variant serves."""
        known = {r.lambda_version: r.version for r in self.rollouts}
        if self.champion is None:
            return known
        return known | dict.fromkeys([*self.calibrated, self.champion.lambda_version], self.champion.version)


class Signed(NamedTuple):
    """A manifest and the file :data:`everloop.signature.SIGNATURE` beside it, as they stand."""

    manifest: bytes | None
    signature: bytes | None


@dataclass(frozen=True)
class Seen:
    """What is deployed.

    Attributes
    ----------
    traffic : TrafficState
        Where requests go.
    champion_there : bool
        The champion's function version or variant is there.
    champion_elsewhere : bool
        It is, but not where ``rollout.target`` says: the model waits for the rollout that moves it, and until then only
        what still serves it knows where its requests go.
    champion_endpoint : str
        The endpoint of its own that the champion's function version passes requests on to; empty for none.
    champion_as_registered : bool
        And it serves the artefact, with the calibration, that the registry names.
    aliases : tuple of str
        The prediction function's aliases besides the one that callers ask.
    endpoint, variants : str, tuple of str or None
        The model's SageMaker endpoint, and what runs on it; None where there is none.
    files : mapping
        By the key of a registered file that serving reads, the SHA-256 of what stands there; None for nothing readable.
    signed : mapping
        By the number of a signed version, its manifest and the signature beside it; None for nothing readable.
    """

    traffic: TrafficState
    champion_there: bool = True
    champion_elsewhere: bool = False
    champion_endpoint: str = ""
    champion_as_registered: bool = True
    aliases: tuple[str, ...] = ()
    endpoint: str = ""
    variants: tuple[str, ...] | None = None
    files: Mapping[str, str | None] = field(default_factory=dict)
    signed: Mapping[int, Signed] = field(default_factory=dict)


def expected_traffic(told: Told) -> Expected:
    """Where requests go by the registry."""
    rollout = told.open_rollout
    if rollout is None or rollout.status != "canary":
        return Expected(told.champion.lambda_version if told.champion else None)
    if told.champion is None and not rollout.percent:
        return Expected(None)
    if not rollout.percent or rollout.changes_nothing:
        return Expected(rollout.fallback_lambda_version)
    return Expected(rollout.fallback_lambda_version, rollout.lambda_version, rollout.percent)


def registered_files(versions: Iterable[Version]) -> dict[str, str]:
    """By key, the registered SHA-256 of the files that serving and monitoring a version read."""
    found: dict[str, str] = {}
    for version in versions:
        found[f"{version.artifact_prefix}{MANIFEST}"] = version.manifest_sha256
        for name in _READ_TO_SERVE:
            if name in version.files:
                found[f"{version.artifact_prefix}{name}"] = version.files[name]["sha256"]
    return found


def differences(told: Told, seen: Seen) -> tuple[Difference, ...]:
    """What is deployed otherwise than the registry says; empty where both tell one story."""
    return (*_of_traffic(told, seen), *_of_files(told, seen), *_of_signatures(told, seen), *_beside(told, seen))


def _of_traffic(told: Told, seen: Seen) -> Iterator[Difference]:
    champion = told.champion
    if champion is not None and not seen.champion_there:
        gone = f"endpoint {seen.champion_endpoint}" if seen.champion_endpoint else champion.lambda_version
        yield Difference(
            "champion_gone",
            f"{gone}, which serves version {champion.version}, the champion, was deleted;"
            f" `everloop rollout start {champion.model}` publishes it again",
            about=seen.champion_endpoint or champion.lambda_version,
        )
        return
    if seen.champion_elsewhere:
        return
    if champion is not None and not seen.champion_as_registered:
        yield Difference(
            "other_artifact",
            f"{champion.lambda_version} does not serve version {champion.version} as it is registered: its environment"
            f" names other files, or another calibration; `everloop rollout start {champion.model}` publishes it again",
            about=champion.lambda_version,
        )
    expected = expected_traffic(told)
    if not _agree(expected, told, seen.traffic):
        yield Difference(
            TRAFFIC_MOVED,
            f"requests go to {_named(told, seen.traffic)}; by the registry they go to {_named(told, expected)}",
            about=seen.traffic.primary or "",
        )


def _agree(expected: Expected, told: Told, found: TrafficState) -> bool:
    if expected.primary is None:
        return found.candidate is None and (not found.pinned or found.primary in _empty(told))
    same = (expected.primary, expected.candidate) == (found.primary, found.candidate)
    return same and math.isclose(expected.percent, found.percent, abs_tol=_SMALLEST_SHARE)


def _empty(told: Told) -> set[str]:
    """The function versions that serve nothing: where first rollouts began."""
    return {r.fallback_lambda_version for r in told.rollouts if r.previous_version is None}


def _named(told: Told, where: Expected | TrafficState) -> str:
    if where.primary is None:
        return "nothing, as there is no champion"
    if where.candidate is None:
        return _one(told, where.primary)
    rest = 100 - where.percent
    return f"{_one(told, where.primary)} ({rest:g}%) and {_one(told, where.candidate)} ({where.percent:g}%)"


def _one(told: Told, name: str) -> str:
    """A function version or variant, with the version that the registry knows it by."""
    served = told.versions_by_name
    if name in served:
        return f"{name} (version {served[name]})"
    return f"{name} (which serves nothing)" if name in _empty(told) else f"{name} (which no rollout published)"


def _of_files(told: Told, seen: Seen) -> Iterator[Difference]:
    for key, registered in registered_files(told.serving).items():
        found = seen.files.get(key, registered)
        if found is None:
            yield _gone(key)
        elif found != registered:
            yield Difference(
                "artifact_changed",
                f"{key} has the hash {found[:12]}, registered is {registered[:12]}: a new process refuses to serve it;"
                " restore its registered version",
                about=key,
            )


def _of_signatures(told: Told, seen: Seen) -> Iterator[Difference]:
    """The registry has no hash of a signature: it is right if it is the signer's, of the registered manifest."""
    for version in told.serving:
        signed, key = seen.signed.get(version.version), f"{version.artifact_prefix}{SIGNATURE}"
        if signed is None or not version.signer:
            continue
        manifest, signature = signed
        if signature is None:
            yield _gone(key)
        elif manifest is not None and hashlib.sha256(manifest).hexdigest() == version.manifest_sha256:
            try:
                require_signature(manifest, signature, version.signer, signed=MANIFEST)
            except ArtifactRefusedError as error:
                yield Difference(
                    "artifact_changed",
                    f"{key} is not as it was registered: expected {error.expected}, found {error.found}: a new process"
                    " refuses to serve the version; restore its registered version",
                    about=key,
                )


def _gone(key: str) -> Difference:
    return Difference(
        "artifact_gone", f"{key} is not there, or may not be read; restore its registered version", about=key
    )


def _beside(told: Told, seen: Seen) -> Iterator[Difference]:
    """What runs, or can be asked, that no rollout made."""
    for alias in seen.aliases:
        yield Difference(
            "unknown_alias", f"the prediction function has the alias {alias}, which no deployment made", about=alias
        )
    if seen.variants is None or told.running or told.open_rollout is not None:
        return
    unknown = [name for name in seen.variants if name not in told.versions_by_name]
    if unknown:
        yield Difference(
            "unknown_variant",
            f"endpoint {seen.endpoint} runs {', '.join(unknown)}, which no rollout brought there",
            about=seen.endpoint,
        )
    elif told.champion is None or told.champion.lambda_version not in seen.variants:
        yield Difference(
            "idle_endpoint",
            f"endpoint {seen.endpoint} runs, and costs, though the champion is not served there; delete it:"
            f" `aws sagemaker delete-endpoint --endpoint-name {seen.endpoint}`",
            about=seen.endpoint,
        )
