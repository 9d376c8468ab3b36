"""The body of an upload in chunks (``Content-Encoding: aws-chunked``), each chunk signed or none.

Source: Amazon S3 API Reference, "Signature calculations: transferring a payload in multiple chunks", and the same
with trailing headers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_WITH_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING = frozenset({SIGNED, SIGNED_WITH_TRAILER, UNSIGNED_WITH_TRAILER})
"""What ``x-amz-content-sha256`` says of such uploads."""

_HEAD = re.compile(rb"(?P<size>[0-9a-fA-F]{1,16})(?:;chunk-signature=(?P<signature>[0-9a-f]{64}))?\Z")
_TRAILER_SIGNATURE = "x-amz-trailer-signature"
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass
class ChunkSigner:
    """Signs chunk after chunk, each with the signature before it."""

    key: bytes
    stamp: str
    scope: str
    previous: str

    def check(self, claimed: str, content: bytes) -> None:
        """Compare a chunk's signature; raises ValueError when it is another."""
        digest = hashlib.sha256(content).hexdigest()
        self._check(claimed, "AWS4-HMAC-SHA256-PAYLOAD", f"{_EMPTY}\n{digest}", "a chunk's signature")

    def check_trailer(self, claimed: str, content: bytes) -> None:
        """Compare the signature of the trailing headers; raises ValueError when it is another."""
        digest = hashlib.sha256(content).hexdigest()
        self._check(claimed, "AWS4-HMAC-SHA256-TRAILER", digest, "the signature of the trailing headers")

    def _check(self, claimed: str, algorithm: str, digests: str, what: str) -> None:
        to_sign = f"{algorithm}\n{self.stamp}\n{self.scope}\n{self.previous}\n{digests}"
        expected = hmac.new(self.key, to_sign.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, claimed):
            raise ValueError(f"{what} does not match")
        self.previous = expected


def decode(
    body: bytes, kind: str, headers: Mapping[str, str], signer: ChunkSigner
) -> tuple[bytes, list[tuple[str, str]]]:
    """The content of a chunked upload and its trailing headers.

    Parameters
    ----------
    kind : str
        One of :data:`STREAMING`.
    headers : mapping
        The request's, by lower-cased name.

    Raises
    ------
    ValueError
        When a signature does not match, or the body is not what its headers announce.
    """
    content, position = bytearray(), 0
    while True:
        head, position = _line(body, position)
        match = _HEAD.match(head)
        if match is None:
            raise ValueError(f"not the header of a chunk: {head[:100]!r}")
        size = int(match["size"], 16)
        chunk = body[position : position + size]
        if len(chunk) != size:
            raise ValueError(f"a chunk of {size} bytes has {len(chunk)}")
        if kind != UNSIGNED_WITH_TRAILER:
            signer.check((match["signature"] or b"").decode(), chunk)
        position += size
        if size == 0:
            break
        content += chunk
        if body[position : position + 2] != b"\r\n":
            raise ValueError("a chunk does not end where its size says")
        position += 2
    announced = headers.get("x-amz-decoded-content-length", "")
    if announced != str(len(content)):
        raise ValueError(f"x-amz-decoded-content-length is {announced!r}, the content has {len(content)} bytes")
    return bytes(content), _trailers(body[position:], kind, headers, signer)


def _trailers(rest: bytes, kind: str, headers: Mapping[str, str], signer: ChunkSigner) -> list[tuple[str, str]]:
    found = {}
    for line in filter(None, rest.replace(b"\r\n", b"\n").split(b"\n")):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise ValueError(f"not a trailing header: {line[:100]!r}")
        found[name.strip().lower()] = value.strip()
    signature = found.pop(_TRAILER_SIGNATURE, "")
    announced = {name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",")} - {""}
    if kind == SIGNED:
        announced = set()
    if set(found) != announced:
        raise ValueError(f"trailing headers are {sorted(found)}, x-amz-trailer announces {sorted(announced)}")
    if kind == SIGNED_WITH_TRAILER:
        signer.check_trailer(signature, "".join(f"{name}:{found[name]}\n" for name in sorted(found)).encode())
    return sorted(found.items())


def _line(body: bytes, position: int) -> tuple[bytes, int]:
    end = body.find(b"\r\n", position)
    if end < 0:
        raise ValueError("the body ends before its last chunk")
    return body[position:end], end + 2
