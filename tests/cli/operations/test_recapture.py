"""Rows that the stream did not take come from the log, and those of a server of one's own from its file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everloop.cli.account import DeployedModel
from everloop.cli.exceptions import CommandError, RefusedDataError
from everloop.cli.operations.recapture import recapture, rows_of_file, rows_of_log
from everloop.instants import from_epoch_ms
from everloop.lake_tables import PREDICTIONS
from everloop.log_lines import log_line
from everloop.serving.recapture import logged_row
from tests.fakes.delivery_stream import FakeFirehose

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = DeployedModel("m", "", "everloop-m-predict", "", "", "", "everloop-m-predictions", "", "iam", "")


def row(name: str) -> dict[str, Any]:
    return {**dict.fromkeys(PREDICTIONS.own_names), "prediction_id": name, "wind": 1.0}


def logged(record: Any, message: str = "capture_fallback") -> str:
    return log_line("ERROR", "predict", message, {"reason": "busy", "record": record}, from_epoch_ms(7))


class FakeLogs:
    """CloudWatch Logs, with the events of one group in pages."""

    def __init__(self, *pages: list[str]) -> None:
        self.pages, self.asked = pages, dict[str, Any]()

    def get_paginator(self, name: str) -> FakeLogs:
        assert name == "filter_log_events"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked = asked
        if asked["logGroupName"] != "group":
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, "FilterLogEvents")
        yield from ({"events": [{"message": message} for message in page]} for page in self.pages)


def test_rows_of_the_log_are_sent() -> None:
    others = ["START", "{", "[]", logged(row("x"), "no_score"), logged(None), logged({"prediction_id": "y"})]
    logs = FakeLogs([logged(row("a")), *others], [], [logged(row("b")) + "\n"])
    stream = FakeFirehose()
    result = recapture(stream, MODEL, rows_of_log(logs, "group", SINCE), "group")
    assert (result.source, result.rows) == ("group", 2)
    assert stream.taken == [row("a"), row("b")]
    assert logs.asked["startTime"] == 1767225600000


def test_a_log_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="there is no log other"):
        list(rows_of_log(FakeLogs(), "other", SINCE))


def test_what_is_not_taken_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row(f"r{i}")) + "\n" for i in range(501)))
    stream = FakeFirehose()
    stream.refusals = [set(), {0}, {0}, {0}]
    with pytest.raises(CommandError, match="1 of 501 rows were not taken by everloop-m-predictions: ServiceUnavail"):
        recapture(stream, MODEL, rows_of_file(file), "f")
    assert len(stream.taken) == 500


@pytest.mark.parametrize("line", ['{"prediction_id": "a"}', "x", "[]", '{"prediction_id": "a', ""])
def test_a_file_with_another_line_is_refused_whole(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{json.dumps(row('a'))}\n{line}\n")
    stream = FakeFirehose()
    with pytest.raises(RefusedDataError, match="line 2"):
        recapture(stream, MODEL, rows_of_file(file), "f")
    assert stream.calls == []


def test_a_row_comes_out_of_the_log_as_it_went_in() -> None:
    record = {**row("a"), "operator": "ž\u2028\"'", "wind": 0.1}
    assert logged_row(logged(record)) == record
