"""ECR: repositories are there, since the CDK's bootstrap makes one; images are refused by name.

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
from localcloud.core.patching import add, replace

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


def install(_context: CloudContext) -> None:
    """Refuse images, and whatever else is not known here."""
    for name, method in methods_of("ecr").items():
        if name in ANSWERED:
            continue
        (replace if hasattr(ECRResponse, method) else add)(ECRResponse, method, _refusing(name))


def _refusing(name: str) -> Any:
    def method(_self: ECRResponse) -> ActionResult:
        raise Refusal(
            "InvalidParameterException",
            f"the local cloud does not execute {name} of ECR: nothing here runs a container image; package "
            "functions as zip files",
        )

    return method
