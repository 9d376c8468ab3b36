"""Clients of moto's services in this process, made once.

``mock_aws`` forgets everything when it ends, so each test has an account of its own. A client of its own would read the
service's description from disk once more: that takes longer than the account.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

# It gives boto3 what ``mock_aws`` answers through; a client made before would ask AWS.
from moto.core.models import DEFAULT_ACCOUNT_ID

from localcloud.core.actions import remember_actions
from localcloud.services.dynamodb.answers import read_by_name
from localcloud.services.dynamodb.queries import narrow
from localcloud.services.dynamodb.transactions import keep_what_changes
from tests.fakes.moto_without_http import shorten

# As the local cloud has moto and its DynamoDB: half of the time of these tests.
remember_actions()
keep_what_changes()
narrow()
read_by_name()


ACCOUNT = DEFAULT_ACCOUNT_ID
"""Of who names none."""
REGION = "us-east-1"


@cache
def aws_client(service: str) -> Any:
    """A client for use inside ``mock_aws``."""
    # Nobody reads here which program asks, nor moto's DynamoDB who: to write that is a fifth of a call.
    signature = UNSIGNED if service == "dynamodb" else None
    config = Config(signature_version=signature, user_agent="tests")
    client = _session().client(service, config=config)  # type: ignore[call-overload]  # The service's name is data.
    return shorten(client, REGION) if service == "dynamodb" else client


@cache
def _session() -> boto3.Session:
    return boto3.Session(region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
