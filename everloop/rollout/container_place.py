"""What SageMaker runs to serve a version, from a declaration: the names, and the request that makes a model.

A version is a SageMaker model: the image, and an environment that names the version's files with their hash. How it is
run, on instances or without any, is :mod:`everloop.rollout.endpoint_place`'s and
:mod:`everloop.rollout.serverless_place`'s business.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NotRequired, TypedDict

from everloop.environment import in_parts
from everloop.rollout.served_artifact import ServedArtifact
from everloop.serving.standby import STANDBY_VARIABLE

LONGEST_VALUE = 1024
"""Characters of one value in a container's environment."""

ARTEFACT_VARIABLE = "EVERLOOP_ARTEFACT"
MANIFEST_VARIABLE = "EVERLOOP_MANIFEST_SHA256"
VERSION_VARIABLE = "EVERLOOP_VERSION"
CALIBRATION_VARIABLE = "EVERLOOP_CALIBRATION"
DECLARED_VARIABLE = "EVERLOOP_DECLARED"
SIGNER_VARIABLE = "EVERLOOP_SIGNER"


@dataclass(frozen=True, kw_only=True)
class ContainerPlace:
    """Where and with what a model's versions serve in containers of SageMaker's.

    Attributes
    ----------
    name : str
        The endpoint's, or what those of versions begin with; configurations and models begin with it.
    model : str
        The model, as declared.
    image : str
        The address of the container image, with its digest.
    role_arn : str
        What the containers run as.
    artifact_bucket, stream : str
        Where registered files stand, and where captured rows go.
    declared : str
        The declared features as JSON, as :func:`everloop.serving.declared.declared_features` reads them.
    """

    name: str
    model: str
    image: str
    role_arn: str
    artifact_bucket: str
    stream: str
    declared: str = ""

    @property
    def code_sha256(self) -> str:
        """The hash of all that a container is made of and runs on, besides what it serves."""
        raise NotImplementedError

    def model_name(self, artifact: ServedArtifact) -> str:
        """The name of the SageMaker model that serves ``artifact``: the same parts, the same name."""
        return f"{self.name}-v{artifact.version}-{self.code_sha256[:6]}-{served_hash(artifact)}"

    def is_model(self, name: str) -> bool:
        """Whether a name is one that :meth:`model_name` gives, with whatever image."""
        return is_model_of(self.name, name)

    def is_current(self, model_name: str) -> bool:
        """Whether such a model is made of what is declared now, but for what it serves."""
        return self.is_model(model_name) and model_name.rsplit("-", 2)[1] == self.code_sha256[:6]

    def environment(self, artifact: ServedArtifact) -> dict[str, str]:
        """The environment of a container that serves ``artifact``."""
        return {
            **self._fixed,
            VERSION_VARIABLE: str(artifact.version),
            MANIFEST_VARIABLE: artifact.manifest_sha256,
            **({SIGNER_VARIABLE: artifact.signer} if artifact.signer else {}),
            **dict(in_parts(CALIBRATION_VARIABLE, artifact.calibration, LONGEST_VALUE)),
            **self._standing_by(artifact),
        }

    def model_request(self, artifact: ServedArtifact) -> CreateModel:
        """The request that makes the model."""
        return {
            "ModelName": self.model_name(artifact),
            "ExecutionRoleArn": self.role_arn,
            "PrimaryContainer": self.container(artifact),
        }

    def container(self, artifact: ServedArtifact) -> ContainerDefinition:
        """The container that serves ``artifact``."""
        return {"Image": self.image, "Environment": self.environment(artifact)}

    def address(self, artifact: ServedArtifact) -> str:
        """Where the version's files stand."""
        return f"s3://{self.artifact_bucket}/{artifact.prefix}"

    def _standing_by(self, artifact: ServedArtifact) -> dict[str, str]:
        """A container is given its own version's files alone: of any other it has to know the bucket too."""
        if artifact.standby is None:
            return {}
        prefix = f"s3://{self.artifact_bucket}/{artifact.standby.prefix}"
        return dict(in_parts(STANDBY_VARIABLE, replace(artifact.standby, prefix=prefix).to_text(), LONGEST_VALUE))

    @property
    def _fixed(self) -> dict[str, str]:
        return {
            "EVERLOOP_MODEL": self.model,
            "EVERLOOP_PREDICTIONS_STREAM": self.stream,
            **dict(in_parts(DECLARED_VARIABLE, self.declared, LONGEST_VALUE)),
        }


class S3Source(TypedDict):
    """Where a model's files are."""

    S3Uri: str
    S3DataType: str
    CompressionType: str


class ModelSource(TypedDict):
    """The same, as the request has it."""

    S3DataSource: S3Source


class ContainerDefinition(TypedDict):
    """A container of a model; one without a source of files reads them itself."""

    Image: str
    Environment: dict[str, str]
    ModelDataSource: NotRequired[ModelSource]


class CreateModel(TypedDict):
    """The request that makes a model."""

    ModelName: str
    ExecutionRoleArn: str
    PrimaryContainer: ContainerDefinition


def is_model_of(endpoint: str, name: str) -> bool:
    """Whether a SageMaker model is named as those of an endpoint are. What names begin with tells no models apart."""
    return re.fullmatch(rf"{re.escape(endpoint)}-v\d+-[0-9a-f]{{6}}-[0-9a-f]{{6}}", name) is not None


def served_hash(artifact: ServedArtifact) -> str:
    """What the name of a model ends with that serves ``artifact``."""
    signed = [artifact.signer] if artifact.signer else []
    return sha256_of([artifact.version, artifact.prefix, artifact.manifest_sha256, artifact.calibration, *signed])[:6]


def serves(model_name: str, artifact: ServedArtifact) -> bool:
    """Whether the model of that name serves ``artifact``, with whatever image."""
    return model_name.endswith(f"-{served_hash(artifact)}")


def sha256_of(parts: Sequence[object]) -> str:
    """The hash of what something is made of."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
