"""Clients of moto's services in this process, of one session.

``mock_aws`` forgets everything when it ends, so each test has an account of its own. A session of its own would read
the services' descriptions from disk once more: that takes thirty times as long as the account.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3

# It gives boto3 what ``mock_aws`` answers through; a client made before would ask AWS.
import moto.core  # noqa: F401

from localcloud.services.dynamodb.answers import read_by_name
from localcloud.services.dynamodb.transactions import keep_what_changes

# As the local cloud has moto's DynamoDB: half of the time of these tests.
keep_what_changes()
read_by_name()


def aws_client(service: str) -> Any:
    """A client for use inside ``mock_aws``."""
    return _session().client(service)  # type: ignore[call-overload]  # The service's name is data.


@cache
def _session() -> boto3.Session:
    return boto3.Session(region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
