"""KMS keys and aliases."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, names, tag_map
from localcloud.cloudformation.shapes import document_text

_GONE = ("NotFoundException", "KMSInvalidStateException")


class Key(Handler):
    """A key."""

    type = "AWS::KMS::Key"
    table = table_of(
        "Enabled KeySpec KeyUsage PendingWindowInDays",
        kept={
            "Description": DESCRIPTION,
            "KeyPolicy": "the policies of the roles decide, as with the default key policy",
            "EnableKeyRotation RotationPeriodInDays MultiRegion": "a key exists only in this cloud",
            "Tags": TAGS,
        },
        refused={"Origin": "keys are created here: leave it out"},
    )
    attributes = names("Arn KeyId")

    def must_replace(self, old: Properties, new: Properties) -> bool:
        """A key's kind can not change."""
        return changed(old, new, "KeySpec", "KeyUsage", "MultiRegion")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the key."""
        kms = place.client("kms")
        arguments: dict[str, Any] = {
            name: properties[name] for name in ("Description", "KeySpec", "KeyUsage") if name in properties
        }
        if "MultiRegion" in properties:
            arguments["MultiRegion"] = properties["MultiRegion"] in (True, "true")
        if "KeyPolicy" in properties:
            arguments["Policy"] = document_text(properties["KeyPolicy"])
        arguments["Tags"] = [
            {"TagKey": key, "TagValue": value} for key, value in tag_map(properties.get("Tags")).items()
        ]
        key = kms.create_key(**arguments)["KeyMetadata"]
        made = Made(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})
        place.begun.append(made)
        self._switch(kms, made.physical_id, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change description, policy, rotation, state and tags."""
        kms = place.client("kms")
        key = made.physical_id
        if changed(old, new, "Description"):
            kms.update_key_description(KeyId=key, Description=new.get("Description", ""))
        if changed(old, new, "KeyPolicy"):
            if "KeyPolicy" not in new:
                raise place.unsupported("KeyPolicy", "can't be removed once it is set")
            kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document_text(new["KeyPolicy"]))
        self._switch(kms, key, old, new)
        if changed(old, new, "Tags"):
            before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
            gone = sorted(set(before) - set(after))
            if gone:
                kms.untag_resource(KeyId=key, TagKeys=gone)
            if after:
                tags = [{"TagKey": name, "TagValue": value} for name, value in after.items()]
                kms.tag_resource(KeyId=key, Tags=tags)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Schedule the key's deletion, as no key is deleted at once."""
        kms = place.client("kms")
        days = int(properties.get("PendingWindowInDays", 30))
        ignoring(lambda: kms.schedule_key_deletion(KeyId=made.physical_id, PendingWindowInDays=days), *_GONE)

    def _switch(self, kms: Any, key: str, old: Properties, new: Properties) -> None:
        if changed(old, new, "EnableKeyRotation", "RotationPeriodInDays"):
            if new.get("EnableKeyRotation") in (True, "true"):
                period = {k: int(new[k]) for k in ("RotationPeriodInDays",) if k in new}
                kms.enable_key_rotation(KeyId=key, **period)
            else:
                kms.disable_key_rotation(KeyId=key)
        if changed(old, new, "Enabled"):
            if new.get("Enabled", True) in (True, "true"):
                kms.enable_key(KeyId=key)
            else:
                kms.disable_key(KeyId=key)


class Alias(Handler):
    """An alias of a key."""

    type = "AWS::KMS::Alias"
    table = table_of("AliasName TargetKeyId")
    required = table.names
    create_only = names("AliasName")
    name_property = "AliasName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the alias."""
        place.client("kms").create_alias(AliasName=properties["AliasName"], TargetKeyId=properties["TargetKeyId"])
        return Made(properties["AliasName"])

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Point the alias to another key."""
        place.client("kms").update_alias(AliasName=made.physical_id, TargetKeyId=new["TargetKeyId"])
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the alias."""
        kms = place.client("kms")
        ignoring(lambda: kms.delete_alias(AliasName=made.physical_id), *_GONE)


HANDLERS = (Key(), Alias())
