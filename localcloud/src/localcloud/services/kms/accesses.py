"""What requests to KMS need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from moto.kms.models import kms_backends

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    key = call.params.get("KeyId")
    return one("kms", call, _kms_key_arn(call, key)) if key else None


def _kms_key_arn(call: Call, key: str) -> str:
    """The ARN of a key given by id, ARN or alias; an unknown key stays what it was called."""
    if ":alias/" in key or key.startswith("alias/"):
        alias = key[key.index("alias/") :]
        key = kms_backends[call.account][call.region].get_key_id_from_alias(alias) or key
    return call.named_arn("kms", "key/", key)
