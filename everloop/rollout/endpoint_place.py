"""What a SageMaker endpoint is made of, from a declaration: names, and the requests that make its parts.

A version is a SageMaker model: the image, the version's files, and an environment that names them with their hash. It
serves as a production variant of the same name. An endpoint configuration lists variants; each change of the list is a
configuration with the next number, so that a list that did not come into service can be told from one that did.

Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html,
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import NotRequired, TypedDict

from everloop.environment import in_parts
from everloop.rollout.served_artifact import ServedArtifact
from everloop.rollout.variant_scaling import Scaling
from everloop.serving.standby import STANDBY_VARIABLE

LONGEST_VALUE = 1024
"""Characters of one value in a container's environment."""

_BETWEEN = 1.5
"""Weights that add up to less stand in the order of their configuration; see :func:`shares`."""

MANIFEST_VARIABLE = "EVERLOOP_MANIFEST_SHA256"
VERSION_VARIABLE = "EVERLOOP_VERSION"
CALIBRATION_VARIABLE = "EVERLOOP_CALIBRATION"
DECLARED_VARIABLE = "EVERLOOP_DECLARED"


@dataclass(frozen=True)
class EndpointPlace:
    """Where and with what a model's versions serve as variants of an endpoint.

    Attributes
    ----------
    name : str
        The endpoint's; its configurations and models begin with it.
    model : str
        The model, as declared.
    image : str
        The address of the container image, with its digest.
    role_arn : str
        What the containers run as.
    instance_type, instances : str, int
        Of each variant; with ``scaling`` the fewest.
    artifact_bucket, stream : str
        Where registered files stand, and where captured rows go.
    declared : str
        The declared features as JSON, as :func:`everloop.serving.declared.declared_features` reads them.
    scaling : Scaling or None
        How instances follow requests; None where they don't.
    """

    name: str
    model: str
    image: str
    role_arn: str
    instance_type: str
    instances: int
    artifact_bucket: str
    stream: str
    declared: str = ""
    scaling: Scaling | None = None

    @property
    def code_sha256(self) -> str:
        """The hash of all that a variant is made of besides what it serves."""
        scaling = [] if self.scaling is None else list(astuple(self.scaling))
        return _sha256([self.image, self.role_arn, self.instance_type, self.instances, *self._fixed.items(), *scaling])

    def model_name(self, artifact: ServedArtifact) -> str:
        """The name of the SageMaker model and of the variant that serve ``artifact``: the same parts, the same name."""
        served = _sha256([artifact.version, artifact.prefix, artifact.manifest_sha256, artifact.calibration])
        return f"{self.name}-v{artifact.version}-{self.code_sha256[:6]}-{served[:6]}"

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
            **dict(in_parts(CALIBRATION_VARIABLE, artifact.calibration, LONGEST_VALUE)),
            **self._standing_by(artifact),
        }

    def _standing_by(self, artifact: ServedArtifact) -> dict[str, str]:
        """A container is given its own version's files alone: of any other it has to know the bucket too."""
        if artifact.standby is None:
            return {}
        prefix = f"s3://{self.artifact_bucket}/{artifact.standby.prefix}"
        return dict(in_parts(STANDBY_VARIABLE, replace(artifact.standby, prefix=prefix).to_text(), LONGEST_VALUE))

    def model_request(self, artifact: ServedArtifact) -> CreateModel:
        """The request that makes the model. SageMaker puts the version's files, unpacked, into the container."""
        return {
            "ModelName": self.model_name(artifact),
            "ExecutionRoleArn": self.role_arn,
            "PrimaryContainer": {
                "Image": self.image,
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": f"s3://{self.artifact_bucket}/{artifact.prefix}",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                },
                "Environment": self.environment(artifact),
            },
        }

    def variant(self, model_name: str, weight: float, count: int) -> ProductionVariant:
        """A variant of ``count`` instances as a configuration lists it."""
        return {
            "VariantName": model_name,
            "ModelName": model_name,
            "InstanceType": self.instance_type,
            "InitialInstanceCount": count,
            "InitialVariantWeight": weight,
        }

    def configuration_name(self, number: int) -> str:
        """The name of the endpoint configuration with that number."""
        return f"{self.name}-c{number:06d}"

    def configuration_number(self, name: str) -> int | None:
        """The number of a configuration; None for one that this gives no name."""
        return configuration_number(self.name, name)

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
    """A container of a model."""

    Image: str
    ModelDataSource: ModelSource
    Environment: dict[str, str]


class CreateModel(TypedDict):
    """The request that makes a model."""

    ModelName: str
    ExecutionRoleArn: str
    PrimaryContainer: ContainerDefinition


class ProductionVariant(TypedDict):
    """A variant of an endpoint configuration."""

    VariantName: str
    ModelName: str
    InstanceType: str
    InitialInstanceCount: int
    InitialVariantWeight: float


class RunningVariant(TypedDict):
    """What is read of a variant of an endpoint."""

    VariantName: str
    DesiredWeight: NotRequired[float]
    CurrentWeight: NotRequired[float]
    DesiredInstanceCount: NotRequired[int]


def is_model_of(endpoint: str, name: str) -> bool:
    """Whether a SageMaker model is named as those of an endpoint are. What names begin with tells no models apart."""
    return re.fullmatch(rf"{re.escape(endpoint)}-v\d+-[0-9a-f]{{6}}-[0-9a-f]{{6}}", name) is not None


def configuration_number(endpoint: str, name: str) -> int | None:
    """The number in the name of an endpoint's configuration; None for any other name."""
    found = re.fullmatch(rf"{re.escape(endpoint)}-c(\d{{6,}})", name)
    return int(found[1]) if found else None


def desired_weights(variants: Sequence[RunningVariant]) -> dict[str, float]:
    """The weight of each variant in the order of the configuration: what was asked for last."""
    return {v["VariantName"]: float(v.get("DesiredWeight", v.get("CurrentWeight", 0.0))) for v in variants}


def instance_counts(variants: Sequence[RunningVariant]) -> dict[str, int]:
    """The instances of each variant: as many as were asked for last."""
    return {v["VariantName"]: v.get("DesiredInstanceCount", 0) for v in variants}


def shares(order: Sequence[str], primary: str, candidate: str | None, percent: float) -> dict[str, float]:
    """The weights of all variants of ``order`` that give ``percent`` of the requests to ``candidate``.

    They add up to 1 where the primary stands before the candidate in the order, else to 2: weights say how requests are
    shared out, not which of two variants is the one that is on trial.
    """
    if candidate is None:
        return {name: float(name == primary) for name in order}
    total = 1.0 if order.index(primary) < order.index(candidate) else 2.0
    of_candidate = total * percent / 100
    weights = {primary: total - of_candidate, candidate: of_candidate}
    return {name: weights.get(name, 0.0) for name in order}


def shared_by(weights: Mapping[str, float]) -> tuple[str, str | None, float]:
    """The inverse of :func:`shares`: primary, candidate and percent, of weights in the order of the configuration."""
    taking = [name for name, weight in weights.items() if weight > 0]
    if len(taking) == 1:
        return taking[0], None, 0.0
    total = sum(weights.values())
    primary, candidate = (taking[0], taking[-1]) if total < _BETWEEN else (taking[-1], taking[0])
    return primary, candidate, round(100 * weights[candidate] / total, 4)


def _sha256(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
