"""What is published reaches queues and functions as SNS sends it: later, whole, and where it may.

The subscriber's own policy must let sns.amazonaws.com in, for this topic. A delivery that fails goes to the queue of
the subscription's ``RedrivePolicy``, or to the log of the local cloud; it is tried once. A FIFO topic's messages arrive
in their order. Nobody is written an e-mail or a short message, as on AWS before they confirm. Protocols of machines
that would get nothing are refused.

Replaces: deliveries within the request to whoever is named, functions' events without the message's attributes, raw
    delivery wherever the attribute is set, to ``false`` too, and HTTP endpoints that are called out on the network.
Why: a queue or function that forgot to let the topic in worked here and not on AWS, and a function that reads
    attributes, or where a message is from, the other way round.
Obsolete: once moto sends them later, as sns.amazonaws.com under the subscriber's policy, with all that AWS tells.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend, Subscription

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.services.cloudwatch.seam import MetricName, metric_store
from localcloud.services.events.seam import Courier, Sender, Sends

PROTOCOLS = frozenset({"sqs", "lambda", "email", "email-json", "sms"})
"""What may subscribe."""


def install(context: CloudContext) -> None:
    """Deliver what topics publish, and refuse subscribers that would get nothing."""
    deliveries = Deliveries(context)

    def subscribing(original: Any) -> Any:
        def subscribe(self: SNSBackend, topic_arn: str, endpoint: str, protocol: str) -> Subscription:
            if protocol not in PROTOCOLS:
                raise SNSInvalidParameter(
                    f"Invalid parameter: Protocol: the local cloud delivers nothing by {protocol}: subscribe a queue "
                    "or a function"
                )
            subscription: Subscription = original(self, topic_arn, endpoint, protocol)
            return subscription

        return subscribe

    wrap(SNSBackend, "subscribe", subscribing)
    replace(Subscription, "publish", deliveries.publish)


class Deliveries:
    """Brings each published message to one subscriber."""

    def __init__(self, context: CloudContext) -> None:
        self._metrics = metric_store(context)
        self._courier = Courier(context)
        self._in_order = Courier(context, threads=1)

    @property
    def publish(self) -> Callable[..., None]:
        """What is in moto's place, as a method of a subscription."""

        def publish(
            subscription: Subscription,
            message: str,
            message_id: str,
            subject: str | None = None,
            message_attributes: dict[str, Any] | None = None,
            group_id: str | None = None,
            deduplication_id: str | None = None,
            message_structure: str | None = None,
        ) -> None:
            matcher = subscription._filter_policy_matcher
            if matcher is not None and not matcher.matches(message_attributes, message):
                return
            if message_structure == "json":
                message = subscription._parse_message_structure(message, subscription.protocol)
            if subscription.protocol not in ("sqs", "lambda"):
                return
            notification = _notification(subscription, message, message_id, subject, message_attributes)
            if subscription.protocol == "lambda":
                send = partial(_to_function, subscription.endpoint, _event(subscription, notification))
            else:
                send = partial(
                    _to_queue, subscription, notification, _ordering(subscription, message, group_id, deduplication_id)
                )
            body = json.dumps(notification, indent=2)
            courier = self._in_order if subscription.topic.fifo_topic else self._courier
            courier.deliver(
                _sender(subscription), subscription.endpoint, partial(self._counted, subscription, send), body
            )

        return publish

    def _counted(self, subscription: Subscription, send: Callable[[Sends], None], sends: Sends) -> None:
        outcome = "NumberOfNotificationsFailed"
        try:
            send(sends)
            outcome = "NumberOfNotificationsDelivered"
        finally:
            self._metrics.put(
                MetricName.of("AWS/SNS", outcome, {"TopicName": subscription.topic.name}), 1, unit="Count"
            )


def _sender(subscription: Subscription) -> Sender:
    redrive = json.loads(subscription.attributes.get("RedrivePolicy") or "{}")
    return Sender(
        principal="sns.amazonaws.com",
        source_arn=subscription.topic_arn,
        role_arn=None,
        dead_letter_arn=redrive.get("deadLetterTargetArn"),
        buries_by_role=False,
    )


def _notification(
    subscription: Subscription,
    message: str,
    message_id: str,
    subject: str | None,
    attributes: dict[str, Any] | None,
) -> dict[str, Any]:
    told: dict[str, Any] = subscription.get_post_data(message, message_id, subject, message_attributes=attributes)
    region = subscription.topic.sns_backend.region_name
    unsubscribe = f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"
    return {**told, "UnsubscribeURL": unsubscribe}


def _event(subscription: Subscription, notification: dict[str, Any]) -> str:
    """A function's event: other names for the two URLs, and no part is left out."""
    told = {name: value for name, value in notification.items() if name not in ("SigningCertURL", "UnsubscribeURL")}
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": {
            "Subject": None,
            "MessageAttributes": {},
            **told,
            "SigningCertUrl": notification["SigningCertURL"],
            "UnsubscribeUrl": notification["UnsubscribeURL"],
        },
    }
    return json.dumps({"Records": [record]})


def _ordering(
    subscription: Subscription, message: str, group_id: str | None, deduplication_id: str | None
) -> dict[str, str]:
    if not subscription.endpoint.endswith(".fifo") or group_id is None:
        return {}
    identity = deduplication_id or hashlib.sha256(message.encode()).hexdigest()
    return {"MessageGroupId": group_id, "MessageDeduplicationId": identity}


def _to_function(arn: str, event: str, sends: Sends) -> None:
    sends.lambda_function(arn, event)


def _to_queue(subscription: Subscription, notification: dict[str, Any], ordering: dict[str, str], sends: Sends) -> None:
    if str(subscription.attributes.get("RawMessageDelivery", "")).lower() != "true":
        sends.sqs(subscription.endpoint, json.dumps(notification, indent=2), **ordering)
        return
    attributes = {name: _raw(value) for name, value in notification.get("MessageAttributes", {}).items()}
    more = {"MessageAttributes": attributes} if attributes else {}
    sends.sqs(subscription.endpoint, notification["Message"], **more, **ordering)


def _raw(attribute: dict[str, Any]) -> dict[str, Any]:
    if attribute["Type"].startswith("Binary"):
        return {"DataType": attribute["Type"], "BinaryValue": base64.b64decode(attribute["Value"])}
    return {"DataType": attribute["Type"], "StringValue": str(attribute["Value"])}
