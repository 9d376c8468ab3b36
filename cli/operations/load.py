"""Sends requests at a rate, from many connections, and keeps when each was due and answered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from everloop.cli.account import Account, DeployedModel
from everloop.cli.exceptions import ApiRefusedError, CommandError
from everloop.cli.signed_http import SignedHttpClient
from everloop.serving.load_test import Asked, LoadFound, found_by
from everloop.typed_json import JsonObject

MOST_CONNECTIONS = 128
"""More than this many unanswered requests wait for a connection; their latency counts the wait."""


def bodies(rows: Sequence[Any], rows_per_request: int, key: str, run: str) -> Callable[[int], JsonObject]:
    """The body of each request: the given rows in turn, each under a key of its own.

    Raises
    ------
    CommandError
        Where there are no rows, or one is no object.
    """
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise CommandError("the file has no rows to send, or one is no object", 'give {"instances": [{…}, …]}')

    def body(number: int) -> JsonObject:
        first = number * rows_per_request
        chosen = (rows[(first + i) % len(rows)] for i in range(rows_per_request))
        return {"instances": [{**row, key: f"load-{run}-{first + i}"} for i, row in enumerate(chosen)]}

    return body


def unsigned(model: str) -> DeployedModel:
    """A model that an address serves without signatures, as `everloop serve` does."""
    return DeployedModel(
        model=model,
        state_machine_arn="",
        predict_function="",
        alias="",
        predictions_url="",
        labels_url="",
        predictions_stream="",
        labels_stream="",
        authorization="none",
        declaration_sha256="",
    )


def send(
    account: Account,
    model: DeployedModel,
    url: str,
    body: Callable[[int], JsonObject],
    *,
    rate: float,
    seconds: float,
) -> list[Asked]:
    """Send ``rate`` requests a second for so long, each when it is due; all that became of them."""
    count, connections = max(1, round(rate * seconds)), min(MOST_CONNECTIONS, max(1, round(rate * seconds)))
    numbers, asked, lock = itertools.count(), list[Asked](), threading.Lock()
    begun = time.perf_counter()

    def sender() -> None:
        with closing(SignedHttpClient(account, model)) as http:
            while True:
                with lock:
                    number = next(numbers)
                if number >= count:
                    return
                due = number / rate
                time.sleep(max(0.0, begun + due - time.perf_counter()))
                status = _status(http, url, body(number))
                with lock:
                    asked.append(Asked(due, time.perf_counter() - begun, status))

    senders = [threading.Thread(target=sender, daemon=True) for _ in range(connections)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    return asked


def _status(http: SignedHttpClient, url: str, body: JsonObject) -> int:
    try:
        http.post(url, body)
    except ApiRefusedError as error:
        return error.status
    except CommandError:
        return 0
    return 200


def cold_starts(account: Account, model: DeployedModel, begin: datetime, end: datetime) -> int:
    """Processes of the prediction function that were started between two instants, by its log."""
    pages = (
        account.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/aws/lambda/{model.predict_function}",
            startTime=int(begin.timestamp() * 1000),
            endTime=int(end.timestamp() * 1000) + 1000,
            filterPattern='"Init Duration"',
        )
    )
    return sum(len(page["events"]) for page in pages)


def refuse_in_a_rollout(account: Account, model: str) -> None:
    """Refuse to load a model whose rollout the guardrail judges: it would be rolled back for the load.

    Raises
    ------
    CommandError
    """
    found = next((one for one in account.registry(model).rollouts.all() if one.is_open), None)
    if found is not None:
        raise CommandError(
            f"version {found.version} of {model} is being rolled out, and its guardrail would judge the load",
            f"wait until `everloop rollout status {model}` says that it has ended",
        )


def predictions_at(url: str, model: str) -> str:
    """Where `everloop serve` takes requests for predictions."""
    return f"{url.rstrip('/')}/models/{model}/predictions"


def in_production(
    account: Account, model: str, body: Callable[[int], JsonObject], *, rate: float, seconds: float
) -> LoadFound:
    """Load the deployed model; what became of it, with the cold starts.

    Raises
    ------
    CommandError
        While a version is being rolled out.
    """
    refuse_in_a_rollout(account, model)
    deployed, begin = account.model(model), account.now()
    asked = send(account, deployed, deployed.predictions_url, body, rate=rate, seconds=seconds)
    return found_by(asked, rate, cold_starts(account, deployed, begin, account.now()))
