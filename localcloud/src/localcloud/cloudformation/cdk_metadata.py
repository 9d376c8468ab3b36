"""What the CDK tells AWS of the constructs in use."""

from __future__ import annotations

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import table_of
from localcloud.cloudformation.resource import Handler, Place, Properties


class CdkMetadata(Handler):
    """What the CDK tells AWS of the constructs in use; it makes nothing."""

    type = "AWS::CDK::Metadata"
    table = table_of("", kept={"Analytics": "usage statistics for AWS, which nothing here reads"})

    def create(self, place: Place, properties: Properties) -> Made:
        """Nothing to make."""
        return Made(place.logical_id)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing to change."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Nothing to delete."""
