"""The Lambda API over :mod:`localcloud.services.lambda_.runtime`.

Every call is answered by :mod:`localcloud.services.lambda_.responses`; calls that it does not know are errors.

Replaces: moto's functions, which ignore qualifiers, alias weights and asynchronous invocation, and run code only in
    Docker.
Why: what is deployed must run as it is deployed: under its role, within its limits, by version and alias.
Obsolete: once moto runs versions and aliases through AWS's runtime client, with the role's credentials and the
    function's limits.
"""

from __future__ import annotations

from moto.awslambda import urls as moto_urls
from moto.awslambda import utils as moto_utils
from moto.ssm.models import Parameter, ssm_backends

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace
from localcloud.services.lambda_.current import close_service, lambda_service, open_service
from localcloud.services.lambda_.managed_layers import managed_layers
from localcloud.services.lambda_.responses import LocalLambdaResponse
from localcloud.services.lambda_.runtime.functions import FunctionVersion

MEMORY_SOURCES = {"workers": lambda: lambda_service().memory_mb()}


def install(context: CloudContext) -> None:
    """Build the service and put it behind moto's Lambda URLs."""
    open_service(context)
    replace(moto_urls, "url_paths", {r"{0}/.*": LocalLambdaResponse.dispatch})
    replace(moto_utils, "get_backend", lambda account_id, region: _DeliveryBackend())
    if context.account.managed_layers:
        publish_managed_layer_parameters(context)


def close() -> None:
    """End all workers."""
    close_service()


def publish_managed_layer_parameters(context: CloudContext) -> None:
    """Put the public parameters that lead to AWS's managed layers into the local SSM."""
    for layer in managed_layers(context.settings):
        for name, arn in layer.parameters.items():
            _put_public_parameter(context, name, arn.replace("{region}", context.region))


def _put_public_parameter(context: CloudContext, name: str, value: str) -> None:
    backend = ssm_backends[context.account_id][context.region]
    # PutParameter refuses names under /aws: only AWS itself writes them
    backend._parameters[name] = [
        Parameter(  # type: ignore[abstract]  # moto makes parameters so too: CloudFormation asks for what is abstract
            account_id=context.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description="",
            allowed_pattern=None,
            keyid=None,
            last_modified_date=context.clock.now(),
            version=1,
            data_type="text",
        )
    ]


class _DeliveryBackend:
    """What moto's other services call to reach a function; any other use of moto's Lambda is an error."""

    def get_function(self, function_name: str, qualifier: str | None = None) -> FunctionVersion:
        return lambda_service().store.resolve(function_name, qualifier).version
