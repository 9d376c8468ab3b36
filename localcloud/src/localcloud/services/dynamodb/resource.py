"""DynamoDB tables, also the global ones when all of their replicas are in this region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import CAPACITY, ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import (
    Handler,
    Place,
    Properties,
    changed,
    ignoring,
    known,
    names,
    tag_map,
    without,
)
from localcloud.cloudformation.shapes import call_arguments

_AFTERWARDS = (
    "ContributorInsightsSpecification",
    "PointInTimeRecoverySpecification",
    "TimeToLiveSpecification",
    "Tags",
)


_ACTS = """
    TableName KeySchema(AttributeName KeyType) AttributeDefinitions(AttributeName AttributeType)
    GlobalSecondaryIndexes(
        IndexName KeySchema(AttributeName KeyType) Projection(ProjectionType NonKeyAttributes)
    )
    LocalSecondaryIndexes(
        IndexName KeySchema(AttributeName KeyType) Projection(ProjectionType NonKeyAttributes)
    )
"""
_RECOVERY = "nothing is kept when the local cloud ends, so there is nothing to restore"
_INSIGHTS = "Contributor Insights is not computed here"
_KEPT = {
    "BillingMode": CAPACITY,
    "SSESpecification": ENCRYPTION,
    "TimeToLiveSpecification": (
        "DynamoDB guarantees no deletion time either: expired items can be read until they are deleted"
    ),
}
_NO_STREAMS = "streams are not supported here: send an event to a queue or a bus with the write"


class Table(Handler):
    """A table."""

    type = "AWS::DynamoDB::Table"
    table = table_of(
        _ACTS + "DeletionProtectionEnabled",
        kept={
            **_KEPT,
            "ProvisionedThroughput OnDemandThroughput TableClass": CAPACITY,
            "GlobalSecondaryIndexes.ProvisionedThroughput GlobalSecondaryIndexes.OnDemandThroughput": CAPACITY,
            "PointInTimeRecoverySpecification": _RECOVERY,
            "ContributorInsightsSpecification": _INSIGHTS,
            "Tags": TAGS,
        },
        refused={
            "StreamSpecification KinesisStreamSpecification": _NO_STREAMS,
            "ImportSourceSpecification": "import the items with BatchWriteItem after the deployment",
            "ResourcePolicy": "name the table in the policies of the roles",
        },
    )
    attributes = names("Arn")
    required = names("KeySchema")
    create_only = names("TableName KeySchema LocalSecondaryIndexes")
    name_property = "TableName"

    def as_table(self, place: Place, properties: Properties) -> Properties:
        """The properties as those of a table."""
        return properties

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the table, then what only an existing table can be given."""
        dynamodb = place.client("dynamodb")
        table = self.as_table(place, properties)
        given = {"BillingMode": "PROVISIONED", **_spelled(without(table, *_AFTERWARDS))}
        given.setdefault("TableName", place.new_name(255))
        dynamodb.create_table(**call_arguments(dynamodb, "CreateTable", given, place.where))
        place.begun.append(Made(given["TableName"]))
        self._write_rest(place, given["TableName"], {}, table)
        return _describe(dynamodb, given["TableName"])

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change what a living table can have changed."""
        dynamodb = place.client("dynamodb")
        before, after = self.as_table(place, old), self.as_table(place, new)
        simple = (
            "BillingMode",
            "ProvisionedThroughput",
            "OnDemandThroughput",
            "StreamSpecification",
            "SSESpecification",
            "TableClass",
            "DeletionProtectionEnabled",
        )
        if changed(before, after, *simple):
            defaults = {"BillingMode": "PROVISIONED", "DeletionProtectionEnabled": False}
            given = {**defaults, **{name: after[name] for name in simple if name in after}}
            if "StreamSpecification" in before and "StreamSpecification" not in after:
                given["StreamSpecification"] = {"StreamEnabled": False}
            if before.get("StreamSpecification") == after.get("StreamSpecification"):
                given.pop("StreamSpecification", None)
            arguments = call_arguments(dynamodb, "UpdateTable", _spelled(given), place.where)
            dynamodb.update_table(TableName=made.physical_id, **arguments)
        self._change_indexes(place, made.physical_id, before, after)
        self._write_rest(place, made.physical_id, before, after)
        return _describe(dynamodb, made.physical_id)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the table; one that is protected refuses."""
        dynamodb = place.client("dynamodb")
        ignoring(lambda: dynamodb.delete_table(TableName=made.physical_id), "ResourceNotFoundException")

    def _change_indexes(self, place: Place, table: str, old: Properties, new: Properties) -> None:
        dynamodb = place.client("dynamodb")
        before = {index["IndexName"]: index for index in old.get("GlobalSecondaryIndexes", [])}
        after = {index["IndexName"]: index for index in new.get("GlobalSecondaryIndexes", [])}
        changes: list[dict[str, Any]] = [
            {"Delete": {"IndexName": name}} for name in before if before[name] != after.get(name)
        ]
        changes += [{"Create": index} for name, index in after.items() if index != before.get(name)]
        for change in changes:
            given = {
                "TableName": table,
                "AttributeDefinitions": new["AttributeDefinitions"],
                "GlobalSecondaryIndexUpdates": [change],
            }
            dynamodb.update_table(**call_arguments(dynamodb, "UpdateTable", given, place.where))

    def _write_rest(self, place: Place, table: str, old: Properties, new: Properties) -> None:
        dynamodb = place.client("dynamodb")
        if changed(old, new, "PointInTimeRecoverySpecification"):
            given = {
                "TableName": table,
                "PointInTimeRecoverySpecification": new.get(
                    "PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False}
                ),
            }
            arguments = call_arguments(dynamodb, "UpdateContinuousBackups", given, place.where)
            dynamodb.update_continuous_backups(**arguments)
        if changed(old, new, "TimeToLiveSpecification"):
            wanted = new.get("TimeToLiveSpecification") or {**old["TimeToLiveSpecification"], "Enabled": False}
            given = {"TableName": table, "TimeToLiveSpecification": wanted}
            dynamodb.update_time_to_live(**call_arguments(dynamodb, "UpdateTimeToLive", given, place.where))
        if changed(old, new, "Tags"):
            _write_tags(dynamodb, place.arn("dynamodb", f"table/{table}"), old.get("Tags"), new.get("Tags"))


class GlobalTable(Table):
    """A global table with one replica, in this region: what CDK's ``TableV2`` makes."""

    type = "AWS::DynamoDB::GlobalTable"
    table = table_of(
        _ACTS + "Replicas(Region DeletionProtectionEnabled GlobalSecondaryIndexes(IndexName))",
        kept={
            **_KEPT,
            "Replicas.PointInTimeRecoverySpecification": _RECOVERY,
            "Replicas.TableClass": CAPACITY,
            "Replicas.ContributorInsightsSpecification": _INSIGHTS,
            "Replicas.Tags": TAGS,
            "Replicas.GlobalSecondaryIndexes.ContributorInsightsSpecification": _INSIGHTS,
            "Replicas.GlobalSecondaryIndexes.ReadProvisionedThroughputSettings": CAPACITY,
            "Replicas.GlobalSecondaryIndexes.ReadOnDemandThroughputSettings": CAPACITY,
        },
        refused={"StreamSpecification Replicas.KinesisStreamSpecification": _NO_STREAMS},
    )
    attributes = names("Arn")
    required = names("Replicas KeySchema")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Replicas elsewhere are refused."""
        if len(properties.get("Replicas") or ()) > 1:
            yield Problem("Replicas", "must be one: there is only one region here")
        declared = {known(index, "IndexName") for index in known(properties, "GlobalSecondaryIndexes") or ()}
        for replica in known(properties, "Replicas") or ():
            for index in known(replica, "GlobalSecondaryIndexes") or ():
                name = known(index, "IndexName")
                if name is not None and name not in declared:
                    said = f"names {name!r}, which is no index of the table: declare it in GlobalSecondaryIndexes"
                    yield Problem("Replicas.GlobalSecondaryIndexes", said)

    def as_table(self, place: Place, properties: Properties) -> Properties:
        """The one replica's properties beside those of the table."""
        table = without(properties, "Replicas")
        replicas = properties["Replicas"]
        if [replica["Region"] for replica in replicas] != [place.region]:
            raise place.unsupported("Replicas", f"must be one replica in {place.region}")
        table.update(without(replicas[0], "Region", "GlobalSecondaryIndexes"))
        return table


def _spelled(table: Mapping[str, Any]) -> dict[str, Any]:
    """The properties whose insides CloudFormation names differently."""
    spelled = dict(table)
    stream = spelled.get("StreamSpecification")
    if stream is not None and "StreamEnabled" not in stream:
        spelled["StreamSpecification"] = {**stream, "StreamEnabled": True}
    encryption = spelled.get("SSESpecification")
    if encryption is not None:
        spelled["SSESpecification"] = {
            "Enabled" if key == "SSEEnabled" else key: value for key, value in encryption.items()
        }
    return spelled


def _write_tags(dynamodb: Any, arn: str, old: Any, new: Any) -> None:
    gone = sorted(set(tag_map(old)) - set(tag_map(new)))
    if gone:
        dynamodb.untag_resource(ResourceArn=arn, TagKeys=gone)
    tags = [{"Key": key, "Value": value} for key, value in tag_map(new).items()]
    if tags:
        dynamodb.tag_resource(ResourceArn=arn, Tags=tags)


def _describe(dynamodb: Any, name: str) -> Made:
    table = dynamodb.describe_table(TableName=name)["Table"]
    answered = {"Arn": "TableArn", "TableId": "TableId", "StreamArn": "LatestStreamArn"}
    attributes = {name: table[member] for name, member in answered.items() if member in table}
    return Made(name, attributes)


HANDLERS = (Table(), GlobalTable())
