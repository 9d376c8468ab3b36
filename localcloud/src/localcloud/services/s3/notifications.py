"""Notifications of buckets reach functions, queues, topics and EventBridge as S3 sends them: later, and where they may.

A destination must exist and let S3 in when it is configured, as well as when something is sent: its own policy
names s3.amazonaws.com, for this bucket. Queues and topics then get the service's test event. Deliveries are tried once.

Replaces: notifications that moto sends within the request, to whoever is named, and whose failures it keeps to itself.
Why: a function that a bucket names was never run, and nothing said so; a queue got messages that its policy refuses.
Obsolete: once moto sends them later, as s3.amazonaws.com under the destination's policy, to functions too.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from moto.events.models import events_backends
from moto.s3 import notifications
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.services.events.seam import Courier, DeliveryError, Sender, Sends

_PRINCIPAL = "s3.amazonaws.com"
_sequence = itertools.count(1)


def install(context: CloudContext) -> None:
    """Send notifications."""
    notifier = Notifier(context)

    def configured(original: Any) -> Any:
        def set_notification_configuration(self: FakeBucket, configuration: dict[str, Any] | None) -> None:
            before = self.notification_configuration
            original(self, configuration)
            problem = notifier.problem(self)
            if problem:
                self.notification_configuration = before
                raise InvalidDestinationError(problem)
            notifier.send_test(self)

        return set_notification_configuration

    wrap(FakeBucket, "set_notification_configuration", configured)
    replace(notifications, "send_event", notifier.send)
    # moto sends them before it is known whether they may be sent.
    replace(notifications, "send_test_event", lambda account_id, bucket: None)


class InvalidDestinationError(S3ClientError):
    """A destination that is not there, or does not let S3 in."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidArgument", message)


class Notifier:
    """Tells the destinations of a bucket of what happens to its objects."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._courier = Courier(context)

    def problem(self, bucket: FakeBucket) -> str | None:
        """Why a bucket's destinations can't be notified; None when they can."""
        for notification in _destinations(bucket):
            sends = Sends(self._context, self._sender(bucket), self._context.client)
            try:
                sends.require(notification.arn)
            except DeliveryError as error:
                return f"Unable to validate the following destination configurations: {notification.arn}: {error}"
        return None

    def send(self, account_id: str, event_name: Any, bucket: FakeBucket, key: Any) -> None:
        """Start the deliveries of one event. ``event_name`` is moto's, such as ``s3:ObjectCreated:Put``."""
        configuration = bucket.notification_configuration
        if configuration is None:
            return
        sender = self._sender(bucket)
        for notification in _destinations(bucket):
            if notification.matches(event_name, key.name):
                body = json.dumps(self._records(event_name, bucket, key, notification.id))
                self._courier.deliver(sender, notification.arn, partial(_deliver, notification.arn, body), body)
        if configuration.event_bridge is not None:
            self._to_event_bridge(account_id, event_name, bucket, key)

    def send_test(self, bucket: FakeBucket) -> None:
        """Tell queues and topics that they will be told."""
        configuration = bucket.notification_configuration
        if configuration is None:
            return
        event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": self._now(), "Bucket": bucket.name}
        body = json.dumps(event)
        for arn in sorted({notification.arn for notification in (*configuration.queue, *configuration.topic)}):
            self._courier.deliver(self._sender(bucket), arn, partial(_deliver, arn, body), body)

    def _now(self) -> str:
        now = self._context.clock.now()
        return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"

    def _sender(self, bucket: FakeBucket) -> Sender:
        return Sender(
            principal=_PRINCIPAL, source_arn=bucket.arn, role_arn=None, dead_letter_arn=None, buries_by_role=False
        )

    def _records(self, event_name: str, bucket: FakeBucket, key: Any, configuration: str) -> dict[str, Any]:
        stored = {"key": quote_plus(key.name, safe="/"), "size": key.size, "eTag": key.etag.strip('"')}
        if bucket.is_versioned:
            stored["versionId"] = key.version_id
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self._context.region,
            "eventTime": self._now(),
            "eventName": str(event_name.value if hasattr(event_name, "value") else event_name).removeprefix("s3:"),
            "userIdentity": {"principalId": self._context.account_id},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": uuid.uuid4().hex[:16].upper()},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": configuration,
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": {"principalId": self._context.account_id},
                    "arn": bucket.arn,
                },
                "object": {**stored, "sequencer": f"{next(_sequence):018X}"},
            },
        }
        return {"Records": [record]}

    def _to_event_bridge(self, account_id: str, event_name: Any, bucket: FakeBucket, key: Any) -> None:
        name = str(event_name.value if hasattr(event_name, "value") else event_name)
        reasons = {"Put": "PutObject", "Post": "POST Object", "Copy": "CopyObject", "Delete": "DeleteObject"}
        reason = name.rsplit(":", 1)[-1]
        detail = {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": {
                "key": key.name,
                "size": key.size,
                "etag": key.etag.strip('"'),
                "sequencer": f"{next(_sequence):018X}",
                **({"version-id": key.version_id} if bucket.is_versioned else {}),
            },
            "request-id": uuid.uuid4().hex[:16].upper(),
            "requester": self._context.account_id,
            "source-ip-address": "127.0.0.1",
            "reason": reasons.get(reason, reason),
        }
        if ":ObjectRemoved:" in name:
            detail["deletion-type"] = "Permanently Deleted"
        event: Any = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": notifications._detail_type(name),
            "source": "aws.s3",
            "account": account_id,
            "time": self._context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._context.region,
            "resources": [bucket.arn],
            "detail": detail,
        }
        bus = events_backends[account_id][self._context.region].event_buses["default"]
        for rule in list(bus.rules.values()):
            rule.send_to_targets(event)


def _destinations(bucket: FakeBucket) -> Iterator[Any]:
    configuration = bucket.notification_configuration
    if configuration is not None:
        yield from (*configuration.cloud_function, *configuration.queue, *configuration.topic)


def _deliver(arn: str, body: str, sends: Sends) -> None:
    service = arn.split(":")[2]
    if service == "lambda":
        sends.lambda_function(arn, body)
    elif service == "sqs":
        sends.sqs(arn, body)
    else:
        sends.sns(arn, body)
