"""IAM roles and policies."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, names, tag_map
from localcloud.cloudformation.shapes import document_text

_GONE = "NoSuchEntity"
_NOBODY = {"Users Groups": "users and groups do not exist here: attach it to roles"}


class Role(Handler):
    """A role with its inline and attached policies."""

    type = "AWS::IAM::Role"
    table = table_of(
        """
        AssumeRolePolicyDocument(*) ManagedPolicyArns Path PermissionsBoundary Policies(PolicyName PolicyDocument(*))
        RoleName
        """,
        kept={
            "Description": DESCRIPTION,
            "MaxSessionDuration": "sessions do not expire here",
            "Tags": TAGS,
        },
    )
    attributes = names("Arn RoleId")
    required = names("AssumeRolePolicyDocument")
    create_only = names("RoleName Path")
    name_property = "RoleName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the role and give it its policies."""
        iam = place.client("iam")
        arguments: dict[str, Any] = {
            "RoleName": properties.get("RoleName") or place.new_name(64),
            "AssumeRolePolicyDocument": document_text(properties["AssumeRolePolicyDocument"]),
            "Tags": [{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()],
        }
        for name in ("Path", "Description", "PermissionsBoundary"):
            if name in properties:
                arguments[name] = properties[name]
        if "MaxSessionDuration" in properties:
            arguments["MaxSessionDuration"] = int(properties["MaxSessionDuration"])
        role = iam.create_role(**arguments)["Role"]
        made = Made(role["RoleName"], {"Arn": role["Arn"], "RoleId": role["RoleId"]})
        place.begun.append(made)
        self._write_policies(iam, made.physical_id, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Write what changed."""
        iam = place.client("iam")
        role = made.physical_id
        if changed(old, new, "AssumeRolePolicyDocument"):
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=document_text(new["AssumeRolePolicyDocument"]))
        if changed(old, new, "Description", "MaxSessionDuration"):
            iam.update_role(
                RoleName=role,
                Description=new.get("Description", ""),
                MaxSessionDuration=int(new.get("MaxSessionDuration", 3600)),
            )
        if changed(old, new, "PermissionsBoundary"):
            if "PermissionsBoundary" in new:
                iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=new["PermissionsBoundary"])
            else:
                iam.delete_role_permissions_boundary(RoleName=role)
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                iam.untag_role(RoleName=role, TagKeys=gone)
            tags = [{"Key": key, "Value": value} for key, value in tag_map(new.get("Tags")).items()]
            if tags:
                iam.tag_role(RoleName=role, Tags=tags)
        self._write_policies(iam, role, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the role's policies away, then delete it."""
        iam = place.client("iam")
        ignoring(lambda: self._write_policies(iam, made.physical_id, properties, {}), _GONE)
        ignoring(lambda: iam.delete_role(RoleName=made.physical_id), _GONE)

    def _write_policies(self, iam: Any, role: str, old: Properties, new: Properties) -> None:
        before = {policy["PolicyName"]: policy["PolicyDocument"] for policy in old.get("Policies", [])}
        after = {policy["PolicyName"]: policy["PolicyDocument"] for policy in new.get("Policies", [])}
        for name in before.keys() - after.keys():
            _drop(lambda name=name: iam.delete_role_policy(RoleName=role, PolicyName=name))
        for name, document in after.items():
            if before.get(name) != document:
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document_text(document))
        attached_before = set(old.get("ManagedPolicyArns", []))
        attached_after = set(new.get("ManagedPolicyArns", []))
        for arn in sorted(attached_before - attached_after):
            _drop(lambda arn=arn: iam.detach_role_policy(RoleName=role, PolicyArn=arn))
        for arn in sorted(attached_after - attached_before):
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)


class Policy(Handler):
    """An inline policy of one or more roles, groups and users."""

    type = "AWS::IAM::Policy"
    table = table_of(
        "PolicyName PolicyDocument(*) Roles",
        refused=_NOBODY,
    )
    required = names("PolicyName PolicyDocument")

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the policy into everyone it is for."""
        made = Made(place.new_name(128))
        place.begun.append(made)
        self._write(place, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the new policy, and take it from whoever no longer has it."""
        self._write(place, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the policy from everyone."""
        self._write(place, properties, {})

    def _write(self, place: Place, old: Properties, new: Properties) -> None:
        iam = place.client("iam")
        for kind, put, drop in (
            ("Role", iam.put_role_policy, iam.delete_role_policy),
            ("User", iam.put_user_policy, iam.delete_user_policy),
            ("Group", iam.put_group_policy, iam.delete_group_policy),
        ):
            before = set(old.get(f"{kind}s", []))
            after = set(new.get(f"{kind}s", []))
            before_only = before - after if old.get("PolicyName") == new.get("PolicyName") else before
            for name in sorted(after):
                put(
                    **{f"{kind}Name": name},
                    PolicyName=new["PolicyName"],
                    PolicyDocument=document_text(new["PolicyDocument"]),
                )
            for name in sorted(before_only):
                _drop(
                    lambda drop=drop, kind=kind, name=name: drop(**{f"{kind}Name": name}, PolicyName=old["PolicyName"])
                )


class ManagedPolicy(Handler):
    """A managed policy and whom it is attached to."""

    type = "AWS::IAM::ManagedPolicy"
    table = table_of(
        "ManagedPolicyName PolicyDocument(*) Path Roles",
        kept={"Description": DESCRIPTION},
        refused=_NOBODY,
    )
    attributes = names("PolicyArn PolicyId")
    required = names("PolicyDocument")
    create_only = names("ManagedPolicyName Description Path")
    name_property = "ManagedPolicyName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the policy and attach it."""
        iam = place.client("iam")
        optional = {name: properties[name] for name in ("Path", "Description") if properties.get(name)}
        policy = iam.create_policy(
            PolicyName=properties.get("ManagedPolicyName") or place.new_name(128),
            PolicyDocument=document_text(properties["PolicyDocument"]),
            **optional,
        )["Policy"]
        made = Made(policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]})
        place.begun.append(made)
        self._attach(iam, policy["Arn"], {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Make the new document the default version, keeping no older one."""
        iam = place.client("iam")
        arn = made.physical_id
        if changed(old, new, "PolicyDocument"):
            self._delete_old_versions(iam, arn)
            iam.create_policy_version(
                PolicyArn=arn, PolicyDocument=document_text(new["PolicyDocument"]), SetAsDefault=True
            )
            self._delete_old_versions(iam, arn)
        self._attach(iam, arn, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Detach the policy and delete it with all of its versions."""
        iam = place.client("iam")
        arn = made.physical_id
        self._attach(iam, arn, properties, {})
        ignoring(lambda: self._delete_old_versions(iam, arn), _GONE)
        ignoring(lambda: iam.delete_policy(PolicyArn=arn), _GONE)

    def _attach(self, iam: Any, arn: str, old: Properties, new: Properties) -> None:
        for kind, attach, detach in (
            ("Role", iam.attach_role_policy, iam.detach_role_policy),
            ("User", iam.attach_user_policy, iam.detach_user_policy),
            ("Group", iam.attach_group_policy, iam.detach_group_policy),
        ):
            before, after = set(old.get(f"{kind}s", [])), set(new.get(f"{kind}s", []))
            for name in sorted(after - before):
                attach(**{f"{kind}Name": name}, PolicyArn=arn)
            for name in sorted(before - after):
                _drop(lambda detach=detach, kind=kind, name=name: detach(**{f"{kind}Name": name}, PolicyArn=arn))

    def _delete_old_versions(self, iam: Any, arn: str) -> None:
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _drop(call: Any) -> None:
    ignoring(call, _GONE)


HANDLERS = (Role(), Policy(), ManagedPolicy())
