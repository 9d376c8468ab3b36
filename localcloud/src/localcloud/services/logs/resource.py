"""CloudWatch log groups and streams."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import CAPACITY, ENCRYPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, names, tag_map


class LogGroup(Handler):
    """A log group."""

    type = "AWS::Logs::LogGroup"
    table = table_of(
        "LogGroupName RetentionInDays",
        kept={"KmsKeyId": ENCRYPTION, "LogGroupClass": CAPACITY, "Tags": TAGS},
    )
    attributes = names("Arn")
    create_only = names("LogGroupName")
    name_property = "LogGroupName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the group, then set its retention."""
        logs = place.client("logs")
        name = properties.get("LogGroupName") or place.new_name(512)
        arguments: dict[str, Any] = {"logGroupName": name}
        if "KmsKeyId" in properties:
            arguments["kmsKeyId"] = properties["KmsKeyId"]
        if "LogGroupClass" in properties:
            arguments["logGroupClass"] = properties["LogGroupClass"]
        if properties.get("Tags"):
            arguments["tags"] = tag_map(properties["Tags"])
        logs.create_log_group(**arguments)
        made = Made(name, {"Arn": place.arn("logs", f"log-group:{name}:*")})
        place.begun.append(made)
        self._retain(logs, name, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change retention, key and tags."""
        logs = place.client("logs")
        if changed(old, new, "LogGroupClass"):
            raise place.unsupported("LogGroupClass", "can not change")
        if changed(old, new, "KmsKeyId"):
            if "KmsKeyId" in new:
                logs.associate_kms_key(logGroupName=made.physical_id, kmsKeyId=new["KmsKeyId"])
            else:
                logs.disassociate_kms_key(logGroupName=made.physical_id)
        self._retain(logs, made.physical_id, old, new)
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                logs.untag_log_group(logGroupName=made.physical_id, tags=gone)
            if new.get("Tags"):
                logs.tag_log_group(logGroupName=made.physical_id, tags=tag_map(new["Tags"]))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the group with its events."""
        logs = place.client("logs")
        ignoring(lambda: logs.delete_log_group(logGroupName=made.physical_id), "ResourceNotFoundException")

    def _retain(self, logs: Any, name: str, old: Properties, new: Properties) -> None:
        if not changed(old, new, "RetentionInDays"):
            return
        if "RetentionInDays" in new:
            logs.put_retention_policy(logGroupName=name, retentionInDays=int(new["RetentionInDays"]))
        else:
            logs.delete_retention_policy(logGroupName=name)


class LogStream(Handler):
    """A stream of a log group; its reference is its name."""

    type = "AWS::Logs::LogStream"
    table = table_of("LogGroupName LogStreamName")
    required = names("LogGroupName")
    create_only = names("LogGroupName LogStreamName")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the stream."""
        name = properties.get("LogStreamName") or place.new_name(512)
        place.client("logs").create_log_stream(logGroupName=properties["LogGroupName"], logStreamName=name)
        return Made(name)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing of a stream changes in place."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the stream with its events."""
        ignoring(
            lambda: place.client("logs").delete_log_stream(
                logGroupName=properties["LogGroupName"], logStreamName=made.physical_id
            ),
            "ResourceNotFoundException",
        )


HANDLERS = (LogGroup(), LogStream())
