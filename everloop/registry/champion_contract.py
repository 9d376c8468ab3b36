"""The serving contract of the champion, as it was registered."""

from __future__ import annotations

import hashlib
from typing import Any

from everloop.manifest import CONTRACT
from everloop.registry.exceptions import ArtifactMismatchError
from everloop.registry.store import RegistryStore
from everloop.serving.contract import ServingContract


def champion_contract(store: RegistryStore, s3_client: Any, artifact_bucket: str) -> tuple[int, ServingContract] | None:
    """The champion's version and its contract; None where nothing serves yet.

    Raises
    ------
    ArtifactMismatchError
        When the contract's bytes are not the registered ones.
    """
    champion = store.versions.champion()
    if champion is None:
        return None
    version = store.versions.get(champion.version)
    key = f"{version.artifact_prefix}{CONTRACT}"
    content = s3_client.get_object(Bucket=artifact_bucket, Key=key)["Body"].read()
    found, registered = hashlib.sha256(content).hexdigest(), version.files[CONTRACT]["sha256"]
    if found != registered:
        raise ArtifactMismatchError(
            f"s3://{artifact_bucket}/{key} has sha256 {found}, and version {version.version} was registered with"
            f" {registered}: restore the object's registered version"
        )
    return version.version, ServingContract.from_json(content)
