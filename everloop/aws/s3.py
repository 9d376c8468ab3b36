"""Reads objects of S3."""

from __future__ import annotations

import io
import re
from typing import Any
from urllib.parse import quote

from everloop.aws.exceptions import ServiceError
from everloop.aws.transport import Answer, Service
from everloop.limits import LARGEST_MODEL_BYTES

MOST = LARGEST_MODEL_BYTES + 1
"""No object that is read here may have more; of a larger one this much shows that it is."""

_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")


class S3Reader:
    """The one call of S3 that the request path makes, named and shaped as the SDK's.

    Parameters
    ----------
    service : Service
        S3's address of the region; objects are asked for by path, which every name of a bucket allows.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """The object: its ``Body``, to be read, and its ``ContentLength``.

        Raises
        ------
        ServiceError
            With S3's code, such as ``NoSuchKey``.
        """
        path = f"/{Bucket}/{quote(Key, safe='/-_.~')}"
        answer = self._service.send("GET", path, {}, most=MOST)
        if answer.status != 200:
            raise _error(answer)
        return {"Body": io.BytesIO(answer.body), "ContentLength": int(answer.headers.get("content-length", "0"))}


def _error(answer: Answer) -> ServiceError:
    text = answer.body.decode("utf-8", "replace")
    code, message = _CODE.search(text), _MESSAGE.search(text)
    return ServiceError(code[1] if code else str(answer.status), message[1] if message else text[:200], answer.status)
