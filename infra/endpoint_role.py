"""The role of a SageMaker endpoint's containers."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from everloop.infra.grants import Grant, give
from everloop.infra.job_roles import LOG, run_image
from everloop.infra.permissions import ModelPermissions
from everloop.infra.platform_reference import Platform
from everloop.names import ModelNames


class EndpointRole(Construct):
    """What containers may do: be pulled, have the version's files, capture rows, log.

    The endpoint itself is no resource of the stack: rollouts make it, and change it ever after. A template that named
    its configuration would bring an old version back with the next deployment.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, names: ModelNames, image: str, platform: Platform
    ) -> None:
        super().__init__(scope, construct_id)
        permissions = ModelPermissions(Stack.of(self), platform, names)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
            description=f"{names.endpoint}: the containers of the endpoint",
        )
        bucket, prefix = platform.artifacts, names.artifacts_prefix
        group = "/aws/sagemaker/Endpoints"
        grants = [
            permissions.artifact_objects(("s3:GetObject",)),
            Grant(("s3:ListBucket",), (bucket.bucket_arn,), conditions={"StringLike": {"s3:prefix": [f"{prefix}*"]}}),
            permissions.put_records("predictions"),
            Grant(
                LOG,
                tuple(permissions.arn("logs", f"log-group:{group}/{name}:*") for name in permissions.endpoint_names),
                "SageMaker logs to a stream for each container in an endpoint's one group, which it creates.",
            ),
            *run_image(_repository(image, Stack.of(self)), group),
        ]
        give(self.role, grants, platform.exports)


def _repository(image: str, stack: Stack) -> str:
    """The ARN of the repository that an image's address names."""
    host, _, rest = image.partition("/")
    account, _, _, region = host.split(".")[:4]
    name = rest.partition("@")[0]
    return f"arn:{stack.partition}:ecr:{region}:{account}:repository/{name}"
