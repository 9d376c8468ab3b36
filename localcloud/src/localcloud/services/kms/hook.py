"""Signatures of asymmetric keys, as KMS makes and checks them.

Replaces: Sign and Verify of a digest, which moto hashes as if it were the message; and both by a key that is disabled
    or about to be deleted, which moto lets pass. Rotation of asymmetric keys, which it switches.
Why: a signature of a digest would be one of the digest's hash, which nobody who has the message can check; and an
    application that signs with a disabled key works here and fails on AWS.
Obsolete: once moto reads the message type and looks at the state of keys.

Sources: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html,
https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html and
https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import ValidationException
from moto.kms.models import Key, KmsBackend
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey, RSAPrivateKey

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

LARGEST_MESSAGE = 4096
_SYMMETRIC = "SYMMETRIC_DEFAULT"


class Digest(bytes):
    """A message that its sender hashed."""


def install(_context: CloudContext) -> None:
    """Sign digests as they are, refuse what is too long, and look at the key's state."""
    wrap(KmsResponse, "_get_param", _with_message_type)
    for kind in (RSAPrivateKey, ECDSAPrivateKey):
        wrap(kind, "sign", _signing)
        wrap(kind, "verify", _verifying)
    for method in ("sign", "verify"):
        wrap(KmsBackend, method, _by_an_enabled_key)
    wrap(KmsBackend, "enable_key_rotation", _of_symmetric_keys)


def _with_message_type(original: Any) -> Any:
    def get_param(self: KmsResponse, param_name: str, if_none: Any = None) -> Any:
        value = original(self, param_name, if_none)
        if param_name != "Message" or original(self, "SigningAlgorithm") is None:
            return value
        if original(self, "MessageType") == "DIGEST":
            return _digest(value, original(self, "SigningAlgorithm"))
        if value and len(value) > LARGEST_MESSAGE:
            raise ValidationException(
                "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length"
                f" less than or equal to {LARGEST_MESSAGE}"
            )
        return value

    return get_param


def _digest(value: bytes, algorithm: str) -> Digest:
    size = int(algorithm.rpartition("_")[2]) // 8 if algorithm.rpartition("_")[2].isdigit() else len(value)
    if len(value) != size:
        raise ValidationException(f"Digest is invalid length for algorithm {algorithm}.")
    return Digest(value)


def _signing(original: Any) -> Any:
    def sign(self: Any, message: bytes, signing_algorithm: str) -> Any:
        if not isinstance(message, Digest):
            return original(self, message, signing_algorithm)
        return self.private_key.sign(bytes(message), *_prehashed(self, signing_algorithm))

    return sign


def _verifying(original: Any) -> Any:
    def verify(self: Any, message: bytes, signature: bytes, signing_algorithm: str) -> Any:
        if not isinstance(message, Digest):
            return original(self, message, signature, signing_algorithm)
        try:
            public = self.private_key.public_key()
            public.verify(signature, bytes(message), *_prehashed(self, signing_algorithm))
        except InvalidSignature:
            return False
        return True

    return verify


def _prehashed(key: Any, algorithm: str) -> tuple[Any, ...]:
    """What the key's library has to be told besides the digest."""
    if isinstance(key, RSAPrivateKey):
        padding, hashed = key._RSAPrivateKey__padding_and_hash_algorithm(algorithm)  # type: ignore[attr-defined]  # moto's own name
        return padding, Prehashed(hashed)
    hashed = key._ECDSAPrivateKey__hash_algorithm(algorithm)
    return (ec.ECDSA(Prehashed(hashed)),)


def _by_an_enabled_key(original: Any) -> Any:
    def asked(self: KmsBackend, key_id: str, *rest: Any, **more: Any) -> Any:
        key = self.describe_key(key_id)
        if key.key_state == "Disabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        if key.key_state != "Enabled":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is {_words(key.key_state)}.")
        return original(self, key_id, *rest, **more)

    return asked


def _of_symmetric_keys(original: Any) -> Any:
    def enable_key_rotation(self: KmsBackend, key_id: str) -> None:
        key: Key = self.describe_key(key_id)
        if key.key_spec != _SYMMETRIC:
            raise JsonRESTError("UnsupportedOperationException", f"{key.arn} is asymmetric, and can't be rotated.")
        original(self, key_id)

    return enable_key_rotation


def _words(state: str) -> str:
    return {"PendingDeletion": "pending deletion"}.get(state, state)
