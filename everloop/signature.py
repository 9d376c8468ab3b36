"""The signature of a version's manifest: an RSA signature of the platform's key, checked with integers alone.

The prediction function checks it while it starts, so nothing heavy is imported: a check is one power modulo the key,
and one comparison. Nothing secret is in hand here, so nothing has to take the same time always.

Sources: RFC 8017 (PKCS #1), sections 5.2.2, 8.2.2 and 9.2; RFC 3279, section 2.3.1, and RFC 8017, appendix A.1.1, for
the key's encoding.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass

from everloop.exceptions import TerminalError
from everloop.json_text import canonical_json, read_json
from everloop.serving.exceptions import ArtifactRefusedError
from everloop.shown import shown

SIGNATURE = "signature.json"
"""The file beside a signed version's manifest."""

ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_256"
"""As KMS calls it. The same key and manifest give the same signature: a repeated registration gives the same file."""

EXPONENT = 65537
KEY_BITS = (2048, 3072, 4096)
"""The RSA keys that KMS makes."""

_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""Before a SHA-256, it is a ``DigestInfo``: RFC 8017, section 9.2, note 1."""

_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_EXPONENT_DER = bytes.fromhex("0203010001")

_KEYS = ("algorithm", "key", "signature")


class SignatureFormatError(TerminalError, ValueError):
    """A text is no signature of the one form that is taken, or a key none of KMS's RSA keys."""


@dataclass(frozen=True)
class Signature:
    """What ``signature.json`` says.

    Attributes
    ----------
    key : bytes
        The public key: DER of its ``SubjectPublicKeyInfo``.
    signature : bytes
    """

    key: bytes
    signature: bytes

    @property
    def signer(self) -> str:
        """The fingerprint of its key."""
        return fingerprint(self.key)

    def is_of(self, content: bytes) -> bool:
        """Whether the key signed ``content``.

        Raises
        ------
        SignatureFormatError
            When the key is none of KMS's RSA keys.
        """
        modulus = modulus_of(self.key)
        length = modulus.bit_length() // 8
        number = int.from_bytes(self.signature, "big")
        if len(self.signature) != length or number >= modulus:
            return False
        # The whole encoding is made anew and compared. Reading the hash out of it would let padding through that only
        # looks right, and so forged signatures.
        return pow(number, EXPONENT, modulus).to_bytes(length, "big") == _encoded(content, length)

    def to_bytes(self) -> bytes:
        """The text of the file. The same facts give the same bytes."""
        document = {"algorithm": ALGORITHM, "key": _base64(self.key), "signature": _base64(self.signature)}
        return canonical_json(document).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Signature:
        """Read the file.

        Raises
        ------
        SignatureFormatError
            When it has other keys, another algorithm, or no base64.
        """
        try:
            document = read_json(data)
            if not isinstance(document, dict) or sorted(document) != sorted(_KEYS):
                raise SignatureFormatError(f"it has not the keys {', '.join(_KEYS)}")
            if document["algorithm"] != ALGORITHM:
                raise SignatureFormatError(f"its algorithm is {shown(document['algorithm'])}, not {ALGORITHM}")
            return cls(_bytes(document["key"]), _bytes(document["signature"]))
        except SignatureFormatError:
            raise
        except (ValueError, TypeError) as error:
            raise SignatureFormatError(str(error)) from error


def fingerprint(key: bytes) -> str:
    """What a key is called here: SHA-256 of the DER of its ``SubjectPublicKeyInfo``, 64 hexadecimal digits."""
    return hashlib.sha256(key).hexdigest()


def modulus_of(key: bytes) -> int:
    """The modulus of a public key: DER, RSA of 2048, 3072 or 4096 bits, exponent 65537.

    All such keys of one size have the same bytes around their modulus. So nothing is parsed: any other encoding of the
    same numbers is no key here.

    Raises
    ------
    SignatureFormatError
    """
    for bits in KEY_BITS:
        before, size = _before_modulus(bits), bits // 8
        if len(key) != len(before) + size + len(_EXPONENT_DER):
            continue
        modulus = int.from_bytes(key[len(before) : len(before) + size], "big")
        whole = key.startswith(before) and key.endswith(_EXPONENT_DER)
        if whole and modulus.bit_length() == bits and modulus % 2:
            return modulus
    raise SignatureFormatError(
        f"its key ({len(key)} bytes) is no DER of an RSA key of 2048, 3072 or 4096 bits with exponent {EXPONENT}"
    )


def require_signature(content: bytes, document: bytes, signer: str, *, signed: str) -> None:
    """Refuse ``content`` unless the key of ``signer`` signed it, as ``document`` shows.

    Parameters
    ----------
    document : bytes
        The file :data:`SIGNATURE`.
    signer : str
        The fingerprint of the key that must have signed.
    signed : str
        The name of the file whose content this is.

    Raises
    ------
    ArtifactRefusedError
        Naming the signature's file, what was expected and what was found.
    """
    try:
        found = Signature.from_bytes(document)
        if found.signer != signer:
            raise ArtifactRefusedError(
                SIGNATURE, expected=f"a signature by key {signer}", found=f"one by key {found.signer}"
            )
        if not found.is_of(content):
            raise ArtifactRefusedError(
                SIGNATURE, expected=f"a signature of {signed} by key {signer}", found="one of other bytes"
            )
    except SignatureFormatError as error:
        raise ArtifactRefusedError(SIGNATURE, expected=f"a signature by key {signer}", found=str(error)) from error


def _encoded(content: bytes, length: int) -> bytes:
    """EMSA-PKCS1-v1_5 of ``content`` with SHA-256: RFC 8017, section 9.2."""
    info = _SHA256_INFO + hashlib.sha256(content).digest()
    return b"\x00\x01" + b"\xff" * (length - len(info) - 3) + b"\x00" + info


def _before_modulus(bits: int) -> bytes:
    """The DER of such a key up to its modulus, whose first bit is set: a zero keeps it positive."""
    integer = bits // 8 + 1
    numbers = 4 + integer + len(_EXPONENT_DER)
    string = 1 + 4 + numbers
    whole = len(_RSA_ENCRYPTION) + 4 + string
    key = (b"\x00\x30", _length(numbers), b"\x02", _length(integer), b"\x00")
    return b"".join((b"\x30", _length(whole), _RSA_ENCRYPTION, b"\x03", _length(string), *key))


def _length(count: int) -> bytes:
    """DER's length of what has 256 to 65,535 bytes."""
    return b"\x82" + count.to_bytes(2, "big")


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _bytes(text: object) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise SignatureFormatError(f"{shown(text)} is no base64")
    data = binascii.a2b_base64(text, strict_mode=True)
    if _base64(data) != text:
        raise SignatureFormatError("its base64 is not written the one way there is")
    return data
