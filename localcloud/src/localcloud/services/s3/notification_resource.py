"""Notifications of buckets, as CloudFormation and the CDK write them.

The CDK makes them with a custom resource, ``Custom::S3BucketNotifications``, whose function calls the same API. Here
the call is made directly, and the function is not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, known, names
from localcloud.cloudformation.shapes import member_arguments

_KINDS = {
    "LambdaConfigurations": ("LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
    "QueueConfigurations": ("QueueConfigurations", "Queue", "QueueArn"),
    "TopicConfigurations": ("TopicConfigurations", "Topic", "TopicArn"),
}
"""CloudFormation's name of a kind of destination and of its ARN, and the API's names."""

_RULES = "Filter(S3Key(Rules(Name Value)))"
NOTIFICATIONS = (
    "NotificationConfiguration(EventBridgeConfiguration(EventBridgeEnabled) "
    + " ".join(f"{kind}(Event {destination} {_RULES})" for kind, (_, destination, _) in _KINDS.items())
    + ")"
)
"""What of a bucket's ``NotificationConfiguration`` is acted upon: all of it."""


def write_notifications(s3: Any, place: Place, bucket: str, value: Mapping[str, Any]) -> None:
    """Put a bucket's ``NotificationConfiguration``, spelled as CloudFormation does."""
    written: dict[str, Any] = {}
    for kind, (name, destination, arn) in _KINDS.items():
        for entry in value.get(kind, []):
            given = {"Events": [entry["Event"]], arn: entry[destination]}
            rules = ((entry.get("Filter") or {}).get("S3Key") or {}).get("Rules")
            if rules:
                given["Filter"] = {"Key": {"FilterRules": rules}}
            written.setdefault(name, []).append(given)
    bridge = value.get("EventBridgeConfiguration")
    if bridge is not None and bridge.get("EventBridgeEnabled", True) in (True, "true"):
        written["EventBridgeConfiguration"] = {}
    _put(s3, place, bucket, written)


def remove_notifications(s3: Any, bucket: str) -> None:
    """Leave a bucket without notifications."""
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})


def _put(s3: Any, place: Place, bucket: str, configuration: Mapping[str, Any]) -> None:
    member = "NotificationConfiguration"
    arguments = member_arguments(s3, "PutBucketNotificationConfiguration", member, configuration, place.where)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=arguments)


class CdkNotifications(Handler):
    """The notifications of a bucket, as the CDK's custom resource takes them."""

    type = "Custom::S3BucketNotifications"
    table = table_of(
        "BucketName NotificationConfiguration(*) Managed",
        kept={
            "ServiceToken": "the named function is not run: its API call is made directly",
            "SkipDestinationValidation": "destinations are always checked",
        },
    )
    required = names("BucketName NotificationConfiguration")
    create_only = names("BucketName")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Notifications that others of the same bucket are to be kept beside."""
        if known(properties, "Managed") in (False, "false"):
            yield Problem("Managed", "must be true: use a bucket that the app creates")

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the configuration."""
        bucket = properties["BucketName"]
        _put(place.client("s3"), place, bucket, properties["NotificationConfiguration"])
        return Made(f"{place.logical_id}-{bucket}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the new configuration over the old one."""
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Leave the bucket without notifications."""
        s3 = place.client("s3")
        ignoring(lambda: remove_notifications(s3, properties["BucketName"]), "NoSuchBucket")


HANDLERS = (CdkNotifications(),)
