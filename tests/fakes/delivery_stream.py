"""A Firehose delivery stream in memory, which refuses records as it is told to."""

from __future__ import annotations

import json
from typing import Any


class FakeFirehose:
    """Takes records.

    Attributes
    ----------
    refusals : list of set of int
        For each call to come, the positions that it refuses.
    down : bool
        Every call fails as a whole.
    """

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.taken: list[dict[str, Any]] = []
        self.refusals: list[set[int]] = []
        self.down = False

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:
        if self.down:
            raise ConnectionError("no route to the stream")
        self.calls.append([r["Data"] for r in Records])
        refused = self.refusals.pop(0) if self.refusals else set()
        for i, record in enumerate(Records):
            if i not in refused:
                self.taken.append(json.loads(record["Data"]))
        error = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow down"}
        answers = [error if i in refused else {"RecordId": str(i)} for i in range(len(Records))]
        return {"FailedPutCount": len(refused), "RequestResponses": answers}
