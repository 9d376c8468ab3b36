"""Versions that come into a deployed model's registry as they stand, with their files and without a training."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from everloop.cli.account import Account
from everloop.manifest import MANIFEST
from everloop.registry.signing import SigningKey
from everloop.registry.store import RegistryStore
from everloop.signature import SIGNATURE
from tests.helpers.registry_scenes import manifest_of, open_run, register


def give_version(
    account: Account, store: RegistryStore, run_id: str, contents: Mapping[str, bytes], *, when: datetime
) -> int:
    """Register a version with its files, signed, as the pipeline would; its number. Its run stays open."""
    open_run(store, run_id, when=when)
    signing = SigningKey(account.client("kms"), account.platform.signing_key)
    version = register(store, run_id, contents=dict(contents), when=when, signer=signing.signer)
    manifest = manifest_of(version).content
    for name, data in {**contents, MANIFEST: manifest, SIGNATURE: signing.sign(manifest).to_bytes()}.items():
        bucket, key = account.platform.artifact_bucket, f"{version.artifact_prefix}{name}"
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
    return version.version
