"""What every protocol of the data plane keeps, and that a protocol of one's own is a file and its registration."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.functions.predict.handler import Environment, Predictor
from everloop.prediction_ids import prediction_id
from everloop.serving.exceptions import RequestError, UnknownRouteError
from everloop.serving.exchange import HttpRequest
from everloop.serving.protocols import PROTOCOLS, DataPlaneProtocol, Question, ServedModel, protocol_at
from everloop.serving.request import RequestParser
from everloop.serving.scores import Bounds, Scores
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row, small_contract
from tests.helpers.http_events import http_event
from tests.helpers.seams import add

CONTRACT = small_contract()
PARSER = RequestParser(CONTRACT)
ROWS = [row("t1"), row("t2", line="south", distance=0, wind=None, operator="zz")]
SERVED = ServedModel(7, PARSER)


@dataclass(frozen=True)
class Form:
    """How a protocol is asked for predictions: at which path below its own address, and with which body."""

    body: Callable[[list[dict[str, Any]]], bytes]
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, body: bytes) -> HttpRequest:
        return HttpRequest(path=self.path, headers=self.headers, body=body)


def in_json(document: Callable[[list[dict[str, Any]]], Any]) -> Callable[[list[dict[str, Any]]], bytes]:
    return lambda rows: json.dumps(document(rows)).encode()


def native(rows: list[dict[str, Any]]) -> Any:
    return {"instances": rows}


INFER = f"models/{MODEL}/infer"


def tensors(rows: list[dict[str, Any]]) -> Any:
    return {"inputs": [tensor(name, [r[name] for r in rows]) for name in row("t0")]}


def tensor(name: str, values: list[Any]) -> dict[str, Any]:
    datatype = "FP64" if name in PARSER.numbers else "BYTES"
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def in_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


def in_csv(rows: list[dict[str, Any]]) -> bytes:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(row("t0")))
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def without_names(rows: list[dict[str, Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([r[name] for name in PARSER.fields] for r in rows)
    return written.getvalue().encode()


def split(rows: list[dict[str, Any]]) -> Any:
    return {"dataframe_split": {"columns": list(row("t0")), "data": [list(r.values()) for r in rows]}}


def columns_of(rows: list[dict[str, Any]]) -> Any:
    return {"inputs": {name: [r[name] for r in rows] for name in row("t0")}}


def features(rows: list[dict[str, Any]]) -> Any:
    return {"instances": [{"features": [r[name] for name in PARSER.fields]} for r in rows]}


def invoked(body: Callable[[list[dict[str, Any]]], bytes], content_type: str = "application/json") -> Form:
    return Form(body, "invocations", {"content-type": content_type})


FORMS = {
    "predictions": [Form(in_json(native))],
    "v2": [Form(in_json(tensors), INFER)],
    "mlflow": [
        *(invoked(in_json(form)) for form in (split, columns_of, native)),
        invoked(in_json(lambda rows: {"dataframe_records": rows})),
        invoked(in_csv, "text/csv"),
    ],
    "sagemaker": [
        *(invoked(in_json(form)) for form in (native, features)),
        invoked(in_lines, "application/jsonlines"),
        invoked(in_csv, "text/csv"),
        invoked(without_names, "text/csv; charset=utf-8"),
    ],
}
"""The forms of each protocol."""


def asked(protocol: DataPlaneProtocol, form: Form, body: bytes, served: ServedModel = SERVED) -> Question:
    request = form.request(body)
    assert protocol.predicts(request, MODEL)
    return protocol.question(request, body, served)


def asks_about_the_rows(protocol: DataPlaneProtocol, form: Form) -> None:
    read = PARSER.rows(asked(protocol, form, form.body(ROWS)).instances)
    direct = PARSER.rows(ROWS)
    assert read.keys == direct.keys
    assert np.array_equal(read.num, direct.num, equal_nan=True)
    assert read.cat.tolist() == direct.cat.tolist()
    assert read.unseen == direct.unseen


def refuses_none_and_too_many(protocol: DataPlaneProtocol, form: Form) -> None:
    for rows, code in (
        ([], "no_instances"),
        ([row(str(i)) for i in range(CONTRACT.max_rows + 1)], "too_many_instances"),
    ):
        with pytest.raises(RequestError) as refused:
            asked(protocol, form, form.body(rows))
        assert refused.value.code == code


def refuses_what_is_no_request(protocol: DataPlaneProtocol, form: Form) -> None:
    for wrong in (b"", b"\xff", b"[", b"null", b"[]", b'"x"', b"{}", b'{"nothing": 1}'):
        with pytest.raises(RequestError):
            # Where a line of text is a row, the row contract refuses it.
            PARSER.rows(asked(protocol, form, wrong).instances)


def answers_each_row_in_order(protocol: DataPlaneProtocol, form: Form) -> None:
    for contract in (CONTRACT, replace(CONTRACT, problem_type="regression")):
        question = asked(protocol, form, form.body(ROWS), ServedModel(7, RequestParser(contract)))
        scores = Scores(np.array([0.125, 0.875]), np.array([0.25, 0.75]), "c0ffee" * 10)
        text = question.answer(scores, request_id="req-1").body.decode()
        places = [text.index(prediction_id("req-1", i)) for i in range(2)]
        assert places == sorted(places)
        assert all(score in text for score in ("0.25", "0.75", "0.125", "0.875", "7"))
        assert str(scores.calibration) in text
        assert "0.96" not in text


def answers_between_what_the_outcome_is_expected(protocol: DataPlaneProtocol, form: Form) -> None:
    bounds = Bounds(0.96, np.array([-1.5, 2.5]), np.array([3.5, 4.5]))
    scores = Scores(np.array([0.125, 3.875]), np.array([0.25, 3.75]), None, bounds)
    contract = replace(CONTRACT, problem_type="regression")
    question = asked(protocol, form, form.body(ROWS), ServedModel(7, RequestParser(contract)))
    text = question.answer(scores, request_id="req-1").body.decode()
    assert all(number in text for number in ("-1.5", "2.5", "3.5", "4.5", "0.96"))


def says_what_is_wrong(protocol: DataPlaneProtocol, form: Form) -> None:
    text = protocol.refusal("too_long", "the name is too long", field="operator", index=3).body.decode()
    assert "too_long" in text
    assert "the name is too long" in text
    assert "operator" in text
    assert "3" in text
    assert protocol.refusal("no_champion", "nothing serves").body


def knows_its_own_paths_and_methods_and_no_others(protocol: DataPlaneProtocol, form: Form) -> None:
    request = form.request(b"")
    for changed, code in (
        (request._replace(path="no/such/page"), "unknown_path"),
        (request._replace(method="DELETE"), "method_not_allowed"),
    ):
        with pytest.raises(RequestError) as refused:
            protocol.predicts(changed, MODEL)
        assert refused.value.code == code


CLAUSES = [
    asks_about_the_rows,
    refuses_none_and_too_many,
    refuses_what_is_no_request,
    answers_each_row_in_order,
    answers_between_what_the_outcome_is_expected,
    says_what_is_wrong,
    knows_its_own_paths_and_methods_and_no_others,
]
EACH_FORM = pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name in PROTOCOLS.names for form in FORMS[name]]
)


@EACH_FORM
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_keeps_the_contract(name: str, form: Form, clause: Callable[[DataPlaneProtocol, Form], None]) -> None:
    clause(PROTOCOLS.load(name), form)


@pytest.mark.slow
@EACH_FORM
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_refusal(name: str, form: Form, body: bytes) -> None:
    try:
        instances = asked(PROTOCOLS.load(name), form, body).instances
    except RequestError:
        return
    assert 0 < len(instances) <= CONTRACT.max_rows


@EACH_FORM
@given(st.text(max_size=40))
def test_any_path_is_one_of_its_own_or_refused(name: str, form: Form, path: str) -> None:
    with contextlib.suppress(RequestError):
        PROTOCOLS.load(name).predicts(form.request(b"")._replace(path=path), MODEL)


def test_a_path_belongs_to_the_protocol_of_its_first_part_and_else_to_the_native_one() -> None:
    assert protocol_at("predictions") == ("predictions", "")
    assert protocol_at("/predictions/x/y/") == ("predictions", "x/y")
    assert protocol_at("elsewhere/x") == ("predictions", "elsewhere/x")
    assert "labels" not in PROTOCOLS.names, "their route is the labels function's"


COLUMNS = """
from dataclasses import dataclass

from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import json_reply
from everloop.serving.protocols import refuse_method
from everloop.serving.request import parse_json
from everloop.serving.response import about_scores, outputs


@dataclass
class Question:
    instances: list
    served: object

    def answer(self, scores, *, request_id):
        columns = outputs(self.served.contract, scores, request_id)
        return json_reply({"version": self.served.version, **about_scores(scores), "columns": columns})


class Columns:
    media_types = ("application/json",)

    def predicts(self, request, model):
        if request.path == "about" and request.method == "GET":
            return False
        if request.path:
            raise RequestError("unknown_path", f"there is no {request.path}")
        refuse_method(request, "POST")
        return True

    def question(self, request, body, served):
        columns = parse_json(body)
        if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
            raise RequestError("wrong_type", "send an object of columns")
        lengths = {len(values) for values in columns.values()}
        if lengths in (set(), {0}):
            raise RequestError("no_instances", "there are no rows")
        if len(lengths) > 1:
            raise RequestError("wrong_type", "the columns differ in length")
        (rows,) = lengths
        if rows > served.contract.max_rows:
            raise RequestError("too_many_instances", f"{rows} rows")
        return Question([{name: values[i] for name, values in columns.items()} for i in range(rows)], served)

    def page(self, request, load):
        return json_reply({"version": load().version})

    def refusal(self, code, message, *, field=None, index=None):
        return json_reply({"problem": f"{code}: {message}", "at": [index, field]})


PROTOCOL = Columns()
"""


def in_columns(rows: list[dict[str, Any]]) -> Any:
    return {name: [r[name] for r in rows] for name in row("t0")}


def test_one_is_added_by_its_file_and_its_registration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN a protocol of one's own, which keeps the contract
    add(monkeypatch, tmp_path, PROTOCOLS, "columns", COLUMNS)
    for clause in CLAUSES:
        clause(PROTOCOLS.load("columns"), Form(in_json(in_columns)))
    # WHEN the function that answers is asked by it, and by the product's own
    stored, stream = StoredArtifact(), FakeFirehose()
    variables = {
        "EVERLOOP_MODEL": MODEL,
        "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
        "EVERLOOP_PREDICTIONS_STREAM": "predictions",
        "EVERLOOP_VERSION": "7",
        "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
        "EVERLOOP_MANIFEST_SHA256": stored.manifest_sha256,
    }
    predictor = Predictor(Environment.read(variables), s3_client=FakeS3(stored.objects), firehose_client=stream)

    def asked(path: str, document: Any, **options: Any) -> tuple[int, Any]:
        answer = predictor.handle(http_event(document, path=path, **options), "4")
        return answer["statusCode"], json.loads(answer["body"])

    base = f"/models/{MODEL}"
    status, own = asked(f"{base}/predictions", native(ROWS))
    captured = [{**record, "latency_ms": 0} for record in stream.taken]
    stream.taken.clear()
    # THEN both answer with the same scores, each in its words, and the lake gets the same
    assert (status, asked(base, in_columns(ROWS), proxy="columns")) == (
        200,
        (
            200,
            {
                "version": 7,
                "calibration": None,
                "columns": {name: [p[name] for p in own["predictions"]] for name in own["predictions"][0]},
            },
        ),
    )
    assert [{**record, "latency_ms": 0} for record in stream.taken] == captured
    # AND a page of its own tells about the version
    assert asked(base, "", proxy="columns/about", method="GET") == (200, {"version": 7})
    # AND a wrong value is refused in its words, with the same status
    wrong = in_columns([row("t1", line="south"), row("t2", distance="far")])
    status, said = asked(base, wrong, proxy="columns")
    assert (status, said["at"]) == (400, [1, "distance"])
    assert said["problem"].startswith("wrong_type: ")
    # AND what no protocol has, the product's own refuses, with the names of what there is
    status, said = asked(base, native(ROWS), proxy="elsewhere")
    assert (status, said["error"]["code"]) == (404, "unknown_path")
    assert all(name in said["error"]["message"] for name in ("elsewhere", *PROTOCOLS.names))
    with pytest.raises(UnknownRouteError, match="POST /elsewhere"):
        asked("/elsewhere", native(ROWS))
