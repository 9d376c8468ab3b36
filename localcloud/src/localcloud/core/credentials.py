"""The person at the keyboard: an administrator of the local account, with credentials of one cloud's lifetime.

They are random, made when a cloud starts, and kept in a file that only its user can read. Anyone who knows them,
or is told them by ``localcloud env``, may do everything in that cloud; nobody else may do anything.
Imports nothing of moto: whoever looks for a running cloud reads them here.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
OPERATOR_FILE = "operator.json"
CONTROL_PATH = "/_localcloud/"
"""Where the control endpoints are on the port, unless said otherwise."""

_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class Operator:
    """Credentials of the operator.

    Attributes
    ----------
    access_key_id, secret_access_key : str
        What requests to the AWS API are signed with.
    control_token : str
        What requests to the control endpoints carry.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    control_token: str = field(repr=False)

    @classmethod
    def random(cls) -> Operator:
        """Credentials that nobody has had before."""
        key = "".join(secrets.choice(_KEY_LETTERS) for _ in range(11))
        return cls(f"AKIALOCAL{key}", secrets.token_urlsafe(30), secrets.token_urlsafe(30))

    def client_arguments(self) -> dict[str, str]:
        """The credentials as keyword arguments of ``boto3.client``."""
        return {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret_access_key}

    def write(self, directory: Path) -> None:
        """Keep them in a file of mode 0600, which is there whole or not at all."""
        path = directory / OPERATOR_FILE
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        document = {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "control_token": self.control_token,
        }
        # O_EXCL: a file or link that somebody else laid there in between is not written to
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file)
        partial.replace(path)

    @classmethod
    def read(cls, directory: Path) -> Operator:
        """Those of the cloud on a state directory.

        Raises
        ------
        OSError
            When there is no such file, or it is not this user's to read.
        ValueError
            When it is not what :meth:`write` writes.
        """
        document = json.loads((directory / OPERATOR_FILE).read_text())
        try:
            return cls(document["access_key_id"], document["secret_access_key"], document["control_token"])
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{directory / OPERATOR_FILE} does not contain an operator's credentials: {error}"
            ) from None
