"""Internal extensions: threads of a function's process that work on after it has answered."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.services.lambda_.runtime.extensions import OK, ExtensionFailedError, Extensions
from localcloud.services.lambda_.runtime.pool import PoolLimits
from support.lambdas import Lambda, MakeLambda, zipped

EXTENDED = """
import http.client, json, os, queue, threading, time

PREFIX = "/2020-01-01/extension"

def call(connection, method, path, body=None, **headers):
    connection.request(method, PREFIX + path, body, headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), json.loads(answer.read() or b"null")

connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
status, headers, told = call(
    connection, "POST", "/register", json.dumps({"events": ["INVOKE"]}), **{"Lambda-Extension-Name": "after"}
)
own = {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
work, events = queue.Queue(), []

def extend():
    while True:
        status, headers, event = call(connection, "GET", "/event/next", **own)
        events.append(event)
        task = work.get()
        time.sleep(task.get("seconds", 0))
        if "file" in task:
            open(task["file"], "a").write("done\\n")
        print("extension has done")
        if "exit" in task:
            os._exit(3)
        if "fail" in task:
            call(connection, "POST", "/exit/error", **own, **{"Lambda-Extension-Function-Error-Type": task["fail"]})

threading.Thread(target=extend, daemon=True).start()

def handle(event, context):
    try:
        if "raise" in event:
            raise ValueError("as asked")
        return {"pid": os.getpid(), "told": told, "events": events, "id": context.aws_request_id}
    finally:
        work.put(event)
"""


def ask(aws: Lambda, **event: Any) -> dict[str, Any]:
    result = aws.invoke(json.dumps(event).encode())
    return dict(json.loads(result.payload))


def test_the_answer_does_not_wait_for_an_extension_and_the_next_event_does(aws: Lambda, tmp_path: Path) -> None:
    # GIVEN a function whose extension takes a while after each answer
    aws.create(EXTENDED)
    done = tmp_path / "done"
    first = ask(aws, seconds=0.3, file=str(done))
    # THEN the answer is there before the extension has done
    assert not done.exists()
    assert first["told"] == {"functionName": "f", "functionVersion": "$LATEST", "handler": "handler.handle"}
    # AND the cloud is busy until it has
    assert "lambda f" in aws.activity.snapshot()
    aws.activity.wait_until_quiet(30)
    assert done.read_text() == "done\n"
    # AND the next event finds the same process, and each was told to the extension
    second = ask(aws, file=str(done))
    aws.activity.wait_until_quiet(30)
    assert second["pid"] == first["pid"]
    told = ask(aws)["events"][:2]
    aws.activity.wait_until_quiet(30)
    assert [(event["eventType"], event["requestId"]) for event in told] == [
        ("INVOKE", first["id"]),
        ("INVOKE", second["id"]),
    ]
    assert told[0]["invokedFunctionArn"].endswith(":function:f")
    assert told[0]["deadlineMs"] > time.time() * 1000
    assert told[0]["tracing"]["type"] == "X-Amzn-Trace-Id"
    # AND its time is part of the duration, and counted beside it
    assert aws.sink.lines.count("extension has done") == 3
    slow = aws.sink.records[0]
    assert slow.extensions_ms is not None
    assert 250 < slow.extensions_ms <= slow.duration_ms


def test_an_error_is_told_at_once_too(aws: Lambda, tmp_path: Path) -> None:
    aws.create(EXTENDED)
    done = tmp_path / "done"
    assert ask(aws, **{"raise": 1, "file": str(done), "seconds": 0.2})["errorType"] == "ValueError"
    assert not done.exists()
    aws.activity.wait_until_quiet(30)
    assert done.exists()
    assert ask(aws)["pid"]


def test_a_second_event_meanwhile_starts_another_worker(lambda_: Lambda) -> None:
    lambda_.create(EXTENDED)
    assert ask(lambda_, seconds=1)["pid"] != ask(lambda_)["pid"]


def test_one_that_works_on_is_not_frozen_before_it_has_done(make_lambda: MakeLambda, tmp_path: Path) -> None:
    aws = make_lambda(limits=PoolLimits(freezes=True))
    aws.create(EXTENDED)
    done = tmp_path / "done"
    first = ask(aws, seconds=0.2, file=str(done))
    aws.activity.wait_until_quiet(30)
    assert done.exists()
    assert ask(aws)["pid"] == first["pid"]


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ({"seconds": 30}, "Task timed out after 1.00 seconds"),
        ({"exit": 1}, "Runtime.ExitError"),
        ({"fail": "Extension.Broken"}, "Extension.Broken"),
    ],
)
def test_one_that_fails_ends_the_worker_after_the_answer(lambda_: Lambda, task: dict[str, Any], line: str) -> None:
    lambda_.create(EXTENDED, Timeout=1)
    first = ask(lambda_, **task)
    lambda_.activity.wait_until_quiet(30)
    # THEN the caller was answered, the log and the count know, and the next event gets a new process
    assert any(line in written for written in lambda_.sink.lines)
    assert lambda_.sink.records[0].error
    assert ask(lambda_)["pid"] != first["pid"]


def test_a_program_of_a_layer_is_not_started(lambda_: Lambda, tmp_path: Path) -> None:
    started = tmp_path / "started"
    layer = zipped({"extensions/one": f"#!/bin/sh\ntouch {started}\n"})
    version = lambda_.service.publish_layer_version("l", {"Content": {"ZipFile": layer}})
    lambda_.create("def handle(event, context):\n    return 1\n", layers=(version.arn,))
    assert lambda_.invoke().payload == b"1"
    assert not started.exists()


class TestCalls:
    """GIVEN the extensions of one environment."""

    @pytest.fixture
    def extensions(self) -> Extensions[str]:
        return Extensions({"functionName": "f"})

    def refused(self, answer: Any) -> str:
        status, _, body = answer
        assert status == 403
        return str(json.loads(body)["errorType"])

    def register(self, extensions: Extensions[str], name: str, events: Any) -> Any:
        body = json.dumps({"events": events}).encode()
        return extensions.take("register", {"lambda-extension-name": name}, body, name)

    @pytest.mark.parametrize(
        ("headers", "body", "kind"),
        [
            ({}, b"{}", "Extension.InvalidExtensionName"),
            ({"lambda-extension-name": "a"}, b"{", "InvalidRequestFormat"),
            ({"lambda-extension-name": "a"}, b"[]", "InvalidRequestFormat"),
            ({"lambda-extension-name": "a"}, b'{"events": ["SHUTDOWN"]}', "Extension.InvalidEventType"),
            ({"lambda-extension-name": "a"}, b'{"events": ["INVOKES"]}', "Extension.InvalidEventType"),
        ],
    )
    def test_a_registration_that_aws_refuses_is_refused(
        self, extensions: Extensions[str], headers: dict[str, str], body: bytes, kind: str
    ) -> None:
        assert self.refused(extensions.take("register", headers, body, "c")) == kind

    def test_names_are_unique_ten_at_most_and_none_after_the_initialisation(self, extensions: Extensions[str]) -> None:
        assert self.register(extensions, "0", [])[0] == 200
        assert self.refused(self.register(extensions, "0", [])) == "Extension.InvalidExtensionState"
        for i in range(1, 10):
            self.register(extensions, str(i), ["INVOKE"])
        assert self.refused(self.register(extensions, "10", [])) == "Extension.TooManyExtensions"
        extensions.close_registration()
        assert self.refused(self.register(extensions, "11", [])) == "Extension.RegistrationClosed"

    @pytest.mark.parametrize(
        ("identifier", "kind"),
        [
            ("", "Extension.MissingExtensionIdentifier"),
            ("x", "Extension.InvalidExtensionIdentifier"),
            ("0" * 8 + "-0000-0000-0000-" + "0" * 12, "Extension.UnknownExtensionIdentifier"),
        ],
    )
    def test_a_call_without_a_registration_is_refused(
        self, extensions: Extensions[str], identifier: str, kind: str
    ) -> None:
        assert self.refused(extensions.take("next", {"lambda-extension-identifier": identifier}, b"", "c")) == kind

    def test_only_those_that_want_invocations_are_told(self, extensions: Extensions[str]) -> None:
        own = {}
        for name, events in (("deaf", []), ("keen", ["INVOKE"])):
            _, headers, _ = self.register(extensions, name, events)
            own[name] = {"lambda-extension-identifier": headers["Lambda-Extension-Identifier"]}
            assert not extensions.are_ready
            assert extensions.take("next", own[name], b"", name) is None
        assert extensions.are_ready
        sent: list[tuple[str, Any]] = []
        extensions.invoke(lambda connection, answer: sent.append((connection, answer)), {"requestId": "r"})
        assert [(to, json.loads(answer[2])["requestId"]) for to, answer in sent] == [("keen", "r")]
        assert not extensions.are_ready
        extensions.take("next", own["keen"], b"", "again")
        assert extensions.are_ready
        assert self.refused(extensions.take("exit_error", own["keen"], b"", "c")) == "Extension.MissingHeader"
        failed = {**own["keen"], "lambda-extension-function-error-type": "My.Error"}
        with pytest.raises(ExtensionFailedError, match=r"keen: My\.Error"):
            extensions.take("init_error", failed, b"", "c")
        assert OK[0] == 202
