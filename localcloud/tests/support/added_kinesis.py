"""Another distribution's service: all that one is, in the smallest form."""

from __future__ import annotations

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, names
from localcloud.services.service import Service

SERVICE = Service(
    package="support",
    signing_name="kinesis",
    backend="kinesis",
    resources=("added_kinesis",),
    accesses=None,
    has_one_url=False,
)


class Stream(Handler):
    """A stream."""

    type = "AWS::Kinesis::Stream"
    table = table_of("Name ShardCount", kept={"Tags": "nothing here reads them"})
    attributes = names("Arn")
    create_only = names("Name")

    def create(self, place: Place, properties: Properties) -> Made:
        kinesis, name = place.client("kinesis"), properties["Name"]
        kinesis.create_stream(StreamName=name, ShardCount=properties.get("ShardCount", 1))
        found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return Made(name, {"Arn": found["StreamARN"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        kinesis = place.client("kinesis")
        ignoring(lambda: kinesis.delete_stream(StreamName=made.physical_id), "ResourceNotFoundException")


HANDLERS = (Stream(),)
