"""Puts records on a delivery stream of Firehose."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from everloop.aws.exceptions import ServiceError
from everloop.aws.transport import Service

MOST = 4 * 1024 * 1024
"""Bytes of an answer: one short entry for each of at most 500 records."""


class FirehoseStreams:
    """The one call of Firehose that the request path makes, named and shaped as the SDK's."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def put_record_batch(self, *, DeliveryStreamName: str, Records: Sequence[dict[str, bytes]]) -> dict[str, Any]:
        """What became of each record.

        Raises
        ------
        ServiceError
            When the call as a whole is refused.
        OSError, http.client.HTTPException
            When it had no answer.
        """
        records = ",".join(f'{{"Data":"{base64.b64encode(record["Data"]).decode()}"}}' for record in Records)
        body = f'{{"DeliveryStreamName":{json.dumps(DeliveryStreamName)},"Records":[{records}]}}'
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Firehose_20150804.PutRecordBatch"}
        answer = self._service.send("POST", "/", headers, body.encode(), most=MOST)
        document = _document(answer.body)
        if answer.status != 200:
            code = str(document.get("__type") or answer.headers.get("x-amzn-errortype") or answer.status)
            message = str(document.get("message") or document.get("Message") or "")
            raise ServiceError(code.rpartition("#")[2].partition(":")[0], message, answer.status)
        return document


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {"message": body[:200].decode("utf-8", "replace")}
    return document if isinstance(document, dict) else {}
