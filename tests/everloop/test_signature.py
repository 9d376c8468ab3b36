"""Signatures are checked as the package ``cryptography`` checks them, and what is nearly one is none."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from everloop.serving.exceptions import ArtifactRefusedError
from everloop.signature import (
    EXPONENT,
    KEY_BITS,
    Signature,
    SignatureFormatError,
    fingerprint,
    modulus_of,
    require_signature,
)
from tests.fakes.signing_key import private_key, public_der

INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return private_key(f"of {bits} bits", bits)


def signed(content: bytes, bits: int = 2048, algorithm: HashAlgorithm | None = None) -> bytes:
    return key(bits).sign(content, padding.PKCS1v15(), algorithm or SHA256())


def theirs(signature: Signature, content: bytes) -> bool:
    """What the package says."""
    public = load_der_public_key(signature.key)
    assert isinstance(public, rsa.RSAPublicKey)
    try:
        public.verify(signature.signature, content, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def raised(encoded: bytes, bits: int = 2048) -> bytes:
    """The number that becomes ``encoded`` when it is checked: whoever has the private key can make it."""
    numbers = key(bits).private_numbers()
    power = pow(int.from_bytes(encoded, "big"), numbers.d, numbers.public_numbers.n)
    return power.to_bytes(bits // 8, "big")


@pytest.mark.parametrize("bits", KEY_BITS)
@given(content=st.binary(max_size=300))
def test_what_the_package_signs_is_signed(bits: int, content: bytes) -> None:
    signature = Signature(public_der(key(bits)), signed(content, bits))
    assert signature.is_of(content)
    assert Signature.from_bytes(signature.to_bytes()) == signature


@given(
    content=st.binary(max_size=64),
    other=st.binary(max_size=64),
    place=st.integers(0, 255),
    change=st.integers(0, 255),
)
def test_it_says_what_the_package_says(content: bytes, other: bytes, place: int, change: int) -> None:
    changed = bytearray(signed(content))
    changed[place] ^= change
    signature = Signature(public_der(key()), bytes(changed))
    for message in (content, other):
        assert signature.is_of(message) is theirs(signature, message) is (change == 0 and message == content)


@given(junk=st.binary(min_size=256, max_size=256))
def test_arbitrary_numbers_sign_nothing(junk: bytes) -> None:
    signature = Signature(public_der(key()), junk)
    assert signature.is_of(b"content") is theirs(signature, b"content") is False


def block(content: bytes, *, padding: int | None = None, info: bytes = INFO, kind: bytes = b"\x00\x01") -> bytes:
    tail = b"\x00" + info + hashlib.sha256(content).digest()
    return kind + b"\xff" * (256 - len(kind) - len(tail) if padding is None else padding) + tail


SHORT_INFO = bytes.fromhex("302f300b06096086480165030402010420")
"""The same hash without the NULL of its parameters: some verifiers take it too, RFC 8017 has it with NULL alone."""

MADE: dict[str, Callable[[bytes], bytes]] = {
    "trailing garbage after eight bytes of padding (Bleichenbacher, 2006)": lambda c: block(c, padding=8).ljust(
        256, b"\x5a"
    ),
    "trailing zeros": lambda c: block(c, padding=100).ljust(256, b"\x00"),
    "padding with zeros": lambda c: b"\x00\x01" + b"\x00" * 202 + block(c)[204:],
    "padding of an encryption": lambda c: block(c, kind=b"\x00\x02"),
    "kind 0": lambda c: block(c, kind=b"\x00\x00"),
    "one byte of padding is another": lambda c: block(c)[:50] + b"\xfe" + block(c)[51:],
    "parameters left out": lambda c: block(c, info=SHORT_INFO),
    "garbage in the parameters": lambda c: block(c, info=INFO[:17].replace(b"\x05\x00", b"\x05\x02ab") + INFO[17:]),
    "the hash alone": lambda c: b"\x00\x01" + b"\xff" * 221 + b"\x00" + hashlib.sha256(c).digest(),
    "another hash's name": lambda c: block(c, info=INFO.replace(b"\x04\x02\x01\x05", b"\x04\x02\x02\x05")),
}


@pytest.mark.parametrize("made", MADE)
def test_padding_that_only_looks_right_signs_nothing(made: str) -> None:
    """Even where the key's owner made it: a forger without the key finds such numbers, and none of the right form."""
    content = b"content"
    assert raised(block(content)) == signed(content), "the block is made as the package makes it"
    encoded = MADE[made](content)
    assert len(encoded) == 256
    signature = Signature(public_der(key()), raised(encoded))
    assert signature.is_of(content) is theirs(signature, content) is False


def test_a_cube_root_that_forges_a_signature_of_exponent_three_is_no_signature_here() -> None:
    """The forgery itself: for e = 3, a number whose cube begins as a block does, without any key."""
    wanted = int.from_bytes(block(b"content", padding=8).ljust(256, b"\xff"), "big")
    low, high = 0, 1 << 700
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= wanted else (low, middle)
    forged = (low**3).to_bytes(256, "big")
    assert forged.startswith(block(b"content", padding=8)), "a verifier that stops after the hash is fooled"
    three = rsa.RSAPublicNumbers(3, key().public_key().public_numbers().n).public_key()
    der = three.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SignatureFormatError, match="exponent 65537"):
        Signature(der, low.to_bytes(256, "big")).is_of(b"content")
    assert not Signature(public_der(key()), low.to_bytes(256, "big")).is_of(b"content")


def test_numbers_out_of_range_and_of_another_length_sign_nothing() -> None:
    content, der = b"content", public_der(key())
    good, modulus = signed(content), modulus_of(der)
    for wrong in (b"", good[:-1], good + b"\x00", b"\x00" + good, good.lstrip(good[:1])):
        assert not Signature(der, wrong).is_of(content)
    over = int.from_bytes(good, "big") + modulus
    if over.bit_length() <= 2048:
        assert not Signature(der, over.to_bytes(256, "big")).is_of(content), "the same number modulo the key"
    for number in (0, 1, modulus - 1):
        assert not Signature(der, number.to_bytes(256, "big")).is_of(content)


@pytest.mark.parametrize("algorithm", [SHA1(), SHA384(), SHA512()])
def test_another_hash_is_no_signature(algorithm: HashAlgorithm) -> None:
    assert not Signature(public_der(key()), signed(b"content", algorithm=algorithm)).is_of(b"content")


def test_another_key_did_not_sign() -> None:
    other = public_der(private_key("another"))
    assert not Signature(other, signed(b"content")).is_of(b"content")


def test_a_signature_that_begins_with_zeros_is_one() -> None:
    """One in 256 does: its bytes are as many as the key's."""
    content = next(c for c in map(str.encode, map(str, range(10_000))) if signed(c)[0] == 0)
    assert Signature(public_der(key()), signed(content)).is_of(content)


@pytest.mark.parametrize("bits", KEY_BITS)
def test_a_key_is_read_as_the_package_reads_it(bits: int) -> None:
    assert modulus_of(public_der(key(bits))) == key(bits).public_key().public_numbers().n


@given(place=st.integers(0, 293), change=st.integers(1, 255))
def test_a_key_that_is_altered_is_another_number_or_none(place: int, change: int) -> None:
    altered = bytearray(public_der(key()))
    altered[place] ^= change
    try:
        found = modulus_of(bytes(altered))
    except SignatureFormatError:
        return
    numbers = load_der_public_key(bytes(altered)).public_numbers()  # type: ignore[union-attr]  # it is an RSA key
    assert numbers == rsa.RSAPublicNumbers(EXPONENT, found)
    assert found != key().public_key().public_numbers().n


def der_of(**changes: Any) -> bytes:
    numbers = {"e": EXPONENT, "n": key().public_key().public_numbers().n, **changes}
    made = rsa.RSAPublicNumbers(**numbers).public_key()
    return made.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


NO_KEYS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte less": lambda: public_der(key())[:-1],
    "one byte more": lambda: public_der(key()) + b"\x00",
    "exponent 3": lambda: der_of(e=3),
    "1024 bits": lambda: der_of(n=key().public_key().public_numbers().n >> 1024 | 1 | 1 << 1023),
    "of no set size": lambda: der_of(n=key().public_key().public_numbers().n >> 1 | 1),
    "PKCS #1 without its wrapping": lambda: key().public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
    "PEM": lambda: key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "an elliptic curve": lambda: (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ),
    "an even number": lambda: public_der(key())[:-6] + bytes([public_der(key())[-6] & 0xFE]) + public_der(key())[-5:],
}


@pytest.mark.parametrize("what", NO_KEYS)
def test_what_is_no_key_of_kms_is_refused(what: str) -> None:
    with pytest.raises(SignatureFormatError, match="no DER of an RSA key"):
        modulus_of(NO_KEYS[what]())


def document(**changes: Any) -> bytes:
    good = json.loads(Signature(public_der(key()), signed(b"content")).to_bytes())
    return json.dumps({name: value for name, value in {**good, **changes}.items() if value is not ...}).encode()


def test_the_right_document_is_taken() -> None:
    require_signature(b"content", document(), fingerprint(public_der(key())), signed="manifest.json")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"algorithm": "none"}, "its algorithm is 'none'"),
        ({"algorithm": "RSASSA_PSS_SHA_256"}, "RSASSA_PSS_SHA_256"),
        ({"algorithm": None}, "its algorithm is None"),
        ({"signature": ...}, "has not the keys"),
        ({"more": 1}, "has not the keys"),
        ({"signature": 7}, "7 is no base64"),
        ({"signature": "é"}, "is no base64"),
        ({"signature": "!!!!"}, "base64"),
        ({"signature": ""}, "one of other bytes"),
        ({"key": "AAAA"}, "one by key"),
        ({"key": base64.b64encode(public_der(private_key("another"))).decode()}, "one by key"),
        ({"signature": base64.b64encode(signed(b"other")).decode()}, "one of other bytes"),
    ],
)
def test_a_document_that_does_not_prove_it_is_refused_by_name(changes: dict[str, Any], found: str) -> None:
    signer = fingerprint(public_der(key()))
    with pytest.raises(ArtifactRefusedError) as refused:
        require_signature(b"content", document(**changes), signer, signed="manifest.json")
    assert refused.value.file == "signature.json"
    assert signer in refused.value.expected
    assert found in refused.value.found


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'"text"'])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactRefusedError, match=r"signature\.json"):
        require_signature(b"content", data, "f" * 64, signed="manifest.json")


def test_a_key_of_the_right_fingerprint_that_is_none_is_refused() -> None:
    """Who chose the fingerprint chose the key too; still nothing is taken for a signature."""
    changed = document(key=base64.b64encode(b"no key").decode())
    with pytest.raises(ArtifactRefusedError, match="no DER of an RSA key"):
        require_signature(b"content", changed, fingerprint(b"no key"), signed="manifest.json")
