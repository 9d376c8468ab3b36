"""What a SageMaker endpoint of instances is made of, from a declaration: names, and the requests that make its parts.

A version's model serves as a production variant of the same name. An endpoint configuration lists variants; each change
of the list is a configuration with the next number, so that a list that did not come into service can be told from one
that did.

Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import NotRequired, TypedDict

from everloop.rollout.container_place import ContainerDefinition, ContainerPlace, sha256_of
from everloop.rollout.served_artifact import ServedArtifact
from everloop.rollout.variant_scaling import Scaling

_BETWEEN = 1.5
"""Weights that add up to less stand in the order of their configuration; see :func:`shares`."""


@dataclass(frozen=True, kw_only=True)
class EndpointPlace(ContainerPlace):
    """Where and with what a model's versions serve as variants of an endpoint.

    Attributes
    ----------
    instance_type, instances : str, int
        Of each variant; with ``scaling`` the fewest.
    scaling : Scaling or None
        How instances follow requests; None where they don't.
    """

    instance_type: str
    instances: int
    scaling: Scaling | None = None

    @property
    def code_sha256(self) -> str:
        """The hash of all that a variant is made of besides what it serves."""
        scaling = [] if self.scaling is None else list(astuple(self.scaling))
        return sha256_of(
            [self.image, self.role_arn, self.instance_type, self.instances, *self._fixed.items(), *scaling]
        )

    def container(self, artifact: ServedArtifact) -> ContainerDefinition:
        """SageMaker puts the version's files, unpacked, into the container."""
        return {
            **super().container(artifact),
            "ModelDataSource": {
                "S3DataSource": {"S3Uri": self.address(artifact), "S3DataType": "S3Prefix", "CompressionType": "None"}
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
