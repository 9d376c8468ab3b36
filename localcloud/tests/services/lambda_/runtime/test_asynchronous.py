"""Asynchronous invocation: tries again on the local clock, then gives up where it was told to."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from localcloud.services.lambda_.runtime.exceptions import RequestTooLargeError
from support.lambdas import START, Lambda

FAILING = "def handle(event, context):\n    print('attempt', context.aws_request_id)\n    raise ValueError('no')\n"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


def attempts(aws: Lambda) -> int:
    return sum(line.startswith("attempt") for line in aws.sink.lines)


def test_a_failed_event_is_tried_twice_more_after_one_and_two_minutes(lambda_: Lambda) -> None:
    # GIVEN a function that always fails, with a dead-letter queue
    lambda_.create(FAILING, DeadLetterConfig={"TargetArn": QUEUE})

    # WHEN an event is accepted and the clock moves
    request_id = lambda_.service.asynchronous.accept("f", None, b'{"n": 1}')
    seen = []
    for seconds in (0, 59, 60, 179, 180):
        lambda_.clock.advance(START + timedelta(seconds=seconds))
        lambda_.activity.wait_until_quiet(30)
        seen.append((seconds, attempts(lambda_), len(lambda_.delivered)))

    # THEN it was tried at once, after a minute and two minutes later, and then sent to the queue
    assert seen == [(0, 1, 0), (59, 1, 0), (60, 2, 0), (179, 2, 0), (180, 3, 1)]
    assert lambda_.delivered == [(QUEUE, '{"n": 1}')]
    assert sum(request_id in line for line in lambda_.sink.lines if line.startswith("attempt")) == 3


def test_an_event_holds_an_activity_token_from_when_it_is_accepted(lambda_: Lambda) -> None:
    lambda_.create("import time\ndef handle(event, context):\n    time.sleep(0.2)\n")

    lambda_.service.asynchronous.accept("f", None, b"{}")

    assert lambda_.activity.snapshot()
    lambda_.activity.wait_until_quiet(30)
    assert [record.error for record in lambda_.sink.records] == [False]


@pytest.mark.parametrize(("configured", "invoked"), [(None, None), ("$LATEST", None), (None, "$LATEST")])
def test_destinations_get_a_record_of_the_end(lambda_: Lambda, configured: str | None, invoked: str | None) -> None:
    lambda_.create(FAILING)
    lambda_.service.policies.put_event_config(
        "f",
        configured,
        {
            "MaximumRetryAttempts": 0,
            "DestinationConfig": {"OnFailure": {"Destination": QUEUE}, "OnSuccess": {"Destination": "arn:x"}},
        },
        merge=False,
    )

    lambda_.service.asynchronous.accept("f", invoked, b'{"n": 1}')
    lambda_.activity.wait_until_quiet(30)

    (target, body), *rest = lambda_.delivered
    record = json.loads(body)
    assert (target, rest) == (QUEUE, [])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert record["responseContext"]["functionError"] == "Unhandled"


def test_an_event_that_grew_too_old_is_not_tried_again(lambda_: Lambda) -> None:
    lambda_.create(FAILING)
    lambda_.service.policies.put_event_config("f", None, {"MaximumEventAgeInSeconds": 60}, merge=False)

    lambda_.service.asynchronous.accept("f", None, b"{}")
    lambda_.activity.wait_until_quiet(30)
    lambda_.clock.advance(START + timedelta(hours=1))

    assert attempts(lambda_) == 2


def test_a_throttled_event_waits_and_then_runs(lambda_: Lambda) -> None:
    # GIVEN a function that may not run at all
    lambda_.create("def handle(event, context):\n    return 1\n")
    lambda_.service.store.set_reserved_concurrency("f", 0)
    lambda_.service.asynchronous.accept("f", None, b"{}")
    lambda_.activity.wait_until_quiet(30)

    # WHEN it may
    lambda_.service.store.set_reserved_concurrency("f", None)
    lambda_.clock.advance(START + timedelta(minutes=1))
    lambda_.activity.wait_until_quiet(30)

    # THEN the event was not lost
    assert [(record.throttled, record.error) for record in lambda_.sink.records] == [(True, False), (False, False)]


def test_an_event_over_one_megabyte_is_refused(lambda_: Lambda) -> None:
    lambda_.create(FAILING)

    with pytest.raises(RequestTooLargeError):
        lambda_.service.asynchronous.accept("f", None, b'"' + b"x" * 1_048_576 + b'"')
