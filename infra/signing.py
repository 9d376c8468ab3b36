"""The key that signs what is registered."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from constructs import Construct

from everloop.names import SIGNING_ALIAS


class SigningKey(Construct):
    """An asymmetric key, which KMS never gives out: each version's manifest is signed with it.

    It outlives the stack, as what it signed does: an auditor may have to ask for its public half later. KMS rotates no
    asymmetric key.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            alias=SIGNING_ALIAS,
            description="Everloop signs the manifests of registered versions with it",
            key_spec=kms.KeySpec.RSA_3072,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=RemovalPolicy.RETAIN,
        )
