"""What serves a version without instances, from a declaration: an endpoint of its own, with one variant.

Serverless endpoints take no files that SageMaker would unpack (``ModelDataSource``), and the other way would need an
archive of each version. So the container is told the address of the version's registered files, reads them when it
starts, and holds each against its hash, as the prediction function does.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from everloop.rollout.container_place import ARTEFACT_VARIABLE, ContainerPlace, sha256_of
from everloop.rollout.served_artifact import ServedArtifact

VARIANT = "version"
"""The name of an endpoint's one variant."""


@dataclass(frozen=True, kw_only=True)
class ServerlessPlace(ContainerPlace):
    """Where and with what a model's versions serve, each on a serverless endpoint of its own.

    A version's SageMaker model, its endpoint configuration and its endpoint have one name.

    Attributes
    ----------
    memory_mb : int
        Of each container: 1024 to 6144, in steps of 1024.
    max_concurrency : int
        How many requests of one version are answered at once; more are refused.
    timeout_seconds : int
        How long the function before it may take for a request.
    """

    memory_mb: int
    max_concurrency: int
    timeout_seconds: int

    @property
    def code_sha256(self) -> str:
        """The hash of all that an endpoint is made of besides what it serves."""
        return sha256_of([self.image, self.role_arn, self.memory_mb, self.max_concurrency, *self._fixed.items()])

    def environment(self, artifact: ServedArtifact) -> dict[str, str]:
        """With the address that the container reads the version's files from."""
        return {**super().environment(artifact), ARTEFACT_VARIABLE: self.address(artifact)}

    def configuration_request(self, name: str) -> CreateServerlessConfig:
        """The request that makes the configuration of the endpoint of that name."""
        return {
            "EndpointConfigName": name,
            "ProductionVariants": [
                {
                    "VariantName": VARIANT,
                    "ModelName": name,
                    "ServerlessConfig": {"MemorySizeInMB": self.memory_mb, "MaxConcurrency": self.max_concurrency},
                }
            ],
        }


class ServerlessConfig(TypedDict):
    """How a variant without instances runs."""

    MemorySizeInMB: int
    MaxConcurrency: int


class ServerlessVariant(TypedDict):
    """The one variant of an endpoint configuration."""

    VariantName: str
    ModelName: str
    ServerlessConfig: ServerlessConfig


class CreateServerlessConfig(TypedDict):
    """The request that makes an endpoint configuration."""

    EndpointConfigName: str
    ProductionVariants: list[ServerlessVariant]
