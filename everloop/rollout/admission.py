"""What may be published to serve: a version that the platform's key signed, or one of before there were signatures.

Who may write to the registry's table and to the artifact bucket can put a manifest of their own there, with a record
that fits. So who must have signed is not read from the record but asked of the key, and that a version was never signed
is read from its locked audit record, which nobody can change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from botocore.exceptions import ClientError

from everloop.manifest import MANIFEST, require_hash
from everloop.registry.ledger import Ledger
from everloop.registry.locked_audit import LockedAudit, content_of
from everloop.rollout.exceptions import SignerRefusedError
from everloop.rollout.served_artifact import ServedArtifact
from everloop.rollout.targets import AskedAnswer, Published, Question, RolloutTarget, TrafficState
from everloop.serving.exceptions import ArtifactRefusedError
from everloop.serving.standby import Standby
from everloop.signature import SIGNATURE, require_signature

_NOT_THERE = frozenset({"NoSuchKey", "404", "AccessDenied"})
"""Without the right to list a bucket, S3 says of a missing object that access is denied."""

_FOUND_OUT = "somebody wrote to the registry: `everloop audit verify` says what"


class Signer(Protocol):
    """Who signs versions."""

    @property
    def signer(self) -> str:
        """The fingerprint of the key."""
        ...


@dataclass(frozen=True)
class Admission:
    """What versions are held against before they are published.

    Attributes
    ----------
    model : str
    key : Signer
        The platform's key.
    ledger : Ledger
        Reads the model's audit records.
    locked : LockedAudit
        The locked ones.
    read : callable
        The bytes of a registered file by its key; None where there is none.
    """

    model: str
    key: Signer
    ledger: Ledger
    locked: LockedAudit
    read: Callable[[str], bytes | None]

    def require(self, artifact: ServedArtifact) -> None:
        """Refuse what is not signed as it must be, with what is to stand by for it.

        Raises
        ------
        SignerRefusedError
            When the record names another signer than the platform's key, or none though the version was signed.
        ArtifactRefusedError
            When the signature is missing, or is another one's or of other bytes.
        """
        for one in (artifact, artifact.standby):
            if one is not None:
                self._require(one)

    def _require(self, one: ServedArtifact | Standby) -> None:
        if not one.signer:
            self._require_never_signed(one)
            return
        if one.signer != self.key.signer:
            raise SignerRefusedError(
                f"model {self.model}: the record of version {one.version} says that key {one.signer} signed it, and the"
                f" platform's key is {self.key.signer}: train again if the key was replaced; else {_FOUND_OUT}"
            )
        manifest = self._file(one, MANIFEST)
        require_hash(MANIFEST, manifest, one.manifest_sha256)
        require_signature(manifest, self._file(one, SIGNATURE), one.signer, signed=MANIFEST)

    def _file(self, one: ServedArtifact | Standby, name: str) -> bytes:
        content = self.read(one.prefix + name)
        if content is None:
            raise ArtifactRefusedError(name, expected=one.prefix + name, found="no such object")
        return content

    def _require_never_signed(self, one: ServedArtifact | Standby) -> None:
        """Only an earlier release registered without a signature: the locked record of that says so."""
        said = {"signer": None, "manifest_sha256": one.manifest_sha256}
        for record in self.ledger.audit_records():
            if record.action != "registered" or record.version != one.version:
                continue
            told = {name: record.details.get(name) for name in said}
            try:
                is_locked = self.locked.of(record) == content_of(record)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NOT_THERE:
                    raise
                is_locked = False
            if is_locked and told == said:
                return
            found = f"signer {told['signer']}, manifest {told['manifest_sha256']}" if is_locked else "another record"
            raise SignerRefusedError(
                f"model {self.model}: the record of version {one.version} names no signer, for manifest"
                f" {one.manifest_sha256}, and the locked audit record {record.sequence} of its registration says"
                f" otherwise ({found}): {_FOUND_OUT}"
            )
        raise SignerRefusedError(
            f"model {self.model}: version {one.version} has no signer, and no audit record of its registration:"
            f" {_FOUND_OUT}"
        )


class AdmittingTarget:
    """A target that publishes what is admitted, and nothing else. All else is the target's own."""

    def __init__(self, target: RolloutTarget, admission: Admission) -> None:
        self._target, self._admission = target, admission

    def publish(self, artifact: ServedArtifact) -> Published:
        """As the target's, once it is admitted."""
        self._admission.require(artifact)
        return self._target.publish(artifact)

    def publish_like(self, artifact: ServedArtifact, lambda_version: str) -> Published | None:
        """As the target's, once it is admitted."""
        self._admission.require(artifact)
        return self._target.publish_like(artifact, lambda_version)

    def current(self) -> TrafficState:
        """As the target's."""
        return self._target.current()

    def idle(self) -> str:
        """As the target's."""
        return self._target.idle()

    def shift(self, *, primary: str, candidate: str, percent: float) -> None:
        """As the target's."""
        self._target.shift(primary=primary, candidate=candidate, percent=percent)

    def settle(self, lambda_version: str, *, only_if: Callable[[], bool] | None = None) -> bool:
        """As the target's."""
        return self._target.settle(lambda_version, only_if=only_if)

    def unchanged_since(self, lambda_version: str) -> bool:
        """As the target's."""
        return self._target.unchanged_since(lambda_version)

    def holds(self, lambda_version: str, artifact: ServedArtifact | None = None) -> bool:
        """As the target's."""
        return self._target.holds(lambda_version, artifact)

    def prune(self, keep: set[str]) -> list[str]:
        """As the target's."""
        return self._target.prune(keep)

    def release(self, lambda_version: str) -> None:
        """As the target's."""
        self._target.release(lambda_version)

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        """As the target's."""
        return self._target.ask(lambda_version, question)

    def describe(self, published: Published) -> dict[str, str]:
        """As the target's."""
        return self._target.describe(published)
