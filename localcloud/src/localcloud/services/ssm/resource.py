"""SSM parameters."""

from __future__ import annotations

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import CAPACITY, DESCRIPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, names, tag_map, without
from localcloud.cloudformation.shapes import call_arguments


class Parameter(Handler):
    """A plain parameter."""

    type = "AWS::SSM::Parameter"
    table = table_of(
        "Name Type Value AllowedPattern",
        kept={
            "Description": DESCRIPTION,
            "Tier": CAPACITY,
            "DataType": "values are stored as text, whatever the data type",
            "Tags": TAGS,
        },
        refused={"Policies": "parameters do not expire here: leave it out"},
    )
    attributes = names("Arn Type Value")
    required = names("Type Value")
    create_only = names("Name")
    name_property = "Name"

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the parameter, which must be new."""
        name = properties.get("Name") or "CFN-" + place.new_name(200)
        return self._put(place, name, properties, overwrite=False)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the new value over the old one."""
        ssm = place.client("ssm")
        written = self._put(place, made.physical_id, without(new, "Tags"), overwrite=True)
        if changed(old, new, "Tags"):
            before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
            where = {"ResourceType": "Parameter", "ResourceId": made.physical_id}
            gone = sorted(set(before) - set(after))
            if gone:
                ssm.remove_tags_from_resource(**where, TagKeys=gone)
            if after:
                tags = [{"Key": key, "Value": value} for key, value in after.items()]
                ssm.add_tags_to_resource(**where, Tags=tags)
        return written

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the parameter."""
        ssm = place.client("ssm")
        ignoring(lambda: ssm.delete_parameter(Name=made.physical_id), "ParameterNotFound")

    def _put(self, place: Place, name: str, properties: Properties, *, overwrite: bool) -> Made:
        ssm = place.client("ssm")
        given = {**without(properties, "Tags"), "Name": name, "Overwrite": overwrite}
        # The API takes a mapping in the template and a list of pairs in the call.
        tags = [{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()]
        if tags:
            given["Tags"] = tags
        ssm.put_parameter(**call_arguments(ssm, "PutParameter", given, place.where))
        attributes = {
            "Arn": place.arn("ssm", f"parameter/{name.removeprefix('/')}"),
            "Type": properties["Type"],
            "Value": str(properties["Value"]),
        }
        return Made(name, attributes)


HANDLERS = (Parameter(),)
