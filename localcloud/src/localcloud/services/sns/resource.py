"""SNS topics, their policies and subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, known, names, tag_map
from localcloud.cloudformation.shapes import document_text
from localcloud.services.sns.deliveries import PROTOCOLS

_GONE = ("NotFound", "NotFoundException")
_TOPIC_ATTRIBUTES: frozenset[str] = names(
    "DisplayName KmsMasterKeyId FifoTopic ContentBasedDeduplication SignatureVersion TracingConfig"
)
_SUBSCRIPTION_ATTRIBUTES = names(
    "DeliveryPolicy FilterPolicy FilterPolicyScope RawMessageDelivery RedrivePolicy SubscriptionRoleArn"
)


class Topic(Handler):
    """A topic."""

    type = "AWS::SNS::Topic"
    table = table_of(
        "TopicName FifoTopic ContentBasedDeduplication Subscription(Endpoint Protocol)",
        kept={
            "DisplayName": DESCRIPTION,
            "KmsMasterKeyId": ENCRYPTION,
            "SignatureVersion": "queues and functions do not check the signature of a message",
            "TracingConfig": "traces are not written here",
            "Tags": TAGS,
        },
    )
    attributes = names("TopicArn TopicName")
    create_only = names("TopicName FifoTopic")
    name_property = "TopicName"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Subscriptions that would get nothing."""
        for index, subscription in enumerate(properties.get("Subscription") or ()):
            yield from _protocol_problems(subscription, f"Subscription[{index}].Protocol")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the topic and the subscriptions its template lists."""
        sns = place.client("sns")
        fifo = properties.get("FifoTopic") in (True, "true")
        name = properties.get("TopicName") or place.new_name(256, suffix=".fifo" if fifo else "")
        if _exists(sns, place.arn("sns", name)):
            raise place.exists_already(f"topic {name}")
        tags = [{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()]
        arn = sns.create_topic(Name=name, Attributes=_texts(properties, _TOPIC_ATTRIBUTES), Tags=tags)["TopicArn"]
        made = Made(arn, {"TopicArn": arn, "TopicName": name})
        place.begun.append(made)
        for subscription in properties.get("Subscription", []):
            sns.subscribe(TopicArn=arn, Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"])
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Set the attributes that changed."""
        sns = place.client("sns")
        if changed(old, new, "Subscription"):
            raise place.unsupported("Subscription", "can not change; use AWS::SNS::Subscription")
        before, after = _texts(old, _TOPIC_ATTRIBUTES), _texts(new, _TOPIC_ATTRIBUTES)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                sns.set_topic_attributes(
                    TopicArn=made.physical_id, AttributeName=name, AttributeValue=after.get(name, "")
                )
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                sns.untag_resource(ResourceArn=made.physical_id, TagKeys=gone)
            tags = [{"Key": key, "Value": value} for key, value in tag_map(new.get("Tags")).items()]
            if tags:
                sns.tag_resource(ResourceArn=made.physical_id, Tags=tags)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the topic with its subscriptions."""
        sns = place.client("sns")
        ignoring(lambda: sns.delete_topic(TopicArn=made.physical_id), *_GONE)


class TopicPolicy(Handler):
    """The policy of one or more topics."""

    type = "AWS::SNS::TopicPolicy"
    table = table_of("PolicyDocument(*) Topics")
    required = table.names

    def create(self, place: Place, properties: Properties) -> Made:
        """Set the policy of every topic."""
        self._write(place, properties["Topics"], document_text(properties["PolicyDocument"]))
        return Made(place.new_name(128))

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Set the new policy, and the default one on topics that are no longer named."""
        self._reset(place, [arn for arn in old.get("Topics", []) if arn not in new["Topics"]])
        self._write(place, new["Topics"], document_text(new["PolicyDocument"]))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Give the topics back the policy that every new topic has: their owner may use them."""
        ignoring(lambda: self._reset(place, properties["Topics"]), *_GONE)

    def _write(self, place: Place, arns: list[str], policy: str) -> None:
        for arn in arns:
            place.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)

    def _reset(self, place: Place, arns: list[str]) -> None:
        for arn in arns:
            statement = {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:GetTopicAttributes"],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": place.account_id}},
            }
            self._write(place, [arn], document_text({"Version": "2008-10-17", "Statement": [statement]}))


class Subscription(Handler):
    """A subscription to a topic."""

    type = "AWS::SNS::Subscription"
    table = table_of(
        "TopicArn Protocol Endpoint FilterPolicy(*) FilterPolicyScope RawMessageDelivery RedrivePolicy(*)",
        kept={
            "DeliveryPolicy": "it concerns HTTP endpoints, which are not supported here",
            "Region": "there is only one region here",
        },
        refused={"SubscriptionRoleArn": "only Firehose needs it, which is not supported here"},
    )
    attributes = names("Arn")
    required = names("TopicArn Protocol")
    create_only = names("TopicArn Protocol Endpoint")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Protocols that nothing is delivered by."""
        yield from _protocol_problems(properties, "Protocol")

    def create(self, place: Place, properties: Properties) -> Made:
        """Subscribe."""
        arn = place.client("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties["Endpoint"],
            Attributes=_texts(properties, _SUBSCRIPTION_ATTRIBUTES),
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return Made(arn, {"Arn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Set the attributes that changed."""
        before, after = _texts(old, _SUBSCRIPTION_ATTRIBUTES), _texts(new, _SUBSCRIPTION_ATTRIBUTES)
        defaults = {"RawMessageDelivery": "false", "FilterPolicyScope": "MessageAttributes"}
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                place.client("sns").set_subscription_attributes(
                    SubscriptionArn=made.physical_id,
                    AttributeName=name,
                    AttributeValue=after.get(name, defaults.get(name, "{}")),
                )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Unsubscribe."""
        sns = place.client("sns")
        ignoring(lambda: sns.unsubscribe(SubscriptionArn=made.physical_id), *_GONE)


def _protocol_problems(subscription: Properties, path: str) -> Iterator[Problem]:
    """People are not written to, as on AWS before they confirm; machines that would get nothing are refused."""
    protocol = known(subscription, "Protocol")
    if protocol is not None and protocol not in PROTOCOLS:
        yield Problem(path, f"is {protocol!r}: subscribe a queue or a function instead")


def _exists(sns: Any, arn: str) -> bool:
    try:
        sns.get_topic_attributes(TopicArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True


def _texts(properties: Properties, wanted: frozenset[str]) -> dict[str, str]:
    texts = {}
    for name in sorted(wanted & set(properties)):
        value = properties[name]
        if name == "FifoTopic" and value in (False, "false"):
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        texts[name] = document_text(value) if isinstance(value, dict) else str(value)
    return texts


HANDLERS = (Topic(), TopicPolicy(), Subscription())
