"""ECR: repositories are there, since the CDK's bootstrap makes one; images are refused by name.

An image for which the settings name a program that stands for it (``[[sagemaker.images]]``) is there where somebody
asks for its digest: endpoints run it.

Replaces: images that moto records and nobody can pull, and tokens for a registry that is not there.
Why: nothing here runs a container, so an image that seems to be there would mislead.
Obsolete: once something here runs containers.
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from localcloud.core.actions import methods_of
from localcloud.core.answers import Refusal
from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace, wrap
from localcloud.services.sagemaker.seam import Image, image_for, images_of

ANSWERED = frozenset(
    {
        "CreateRepository",
        "DeleteLifecyclePolicy",
        "DeleteRepository",
        "DeleteRepositoryPolicy",
        "DescribeImages",
        "DescribeRepositories",
        "GetLifecyclePolicy",
        "GetRepositoryPolicy",
        "ListImages",
        "ListTagsForResource",
        "PutImageScanningConfiguration",
        "PutImageTagMutability",
        "PutLifecyclePolicy",
        "SetRepositoryPolicy",
        "TagResource",
        "UntagResource",
    }
)
"""What is left to moto: it is about repositories, or truthful of an empty one."""


def install(context: CloudContext) -> None:
    """Refuse images, and whatever else is not known here."""
    wrap(ECRResponse, "describe_images", _describing(images_of(context.settings), context))
    for name, method in methods_of("ecr").items():
        if name in ANSWERED:
            continue
        (replace if hasattr(ECRResponse, method) else add)(ECRResponse, method, _refusing(name))


def _describing(images: tuple[Image, ...], context: CloudContext) -> Any:
    def build(original: Any) -> Any:
        def describe_images(self: ECRResponse) -> ActionResult:
            registry = self._get_param("registryId") or context.account_id
            repository = self._get_param("repositoryName")
            digests = [asked.get("imageDigest", "") for asked in self._get_param("imageIds") or ()]
            host = f"{registry}.dkr.ecr.{context.region}.amazonaws.com"
            if digests and all(image_for(images, f"{host}/{repository}@{digest}") for digest in digests):
                named = {"registryId": registry, "repositoryName": repository}
                return ActionResult({"imageDetails": [{**named, "imageDigest": digest} for digest in digests]})
            answer: ActionResult = original(self)
            return answer

        return describe_images

    return build


def _refusing(name: str) -> Any:
    def method(_self: ECRResponse) -> ActionResult:
        raise Refusal(
            "InvalidParameterException",
            f"the local cloud does not execute {name} of ECR: nothing here runs a container image; package "
            "functions as zip files",
        )

    return method
