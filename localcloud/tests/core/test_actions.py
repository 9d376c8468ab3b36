"""moto's actions are looked up once for each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import responses

from localcloud.core import patching
from localcloud.core.actions import remember_actions


@pytest.fixture
def looked_up() -> Iterator[list[object]]:
    """The classes whose members were looked through."""
    classes: list[object] = []

    def noting(original: Callable[[type], list[str]]) -> Callable[[type], list[str]]:
        def method_names(clazz: type) -> list[str]:
            classes.append(clazz)
            return original(clazz)

        return method_names

    patching.wrap(responses, "method_names_from_class", noting)
    remember_actions()
    yield classes
    patching.restore()


@mock_aws
def test_requests_look_through_a_class_once(looked_up: list[object]) -> None:
    queues = boto3.client("sqs", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    for name in ("one", "two", "three"):
        queues.create_queue(QueueName=name)
    assert len(queues.list_queues()["QueueUrls"]) == 3
    topics = boto3.client("sns", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    topics.create_topic(Name="one")
    topics.create_topic(Name="two")
    assert len(looked_up) == len(set(looked_up)) == 2


@mock_aws
def test_what_moto_does_not_have_is_refused_as_before(looked_up: list[object]) -> None:
    client = boto3.client("sqs", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    for _ in range(2):
        with pytest.raises((ClientError, NotImplementedError)):
            client.start_message_move_task(SourceArn="arn:aws:sqs:us-east-1:123456789012:one")
