"""DynamoDB: requests one at a time, and idempotent transactions.

TransactWriteItems with a ClientRequestToken is answered again, without effect, for ten minutes of the local clock; the
token with other items is refused, as the service does. Streams are refused.

Replaces: requests that change a table in several threads at once, transactions that ignore their token, and streams
    that are recorded or end in an error of moto's.
Why: updates are lost under threads, a repeated transaction takes effect twice, and who reads a stream gets nothing of
    it.
Obsolete: once moto's tables are safe under threads, it honours ClientRequestToken, and its streams are read through
    the API.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.responses import DynamoHandler

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap
from localcloud.services.dynamodb.limits import check_transaction

_NO_STREAMS = "the local cloud does not support DynamoDB streams: send an event to a queue or a bus with the write"
_TOKEN_LIFETIME = timedelta(minutes=10)


class TransactionTokens:
    """Tokens of finished transactions: when, what was asked, what was answered."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, str, str], tuple[datetime, str, Any]] = {}

    def answer(self, key: tuple[str, str, str], asked: str, now: datetime) -> Any | None:
        """The earlier answer to the same request, or None.

        Raises
        ------
        JsonRESTError
            When the token was used with another request (IdempotentParameterMismatchException).
        """
        # Kept in the order of their time, so that the old ones are in front.
        while self._done and now - next(iter(self._done.values()))[0] >= _TOKEN_LIFETIME:
            del self._done[next(iter(self._done))]
        if key not in self._done:
            return None
        _, earlier, answer = self._done[key]
        if earlier != asked:
            raise JsonRESTError(
                "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
                "The request was rejected because it was retried with the same client token but with "
                "different parameters",
            )
        return answer

    def keep(self, key: tuple[str, str, str], asked: str, answer: Any, now: datetime) -> None:
        """Remember a transaction that went through."""
        self._done[key] = (now, asked, answer)


def install(context: CloudContext) -> None:
    """Serialise DynamoDB's requests and honour ClientRequestToken."""
    lock = threading.RLock()
    tokens = TransactionTokens()

    def serialise(original: Any) -> Any:
        def call_action(self: DynamoHandler) -> Any:
            with lock:
                return original(self)

        return call_action

    def without_streams(original: Any) -> Any:
        def change_table(self: DynamoHandler) -> Any:
            if (self.body.get("StreamSpecification") or {}).get("StreamEnabled"):
                raise MockValidationException(f"StreamSpecification: {_NO_STREAMS}")
            return original(self)

        return change_table

    def idempotent(original: Any) -> Any:
        def transact_write_items(self: DynamoHandler) -> Any:
            check_transaction(self.body.get("TransactItems") or [])
            token = self.body.get("ClientRequestToken")
            if not token:
                return original(self)
            key = (self.current_account, self.region, token)
            asked = json.dumps(self.body.get("TransactItems"), sort_keys=True, default=repr)
            earlier = tokens.answer(key, asked, context.clock.now())
            if earlier is not None:
                return earlier
            answer = original(self)
            tokens.keep(key, asked, answer, context.clock.now())
            return answer

        return transact_write_items

    wrap(DynamoHandler, "call_action", serialise)
    wrap(DynamoHandler, "create_table", without_streams)
    wrap(DynamoHandler, "update_table", without_streams)
    wrap(DynamoHandler, "transact_write_items", idempotent)
