"""Where the versions of a declared model serve."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict

from everloop.names import ALIAS, ModelNames
from everloop.rollout.endpoint_place import EndpointPlace
from everloop.rollout.serverless_place import ServerlessPlace
from everloop.rollout.targets import TargetPlace
from everloop.rollout.variant_scaling import Scaling

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration
    from everloop.model_file.sections.serving import Autoscaling

FEATURE_KEYS = {"name", "type", "min", "max", "values", "unseen", "max_length"}
"""What the data plane reads of a declared feature."""

SERVING_KEYS = {"fallback", "capture"}


def declared_place(declaration: ModelDeclaration, *, role_arn: str, artifact_bucket: str) -> TargetPlace:
    """The place of the declaration's rollout target.

    Parameters
    ----------
    role_arn : str
        What the endpoint's containers run as; empty where none is declared.
    """
    names, endpoint = ModelNames(declaration.model), declaration.serving.endpoint
    function = names.function("predict")
    if endpoint is None:
        return TargetPlace(function, ALIAS)
    container: _Container = {
        "name": names.endpoint,
        "model": names.model,
        "image": endpoint.image,
        "role_arn": role_arn,
        "artifact_bucket": artifact_bucket,
        "stream": names.stream("predictions"),
        "declared": _features(declaration),
    }
    if endpoint.serverless is not None:
        serverless = ServerlessPlace(
            **container,
            memory_mb=endpoint.serverless.memory_mb,
            max_concurrency=endpoint.serverless.max_concurrency,
            timeout_seconds=declaration.serving.timeout_seconds,
        )
        return TargetPlace(function, ALIAS, serverless=serverless)
    assert endpoint.instance_type is not None, "what is not serverless has instances"
    on_instances = EndpointPlace(
        **container,
        instance_type=endpoint.instance_type,
        instances=endpoint.instances,
        scaling=_scaling(endpoint.autoscaling),
    )
    return TargetPlace(function, ALIAS, on_instances)


class _Container(TypedDict):
    """What both kinds of endpoints are made of."""

    name: str
    model: str
    image: str
    role_arn: str
    artifact_bucket: str
    stream: str
    declared: str


def _scaling(declared: Autoscaling | None) -> Scaling | None:
    if declared is None:
        return None
    return Scaling(
        declared.max_instances,
        declared.invocations_per_instance,
        declared.scale_out_seconds,
        declared.scale_in_seconds,
    )


def _features(declaration: ModelDeclaration) -> str:
    features = [feature.model_dump(mode="json", include=FEATURE_KEYS) for feature in declaration.data.features]
    document: dict[str, Any] = {"problem": {"type": declaration.problem.type}, "data": {"features": features}}
    serving = declaration.serving.model_dump(mode="json", include=SERVING_KEYS)
    if told := {name: section for name, section in serving.items() if section is not None}:
        document["serving"] = told
    return json.dumps(document, separators=(",", ":"))
