"""SQS queues and their policies."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import CAPACITY, ENCRYPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, names, tag_map
from localcloud.cloudformation.shapes import document_text

_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_ATTRIBUTES = names(
    "ContentBasedDeduplication DeduplicationScope DelaySeconds FifoQueue FifoThroughputLimit "
    "KmsDataKeyReusePeriodSeconds KmsMasterKeyId MaximumMessageSize MessageRetentionPeriod "
    "ReceiveMessageWaitTimeSeconds RedriveAllowPolicy RedrivePolicy SqsManagedSseEnabled VisibilityTimeout"
)
_DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "RedrivePolicy": "",
    "RedriveAllowPolicy": "",
    "KmsMasterKeyId": "",
    "KmsDataKeyReusePeriodSeconds": "300",
}


class Queue(Handler):
    """A queue."""

    type = "AWS::SQS::Queue"
    table = table_of(
        """
        QueueName ContentBasedDeduplication DelaySeconds FifoQueue MaximumMessageSize MessageRetentionPeriod
        ReceiveMessageWaitTimeSeconds RedrivePolicy(deadLetterTargetArn maxReceiveCount) VisibilityTimeout
        """,
        kept={
            "KmsMasterKeyId KmsDataKeyReusePeriodSeconds SqsManagedSseEnabled": ENCRYPTION,
            "RedriveAllowPolicy": "there is only one account here, and all its queues may use it",
            "FifoThroughputLimit": CAPACITY,
            "Tags": TAGS,
        },
        refused={"DeduplicationScope": "duplicates are detected in the whole queue: leave it out"},
    )
    attributes = names("Arn QueueName QueueUrl")
    create_only = names("QueueName FifoQueue")
    name_property = "QueueName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the queue."""
        sqs = place.client("sqs")
        fifo = properties.get("FifoQueue") in (True, "true")
        name = properties.get("QueueName") or place.new_name(80, suffix=".fifo" if fifo else "")
        if _exists(sqs, name):
            raise place.exists_already(f"queue {name}")
        url = sqs.create_queue(
            QueueName=name, Attributes=_attributes(properties), tags=tag_map(properties.get("Tags"))
        )["QueueUrl"]
        return Made(url, {"Arn": place.arn("sqs", name), "QueueName": name, "QueueUrl": url})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Set the attributes that changed."""
        sqs = place.client("sqs")
        before, after = _attributes(old), _attributes(new)
        written = {name: value for name, value in after.items() if before.get(name) != value}
        for name in before.keys() - after.keys():
            if name not in _DEFAULTS:
                raise place.unsupported(name, "can't be removed once it is set")
            written[name] = _DEFAULTS[name]
        if written:
            sqs.set_queue_attributes(QueueUrl=made.physical_id, Attributes=written)
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                sqs.untag_queue(QueueUrl=made.physical_id, TagKeys=gone)
            if new.get("Tags"):
                sqs.tag_queue(QueueUrl=made.physical_id, Tags=tag_map(new["Tags"]))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the queue with its messages."""
        sqs = place.client("sqs")
        ignoring(lambda: sqs.delete_queue(QueueUrl=made.physical_id), *_GONE)


class QueuePolicy(Handler):
    """The policy of one or more queues."""

    type = "AWS::SQS::QueuePolicy"
    table = table_of("PolicyDocument(*) Queues")
    required = table.names

    def create(self, place: Place, properties: Properties) -> Made:
        """Set the policy of every queue."""
        self._write(place, properties["Queues"], document_text(properties["PolicyDocument"]))
        return Made(place.new_name(128))

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Set the new policy, and none on queues that are no longer named."""
        self._write(place, [url for url in old.get("Queues", []) if url not in new["Queues"]], "")
        self._write(place, new["Queues"], document_text(new["PolicyDocument"]))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Leave the queues without a policy."""
        ignoring(lambda: self._write(place, properties["Queues"], ""), *_GONE)

    def _write(self, place: Place, urls: list[str], policy: str) -> None:
        for url in urls:
            place.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def _exists(sqs: Any, name: str) -> bool:
    try:
        sqs.get_queue_url(QueueName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True


def _attributes(properties: Properties) -> dict[str, str]:
    attributes = {}
    for name in sorted(_ATTRIBUTES & set(properties)):
        value = properties[name]
        if name == "FifoQueue" and value in (False, "false"):
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        attributes[name] = document_text(value) if isinstance(value, dict) else str(value)
    return attributes


HANDLERS = (Queue(), QueuePolicy())
