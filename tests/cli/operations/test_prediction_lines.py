"""A long file's rows are answered line by line, by the function that serves them; no more than a request is held."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from everloop.cli.exceptions import ApiRefusedError, CommandError
from everloop.cli.main import everloop
from everloop.cli.operations.prediction_lines import MOST_ROWS, LinesAnswered, lines_of, predict_lines
from everloop.functions.predict.handler import Environment, Predictor
from everloop.model_file.sizes import MAX_BODY_BYTES
from tests.cli.test_serve import folder, server
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row, small_contract
from tests.helpers.http_events import http_event
from tests.helpers.server import Server

__all__ = ["folder", "server"]

PATH = f"/models/{MODEL}/predictions"
DEPLOYED: Any = SimpleNamespace(model=MODEL, predictions_url=PATH)
MOST = small_contract().max_rows


class Function:
    """The prediction function, asked as over HTTP; what each request had is kept."""

    def __init__(self, *, busy: int = 0, retry_after: float | None = None) -> None:
        stored = StoredArtifact()
        environment = Environment.read(
            {
                "EVERLOOP_MODEL": MODEL,
                "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
                "EVERLOOP_PREDICTIONS_STREAM": "predictions",
                "EVERLOOP_VERSION": "7",
                "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
                "EVERLOOP_MANIFEST_SHA256": stored.manifest_sha256,
            }
        )
        self.stream = FakeFirehose()
        self._predictor = Predictor(environment, s3_client=FakeS3(stored.objects), firehose_client=self.stream)
        self._busy, self._retry_after, self.rows = busy, retry_after, list[int]()

    def post(self, url: str, body: Any) -> Any:
        if self._busy:
            self._busy -= 1
            status = 429 if self._retry_after is None else 503
            raise ApiRefusedError(status, {"message": "Too Many Requests"}, "later", retry_after=self._retry_after)
        self.rows.append(len(body["instances"]))
        event = http_event(body, path=PATH, request_id=f"req-{len(self.rows)}")
        answer = self._predictor.handle(event, "4")
        document = json.loads(answer["body"])
        if answer["statusCode"] >= 400:
            raise ApiRefusedError(answer["statusCode"], document, "mend it")
        return document


def text_of(*rows: Any) -> bytes:
    return "".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in rows).encode()


def answered(
    file: bytes, function: Function | None = None, **more: Any
) -> tuple[LinesAnswered, list[dict[str, Any]], Function]:
    function, written = function or Function(), list[str]()
    found = predict_lines(function, DEPLOYED, io.BytesIO(file), written.append, sleep=lambda _: None, **more)
    return found, [json.loads(line) for line in "".join(written).splitlines()], function


def test_each_row_is_answered_in_its_place_by_as_many_requests_as_it_takes() -> None:
    rows = [row(f"t{i}", line="north" if i % 3 else "south") for i in range(2 * MOST + 7)]
    found, written, function = answered(text_of(*rows))
    assert (found.answered, found.refused, found.versions) == (len(rows), 0, [7])
    assert [one["prediction"] for one in written] == [int(bool(i % 3)) for i in range(len(rows))]
    assert {one["version"] for one in written} == {7}
    assert [taken["key"] for taken in function.stream.taken] == [one["train_id"] for one in rows]
    assert function.rows == [MOST, MOST, 7]


def test_a_model_that_takes_fewer_than_was_thought_gets_fewer() -> None:
    found, written, function = answered(text_of(*[row(f"t{i}") for i in range(500)]), most_rows=250)
    assert found.answered == len(written) == 500
    # The first size that is taken is kept.
    assert function.rows[:3] == [250, 125, 62]
    assert max(function.rows[2:]) == 62


def test_rows_that_are_wrong_are_told_in_their_places_where_the_good_ones_are_asked_for() -> None:
    wrong = row("t2", distance="far")
    file = text_of(row("t1"), wrong, "\n", "{no json\n", "[1]\n", row("t3"))
    found, written, _ = answered(file, good_rows=True)
    assert (found.answered, found.refused) == (2, 3)
    assert [one.get("error", {}).get("code") for one in written] == [
        None,
        "wrong_type",
        "malformed_json",
        "malformed_json",
        None,
    ]
    assert [one["error"]["index"] for one in written if "error" in one] == [1, 2, 3]
    assert written[1]["error"]["field"] == "distance"


def test_a_file_without_one_good_row_is_told_row_by_row() -> None:
    found, written, _ = answered(text_of(*[row(f"t{i}", distance="far") for i in range(9)]), good_rows=True)
    assert (found.answered, found.refused) == (0, 9)
    assert {(one["error"]["code"], one["error"]["field"]) for one in written} == {("wrong_type", "distance")}
    assert [one["error"]["index"] for one in written] == list(range(9))


def test_without_that_it_stops_at_the_line_and_says_what_stands_before_it() -> None:
    rows = [row(f"t{i}") for i in range(MOST + 20)]
    rows[MOST + 5]["distance"] = "far"
    with pytest.raises(CommandError) as raised:
        answered(text_of(*rows))
    assert f"line {MOST + 6}: the API answered 400: 'distance' is a string" in raised.value.message
    assert "up to line" in raised.value.message
    assert "--good-rows" in raised.value.remedy
    with pytest.raises(CommandError, match=r"line 1: it is not JSON in UTF-8.*nothing was answered"):
        answered(b"\xff\n")


def test_what_is_right_before_a_line_that_is_no_row_is_answered() -> None:
    written: list[str] = []
    with pytest.raises(
        CommandError, match=r"line 3: it is no object.*the answers to 2 rows, up to line 2, are written"
    ):
        predict_lines(Function(), DEPLOYED, io.BytesIO(text_of(row("t1"), row("t2"), "7\n")), written.append)
    assert len(written) == 2


def test_what_is_shed_is_asked_again() -> None:
    found, _, _ = answered(text_of(row("t1")), Function(busy=3))
    assert found.answered == 1
    with pytest.raises(CommandError, match="429"):
        answered(text_of(row("t1")), Function(busy=10**6))


def test_it_comes_back_no_sooner_than_it_is_told() -> None:
    waits, written = list[float](), list[str]()
    busy = Function(busy=2, retry_after=3.0)
    found = predict_lines(busy, DEPLOYED, io.BytesIO(text_of(row("t1"))), written.append, sleep=waits.append)
    assert (found.answered, waits) == (1, [3.0, 3.0])


def test_no_more_than_a_requests_rows_are_read_before_they_are_answered() -> None:
    """GIVEN a file that says how far it was read, THEN each request's answers are written before the next rows."""
    ahead, read, written = list[int](), 0, list[str]()

    class Counted(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> bytes:
            nonlocal read
            ahead.append(read - len(written))
            read += 1
            return text_of(row(f"t{read}")) if read <= 5000 else b""

    found = predict_lines(Function(), DEPLOYED, cast("Any", Counted()), written.append)
    assert found.answered == 5000
    assert max(ahead) <= MOST_ROWS + 1


def test_a_line_without_end_is_read_no_further_than_a_request_may_be() -> None:
    long = b'"' + b"x" * (3 * MAX_BODY_BYTES) + b'"\n'
    lines: Iterator[Any] = lines_of(io.BytesIO(long + text_of(row("t1"))))
    first, second = lines
    assert "longer than a request may be" in first.wrong
    assert (second.number, second.wrong, second.row["train_id"]) == (2, "", "t1")


def test_rows_as_large_as_a_request_have_one_each() -> None:
    large = [{**row(f"t{i}"), "note": "x" * (MAX_BODY_BYTES // 2)} for i in range(4)]
    found, written, function = answered(text_of(*large), good_rows=True)
    assert (found.refused, [one["error"]["code"] for one in written]) == (4, ["unknown_feature"] * 4)
    assert set(function.rows) == {1}


def test_the_command_writes_them_to_a_new_file(server: Server, tmp_path: Path) -> None:
    rows, answers = tmp_path / "rows.jsonl", tmp_path / "answers.jsonl"
    rows.write_bytes(b"\xef\xbb\xbf" + text_of(*[row(f"t{i}") for i in range(1200)], row("last", distance=-1)))
    typed = ["predict", MODEL, str(rows), "--url", server.url, "--output", str(answers)]
    found = CliRunner().invoke(everloop, [*typed, "--good-rows"])
    assert found.exit_code == 0, found.output
    assert "1,200 rows answered by version" in found.output
    assert "1 refused" in found.output
    written = [json.loads(line) for line in answers.read_text().splitlines()]
    assert (len(written), written[-1]["error"]["index"]) == (1201, 1200)
    again = CliRunner().invoke(everloop, typed)
    assert "is there already" in str(again.exception)
    answers.unlink()
    lines = CliRunner().invoke(everloop, ["predict", MODEL, str(rows), "--url", server.url])
    assert "line 1201: " in str(lines.exception)
    assert len(lines.stdout.splitlines()) >= 1000


def test_what_the_command_can_not_do_is_said(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(text_of(row("t1")))
    typed = ["predict", MODEL, str(rows), "--url", "http://127.0.0.1:1"]
    found = CliRunner().invoke(everloop, [*typed, "--json"])
    assert (found.exit_code, "--output" in found.output) == (2, True)
    document = tmp_path / "rows.json"
    document.write_bytes(text_of(row("t1")))
    found = CliRunner().invoke(everloop, ["predict", MODEL, str(document), "--url", typed[-1], "--output", "x"])
    assert (found.exit_code, "--lines" in found.output) == (2, True)
