"""Refused at synthesis: a deployment that would take the rights of an endpoint away while it still serves.

With ``serving.endpoint`` go the endpoint's role and the prediction function's permission to ask it. A model leaves its
endpoint by a rollout first.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from everloop.infra.exceptions import SynthesisError
from everloop.infra.undeclared import MakeClient, deployed_models
from everloop.names import ALIAS, ModelNames
from everloop.rollout.targets.lambda_alias import ENDPOINT_VARIABLE, VERSION_VARIABLE


def refuse_lost_endpoints(
    without_endpoint: Collection[str], environment: Mapping[str, str], make_client: MakeClient
) -> None:
    """Refuse where a model that declares no endpoint is still served by one.

    Nothing is refused where no account is at hand, or nobody can look: that is told beside undeclared models.

    Parameters
    ----------
    without_endpoint : collection of str
        The declared models without ``serving.endpoint``.

    Raises
    ------
    SynthesisError
        Naming the models, and the way on.
    """
    try:
        deployed = deployed_models(environment, make_client)
        left = sorted(_with_endpoint(deployed.values()) & set(without_endpoint))
        client = make_client("lambda", environment["CDK_DEFAULT_REGION"]) if left else None
        serving = [model for model in left if _passes_on(client, model)]
    except Exception:  # why nobody could look is told by lines_about_undeclared
        return
    if serving:
        raise SynthesisError(
            "\n".join(
                f"models/{model}/model.yaml: serving.endpoint is gone, and the endpoint still serves: callers would get"
                f" errors. Put it back, declare rollout.target: lambda_alias, deploy, and type `everloop rollout start"
                f' {model} --reason "…"`; then take it out'
                for model in serving
            )
        )


def _with_endpoint(deployed: Iterable[str]) -> set[str]:
    """The deployed models that were declared with an endpoint."""
    told = [json.loads(value) for value in deployed]
    return {str(one["model"]) for one in told if one.get("endpoint_image")}


def _passes_on(client: Any, model: str) -> bool:
    """Whether requests that come by the alias are passed on to an endpoint."""
    function = ModelNames(model).function("predict")
    alias = client.get_alias(FunctionName=function, Name=ALIAS)
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    for version in (alias["FunctionVersion"], *weights):
        found = client.get_function_configuration(FunctionName=function, Qualifier=version)
        own = (found.get("Environment") or {}).get("Variables", {})
        if own.get(ENDPOINT_VARIABLE) and not own.get(VERSION_VARIABLE):
            return True
    return False
