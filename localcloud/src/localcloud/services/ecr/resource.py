"""ECR repositories, which stay empty."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import ENCRYPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, names, tag_map
from localcloud.cloudformation.shapes import document_text

_IMAGES = "repositories stay empty here"


class Repository(Handler):
    """A repository."""

    type = "AWS::ECR::Repository"
    table = table_of(
        "RepositoryName RepositoryPolicyText(*) LifecyclePolicy(LifecyclePolicyText)",
        kept={
            "ImageTagMutability ImageTagMutabilityExclusionFilters ImageScanningConfiguration EmptyOnDelete": _IMAGES,
            "EncryptionConfiguration": ENCRYPTION,
            "Tags": TAGS,
        },
        refused={"LifecyclePolicy.RegistryId": "there is only one registry here: leave it out"},
    )
    attributes = names("Arn RepositoryUri")
    create_only = names("RepositoryName EncryptionConfiguration")
    name_property = "RepositoryName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the repository, then give it its policies."""
        ecr = place.client("ecr")
        name = properties.get("RepositoryName") or place.new_name(256, lower=True)
        found = ecr.create_repository(
            repositoryName=name,
            imageTagMutability=properties.get("ImageTagMutability", "MUTABLE"),
            tags=[{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()],
        )["repository"]
        made = Made(name, {"Arn": found["repositoryArn"], "RepositoryUri": found["repositoryUri"]})
        place.begun.append(made)
        self._write_policies(ecr, name, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Write the policies and tags that changed."""
        ecr = place.client("ecr")
        if changed(old, new, "ImageTagMutability"):
            mutability = new.get("ImageTagMutability", "MUTABLE")
            ecr.put_image_tag_mutability(repositoryName=made.physical_id, imageTagMutability=mutability)
        if changed(old, new, "Tags"):
            before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
            gone = sorted(set(before) - set(after))
            if gone:
                ecr.untag_resource(resourceArn=made.attributes["Arn"], tagKeys=gone)
            tags = [{"Key": key, "Value": value} for key, value in after.items()]
            if tags:
                ecr.tag_resource(resourceArn=made.attributes["Arn"], tags=tags)
        self._write_policies(ecr, made.physical_id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the repository."""
        ecr = place.client("ecr")
        ignoring(lambda: ecr.delete_repository(repositoryName=made.physical_id), "RepositoryNotFoundException")

    def _write_policies(self, ecr: Any, name: str, old: Properties, new: Properties) -> None:
        if changed(old, new, "RepositoryPolicyText"):
            policy = new.get("RepositoryPolicyText")
            if policy is None:
                ignoring(lambda: ecr.delete_repository_policy(repositoryName=name), "RepositoryPolicyNotFoundException")
            else:
                ecr.set_repository_policy(repositoryName=name, policyText=document_text(policy))
        if changed(old, new, "LifecyclePolicy"):
            text = (new.get("LifecyclePolicy") or {}).get("LifecyclePolicyText")
            if text is None:
                ignoring(lambda: ecr.delete_lifecycle_policy(repositoryName=name), "LifecyclePolicyNotFoundException")
            else:
                ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)


HANDLERS = (Repository(),)
