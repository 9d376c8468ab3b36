"""moto's own server with nothing in it: an endpoint to deploy into, without a local cloud around it."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator

from botocore.config import Config
from moto.iam.models import iam_backends

from localcloud.core.clients import make_client
from localcloud.services.iam.managed_policies import know
from support.in_process import Client
from support.workbench import ClientFactory

ACCOUNT = "123456789012"
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
"""The one policy of AWS's own that these templates name; all 1,500 would be made anew for every test after these."""


@contextlib.contextmanager
def empty_cloud(moto_endpoint: str) -> Iterator[ClientFactory]:
    """Clients of moto, emptied before and afterwards: a cloud in this process has what is in moto."""
    _empty(moto_endpoint)
    know(iam_backends[ACCOUNT]["aws"], BASIC_EXECUTION)
    made: dict[str, Client] = {}

    def client(service: str) -> Client:
        if service not in made:
            made[service] = make_client(
                service,
                region_name="us-east-1",
                endpoint_url=moto_endpoint,
                aws_access_key_id="deployer",
                aws_secret_access_key="deployer",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
        return made[service]

    yield client
    _empty(moto_endpoint)


def _empty(moto_endpoint: str) -> None:
    reset = urllib.request.Request(f"{moto_endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).read()
