"""Signatures of asymmetric keys: what anybody can check with the public key, and what KMS refuses."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from support.in_process import Cloud, allow

ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_256"
MESSAGE = b"a manifest" * 1000
DIGEST = hashlib.sha256(MESSAGE).digest()


@pytest.fixture
def key(cloud: Cloud) -> str:
    made = cloud.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["Arn"])


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def sign(client: Any, key: str, **changes: Any) -> bytes:
    given = {"Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": ALGORITHM, **changes}
    return bytes(client.sign(KeyId=key, **given)["Signature"])


def test_a_signed_digest_is_a_signature_of_the_message(cloud: Cloud, key: str) -> None:
    client = cloud.client("kms")
    public = load_der_public_key(client.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(sign(client, key), MESSAGE, padding.PKCS1v15(), SHA256())
    assert sign(client, key) == sign(client, key)
    with pytest.raises(InvalidSignature):
        public.verify(sign(client, key), MESSAGE + b" ", padding.PKCS1v15(), SHA256())


def test_the_same_of_an_elliptic_curve(cloud: Cloud) -> None:
    client = cloud.client("kms")
    key = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    public = load_der_public_key(client.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(sign(client, key, SigningAlgorithm="ECDSA_SHA_256"), MESSAGE, ec.ECDSA(SHA256()))


def test_a_message_is_signed_as_its_digest_is_and_both_are_verified(cloud: Cloud, key: str) -> None:
    client, message = cloud.client("kms"), MESSAGE[:4096]
    raw = sign(client, key, Message=message, MessageType="RAW")
    digest = hashlib.sha256(message).digest()
    assert raw == sign(client, key, Message=digest)
    asked = {"KeyId": key, "SigningAlgorithm": ALGORITHM, "Signature": raw}
    assert client.verify(**asked, Message=message)["SignatureValid"]
    assert client.verify(**asked, Message=digest, MessageType="DIGEST")["SignatureValid"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Message": MESSAGE, "MessageType": "RAW"}, "ValidationException"),
        ({"Message": DIGEST[:-1]}, "ValidationException"),
        ({"SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_512"}, "ValidationException"),
    ],
)
def test_what_can_not_be_signed_is_refused(cloud: Cloud, key: str, changes: dict[str, Any], code: str) -> None:
    given = {"Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": ALGORITHM, **changes}
    assert refused(cloud.client("kms").sign, KeyId=key, **given) == code


def test_a_key_signs_while_it_is_enabled(cloud: Cloud, key: str) -> None:
    client = cloud.client("kms")
    given = {"KeyId": key, "Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": ALGORITHM}
    client.disable_key(KeyId=key.rpartition("/")[2])
    assert refused(client.sign, **given) == "DisabledException"
    client.schedule_key_deletion(KeyId=key.rpartition("/")[2])
    assert refused(client.sign, **given) == "KMSInvalidStateException"


def test_an_asymmetric_key_is_not_rotated(cloud: Cloud, key: str) -> None:
    assert refused(cloud.client("kms").enable_key_rotation, KeyId=key) == "UnsupportedOperationException"


def test_who_may_sign_with_one_key_may_not_with_another(cloud: Cloud, key: str) -> None:
    other = cloud.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    role = cloud.role("signs", "lambda.amazonaws.com", allow("kms:Sign", key))
    client = cloud.role_client("kms", role, "lambda.amazonaws.com")
    assert sign(client, key)
    given = {"Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": ALGORITHM}
    assert refused(client.sign, KeyId=other, **given) == "AccessDeniedException"
    assert refused(client.get_public_key, KeyId=key) == "AccessDeniedException"


def test_a_template_makes_one_with_its_alias(cloud: Cloud) -> None:
    resources = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeySpec": "RSA_3072", "KeyUsage": "SIGN_VERIFY"}},
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": "alias/a/b", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        },
    }
    cloud.client("cloudformation").create_stack(StackName="S", TemplateBody=json.dumps({"Resources": resources}))
    cloud.wait_until_quiet()
    described = cloud.client("kms").describe_key(KeyId="alias/a/b")["KeyMetadata"]
    assert (described["KeySpec"], described["KeyUsage"]) == ("RSA_3072", "SIGN_VERIFY")
    role = cloud.role("signs", "lambda.amazonaws.com", allow("kms:Sign", described["Arn"]))
    assert sign(cloud.role_client("kms", role, "lambda.amazonaws.com"), described["Arn"])
