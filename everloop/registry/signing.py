"""The platform's signing key: what candidates are signed with as they are registered, and who signed by its name.

The key is asymmetric and stays in KMS. Only the function that registers may have it sign; others read its public half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from everloop.busy_services import busy_services_named
from everloop.registry.exceptions import SigningRefusedError
from everloop.signature import ALGORITHM, Signature, SignatureFormatError, fingerprint, modulus_of


class SigningKey:
    """The key, by a KMS client.

    Parameters
    ----------
    kms
        A boto3 ``kms`` client.
    key_arn : str
        The key's ARN. Its public half is read once.
    """

    def __init__(self, kms: Any, key_arn: str) -> None:
        self._kms, self._arn = kms, key_arn

    @cached_property
    def public_key(self) -> bytes:
        """The DER of its ``SubjectPublicKeyInfo``.

        Raises
        ------
        ServiceBusyError, SigningRefusedError
            When KMS does not give it, or it is no key that signatures are checked with.
        """
        with self._refusals_named("its public key is not given"):
            key: bytes = self._kms.get_public_key(KeyId=self._arn)["PublicKey"]
        try:
            modulus_of(key)
        except SignatureFormatError as error:
            raise SigningRefusedError(f"{self._arn}: {error}; deploy the platform's stack again") from error
        return key

    @property
    def signer(self) -> str:
        """The fingerprint of its public key."""
        return fingerprint(self.public_key)

    def sign(self, content: bytes) -> Signature:
        """Its signature of ``content``: KMS is sent the hash, since a message has at most 4,096 bytes there.

        Raises
        ------
        ServiceBusyError, SigningRefusedError
            When KMS does not sign, or what it signed was something else.
        """
        digest = hashlib.sha256(content).digest()
        with self._refusals_named("it does not sign"):
            answer = self._kms.sign(KeyId=self._arn, Message=digest, MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
        signature = Signature(self.public_key, answer["Signature"])
        if not signature.is_of(content):
            raise SigningRefusedError(f"{self._arn}: what it signed is not what it was asked to; start the run again")
        return signature

    @contextmanager
    def _refusals_named(self, what: str) -> Iterator[None]:
        try:
            with busy_services_named():
                yield
        except ClientError as error:
            raise SigningRefusedError(
                f"the platform's signing key {self._arn}: {what}: {error}; is it enabled, and may this role use it?"
                " `everloop docs registry` says who may"
            ) from error
