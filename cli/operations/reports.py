"""The reports of registered versions, where they lie."""

from __future__ import annotations

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.objects import read_object
from everloop.registry.reports import Reader


def reports_in(account: Account) -> Reader:
    """Reads them out of the account's artefact bucket."""
    s3, bucket = account.client("s3"), account.platform.artifact_bucket

    def read(key: str) -> bytes | None:
        try:
            return read_object(s3, bucket, key, LARGEST_DOCUMENT_BYTES)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise

    return read
