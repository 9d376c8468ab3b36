"""Athena workgroups."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import CAPACITY, DESCRIPTION, ENCRYPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, names, tag_map
from localcloud.cloudformation.shapes import member_arguments

_REMOVABLE = {"BytesScannedCutoffPerQuery": "RemoveBytesScannedCutoffPerQuery"}


class WorkGroup(Handler):
    """A workgroup."""

    type = "AWS::Athena::WorkGroup"
    table = table_of(
        """
        Name State RecursiveDeleteOption
        WorkGroupConfiguration(
            BytesScannedCutoffPerQuery EnforceWorkGroupConfiguration ResultConfiguration(OutputLocation)
        )
        """,
        kept={
            "Description": DESCRIPTION,
            "Tags": TAGS,
            "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration": ENCRYPTION,
            "WorkGroupConfiguration.ResultConfiguration.ExpectedBucketOwner": "there is one account here",
            "WorkGroupConfiguration.PublishCloudWatchMetricsEnabled": "queries emit no metrics here",
            "WorkGroupConfiguration.EngineVersion": "DuckDB answers, and refuses what version 3 would refuse",
            "WorkGroupConfiguration.RequesterPaysEnabled": CAPACITY,
        },
        refused={"WorkGroupConfigurationUpdates": "write the whole WorkGroupConfiguration"},
    )
    required = names("Name")
    create_only = names("Name")
    name_property = "Name"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the workgroup."""
        athena = place.client("athena")
        name = properties["Name"]
        arguments: dict[str, Any] = {"Name": name, "Description": properties.get("Description", "")}
        if "WorkGroupConfiguration" in properties:
            arguments["Configuration"] = member_arguments(
                athena,
                "CreateWorkGroup",
                "Configuration",
                properties["WorkGroupConfiguration"],
                f"{place.where}: WorkGroupConfiguration",
            )
        arguments["Tags"] = [{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()]
        athena.create_work_group(**arguments)
        made = Made(name)
        place.begun.append(made)
        if properties.get("State", "ENABLED") != "ENABLED":
            athena.update_work_group(WorkGroup=name, State=properties["State"])
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change description, state and configuration."""
        athena = place.client("athena")
        arguments: dict[str, Any] = {
            "Description": new.get("Description", ""),
            "State": new.get("State", "ENABLED"),
        }
        if changed(old, new, "WorkGroupConfiguration"):
            arguments["ConfigurationUpdates"] = self._configuration_updates(place, old, new)
        athena.update_work_group(WorkGroup=made.physical_id, **arguments)
        if changed(old, new, "Tags"):
            arn = place.arn("athena", f"workgroup/{made.physical_id}")
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                athena.untag_resource(ResourceARN=arn, TagKeys=gone)
            tags = [{"Key": key, "Value": value} for key, value in tag_map(new.get("Tags")).items()]
            if tags:
                athena.tag_resource(ResourceARN=arn, Tags=tags)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the workgroup; a used one only when the template says so."""
        recursive = properties.get("RecursiveDeleteOption") in (True, "true")
        place.client("athena").delete_work_group(WorkGroup=made.physical_id, RecursiveDeleteOption=recursive)

    def _configuration_updates(self, place: Place, old: Properties, new: Properties) -> dict[str, Any]:
        before = old.get("WorkGroupConfiguration", {})
        after = new.get("WorkGroupConfiguration", {})
        given: dict[str, Any] = {
            "ResultConfigurationUpdates" if name == "ResultConfiguration" else name: value
            for name, value in after.items()
        }
        for name in before.keys() - after.keys():
            if name not in _REMOVABLE:
                raise place.unsupported(f"WorkGroupConfiguration.{name}", "can't be removed once it is set")
            given[_REMOVABLE[name]] = True
        where = f"{place.where}: WorkGroupConfiguration"
        client = place.client("athena")
        return dict(member_arguments(client, "UpdateWorkGroup", "ConfigurationUpdates", given, where))


HANDLERS = (WorkGroup(),)
