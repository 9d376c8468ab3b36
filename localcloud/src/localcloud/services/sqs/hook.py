"""Queues forget the receipts of deleted messages, once no message of their time can be there.

A message may be deleted again by the same receipt, without effect; receipts are kept for as long as SQS keeps any
message.

Replaces: every receipt of a deleted message, kept for ever.
Why: a cloud that lives through a year would hold one for every message it ever had.
Obsolete: once moto forgets them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from moto.sqs.models import Queue

from localcloud.core.clock import Clock
from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

KEPT = timedelta(days=14)
"""The longest time for which SQS keeps a message."""


class DeletedReceipts:
    """What moto takes for the set of receipts whose messages are deleted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deleted: dict[str, datetime] = {}

    def __contains__(self, receipt: str) -> bool:
        return receipt in self._deleted

    def update(self, receipts: Iterable[str | None]) -> None:
        """Keep receipts of a message that is deleted now, and forget old ones."""
        now = self._clock.now()
        # In the order of their time: the old ones are in front.
        while self._deleted and now - next(iter(self._deleted.values())) > KEPT:
            del self._deleted[next(iter(self._deleted))]
        for receipt in receipts:
            if receipt is not None:  # a message that was not received yet has none
                self._deleted.pop(receipt, None)
                self._deleted[receipt] = now


def install(context: CloudContext) -> None:
    """Let queues keep receipts for a time."""

    def forgetting(original: Any) -> Any:
        def init(self: Queue, *arguments: Any, **keywords: Any) -> None:
            original(self, *arguments, **keywords)
            self.deleted_messages = DeletedReceipts(context.clock)  # type: ignore[assignment]  # all that moto asks of its set

        return init

    wrap(Queue, "__init__", forgetting)
