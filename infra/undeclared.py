"""Told at synthesis: deployed models that the project does not declare, which this deployment leaves as they are.

The CDK's command line says which account and region it deploys to; nobody is asked otherwise. What the templates say
does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from everloop.names import MODEL_PARAMETERS
from everloop.undeclared import undeclared

_LOOK = "`everloop check --deployed` looks again"


MakeClient = Callable[[str, str], Any]
"""Gives a boto3 client of a service in a region."""


def lines_about_undeclared(
    declared: Collection[str], environment: Mapping[str, str], make_client: MakeClient
) -> list[str]:
    """What to say of deployed models that are not ``declared``; why nobody could look, where that is so."""
    try:
        deployed = deployed_models(environment, make_client)
    except Exception as error:
        return [f"note: whether deployed models have lost their folder is not known: {error}; {_LOOK}"]
    return [f"warning: {model}: {sentence}" for model, sentence in undeclared(deployed, declared).items()]


def deployed_models(environment: Mapping[str, str], make_client: MakeClient) -> dict[str, str]:
    """What the account that is deployed to holds of each deployed model, as JSON; empty where no account is at hand.

    Raises whatever keeps it from looking, among it that the credentials at hand are of another account.
    """
    account, region = environment.get("CDK_DEFAULT_ACCOUNT"), environment.get("CDK_DEFAULT_REGION")
    if not account or not region:
        return {}
    found = make_client("sts", region).get_caller_identity()["Account"]
    if found != account:
        raise _OtherAccountError(f"the default credentials are of account {found}, and this deploys to {account}")
    pages = make_client("ssm", region).get_paginator("get_parameters_by_path").paginate(Path=MODEL_PARAMETERS)
    parameters = [parameter for page in pages for parameter in page["Parameters"]]
    return {parameter["Name"].rsplit("/", 1)[1]: parameter["Value"] for parameter in parameters}


def make_client(service: str, region: str) -> Any:
    """A client that gives up soon: a synthesis does not wait for a network."""
    import boto3  # a synthesis without an account does without it
    from botocore.config import Config

    session: Any = boto3.Session(region_name=region)
    return session.client(service, config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}))


class _OtherAccountError(Exception):
    """The credentials at hand are not those that deploy."""
