"""Bring captured rows into the lake that the stream did not take, or that a server of one's own kept in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import DeployedModel
from everloop.cli.exceptions import CommandError, RefusedDataError
from everloop.numbers_of import number_of
from everloop.serving.capture import CAPTURE_FALLBACK, CaptureWriter, Record
from everloop.serving.recapture import is_row, logged_row, send_again


@dataclass(frozen=True)
class Recaptured:
    """What became of the rows."""

    source: str
    rows: int


def rows_of_log(logs_client: Any, group: str, since: datetime) -> Iterator[Record]:
    """The rows in a prediction function's log, from ``since`` on.

    Raises
    ------
    CommandError
        There is no such log.
    """
    pages = logs_client.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{CAPTURE_FALLBACK}"', startTime=int(since.timestamp() * 1000)
    )
    try:
        for page in pages:
            for event in page["events"]:
                record = logged_row(event["message"])
                if record is not None:
                    yield record
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise CommandError(f"there is no log {group}", "deploy the model first") from error


def rows_of_file(file: Path) -> Iterator[Record]:
    """The rows in a file of `everloop serve --capture`, a JSON line each; the whole file is looked at first.

    Raises
    ------
    RefusedDataError
        Naming the first line that is no captured row; one that was cut off as its process was killed is such.
    """
    for _ in _read(file):
        pass
    yield from _read(file)


def _read(file: Path) -> Iterator[Record]:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not is_row(record):
                raise RefusedDataError(
                    f"{file}, line {number}: {line[:60]!r} is no captured row",
                    "nothing was sent: take the line out",
                )
            yield record


def recapture(firehose_client: Any, model: DeployedModel, records: Iterable[Record], source: str) -> Recaptured:
    """Send rows to the model's stream.

    Raises
    ------
    CommandError
        The stream did not take them all.
    """
    writer = CaptureWriter(firehose_client, model.predictions_stream)
    sent, lost, reason = 0, 0, ""
    for count, failures in send_again(records, writer):
        sent, lost = sent + count, lost + len(failures)
        reason = failures[0].reason if failures else reason
    if lost:
        raise CommandError(
            f"{lost} of {number_of(sent, 'row')} were not taken by {model.predictions_stream}: {reason}",
            "type the same again: a row that has arrived before counts once",
        )
    return Recaptured(source, sent)
