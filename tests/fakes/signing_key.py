"""The platform's signing key in memory, behind the part of KMS's API that signs.

``localcloud/tests/services/kms/test_signatures.py`` holds the local cloud's KMS to the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from everloop.registry.signing import SigningKey
from tests.fakes.lambda_function import refusal

ARN = "arn:aws:kms:us-east-1:123456789012:key/signing"


def private_key(name: str = "platform", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key of that name, made once in a process: making one takes longer than a test."""
    return _made(name, bits)


def public_der(key: rsa.RSAPrivateKey) -> bytes:
    """What KMS gives of its public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@cache
def _made(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


class FakeKms:
    """One RSA key.

    Attributes
    ----------
    refuses : str
        The code that calls are refused with; none by default.
    """

    def __init__(self, name: str = "platform", bits: int = 2048) -> None:
        self.key = private_key(name, bits)
        self.refuses = ""
        self.calls: list[str] = []

    def get_public_key(self, *, KeyId: str) -> dict[str, Any]:
        self._asked("GetPublicKey", KeyId)
        return {"PublicKey": public_der(self.key), "KeySpec": f"RSA_{self.key.key_size}", "KeyUsage": "SIGN_VERIFY"}

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> dict[str, Any]:
        self._asked("Sign", KeyId)
        assert (MessageType, SigningAlgorithm, len(Message)) == ("DIGEST", "RSASSA_PKCS1_V1_5_SHA_256", 32)
        return {"Signature": self.key.sign(Message, padding.PKCS1v15(), Prehashed(SHA256()))}

    def _asked(self, call: str, key_id: str) -> None:
        assert key_id == ARN
        self.calls.append(call)
        if self.refuses:
            raise refusal(self.refuses, "as told", call)


def signing_key(name: str = "platform") -> SigningKey:
    """The key of that name as functions use it."""
    return SigningKey(FakeKms(name), ARN)
