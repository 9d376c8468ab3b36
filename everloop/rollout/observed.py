"""Looks at what is deployed of a model, besides where its requests go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from everloop.limits import largest_file
from everloop.names import ALIAS, ModelNames
from everloop.objects import read_object
from everloop.rollout.container_place import is_model_of
from everloop.rollout.endpoint_answers import is_not_there
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget

_CHUNK = 1 << 20
_NOT_THERE = frozenset({"NoSuchKey", "404", "AccessDenied"})
"""Without the right to list a bucket, S3 says of a missing object that access is denied
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html)."""


class AccountReader:
    """Reads what an account has of a model, and changes nothing.

    Parameters
    ----------
    client : callable
        Makes a boto3 client by its service's name.
    model : str
    bucket : str
        Where registered files stand.
    """

    def __init__(self, client: Callable[..., Any], model: str, bucket: str) -> None:
        self._client = client
        self._names = ModelNames(model)
        self._bucket = bucket


class Observer(AccountReader):
    """Looks at what rollouts and deployments made."""

    @property
    def endpoint(self) -> str:
        """The name of the model's SageMaker endpoint, where there is one."""
        return self._names.endpoint

    def aliases(self) -> tuple[str, ...]:
        """The prediction function's aliases, but the one that callers ask."""
        pages = self._client("lambda").get_paginator("list_aliases")
        found = pages.paginate(FunctionName=self._names.function("predict"))
        return tuple(sorted(one["Name"] for page in found for one in page["Aliases"] if one["Name"] != ALIAS))

    def passed_on_to(self, lambda_version: str) -> str:
        """The endpoint of a version that its function version passes requests on to; empty for none."""
        door = LambdaAliasTarget(self._client("lambda"), function=self._names.function("predict"), alias=ALIAS)
        endpoint = door.passes_on_to(lambda_version)
        return endpoint if is_model_of(self.endpoint, endpoint) else ""

    def variants(self) -> tuple[str, ...] | None:
        """What runs on the model's endpoint; None where there is no endpoint."""
        try:
            found = self._client("sagemaker").describe_endpoint(EndpointName=self.endpoint)
        except ClientError as error:
            if not is_not_there(error):
                raise
            return None
        return tuple(variant["VariantName"] for variant in found.get("ProductionVariants", []))

    def content(self, key: str) -> bytes | None:
        """A registered file of JSON as it stands; None where nothing can be read.

        Raises
        ------
        ObjectTooLargeError
            For more than such a file may have.
        """
        try:
            return read_object(self._client("s3"), self._bucket, key, largest_file(key))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_THERE:
                raise
            return None

    def sha256(self, key: str) -> str | None:
        """The SHA-256 of a registered file as it stands, in bounded memory; None where nothing can be read."""
        try:
            body = self._client("s3").get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_THERE:
                raise
            return None
        digest = hashlib.sha256()
        while chunk := body.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()
