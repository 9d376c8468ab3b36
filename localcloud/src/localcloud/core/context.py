"""What every part of the local cloud shares."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.config import Config

from localcloud.core.account import Account, Increases
from localcloud.core.activity import Activity
from localcloud.core.clients import make_client
from localcloud.core.clock import Clock
from localcloud.core.credentials import ACCOUNT_ID, CONTROL_PATH, REGION, Operator
from localcloud.core.settings import Settings

_MAX_CLIENTS = 256
"""Of a service and an identity each; roles are few, but sessions need not be."""


@dataclass(frozen=True)
class CloudContext:
    """One running local cloud.

    Attributes
    ----------
    clock, activity
        The one clock, and who is busy.
    port : int
        Where the AWS API answers, on 127.0.0.1.
    state_directory : Path
        Where workers, jobs and caches keep their files; it belongs to this cloud alone.
    cache_directory : Path
        What outlives a cloud: materialised layers, keyed by content.
    settings : Settings
        What a person set for the services.
    account : Account
        What the account may do.
    increases : Increases
        What more of it was asked for.
    control_path : str
        Where the control endpoints are on the port; no AWS API has it.
    standing : Path, optional
        Where processes stand that have imported for the programs of several clouds.
    operator : Operator
        Who may do everything; random for each cloud.
    """

    clock: Clock
    activity: Activity
    port: int
    state_directory: Path
    cache_directory: Path
    account_id: str = ACCOUNT_ID
    region: str = REGION
    settings: Settings = field(default_factory=Settings)
    account: Account = field(default_factory=Account)
    increases: Increases = field(default_factory=Increases)
    control_path: str = CONTROL_PATH
    standing: Path | None = None
    operator: Operator = field(default_factory=Operator.random)
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def endpoint(self) -> str:
        """The URL of the AWS API."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, **credentials: str) -> Any:
        """A boto3 client of this cloud: the operator's, or one with the given credentials.

        Making one takes milliseconds, so they are kept; callers share them.
        """
        identity = credentials or self.operator.client_arguments()
        key = (service, *(value for _, value in sorted(identity.items())))
        with self._lock:
            if key not in self._clients:
                if len(self._clients) >= _MAX_CLIENTS:
                    self._clients.clear()
                self._clients[key] = make_client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint,
                    config=Config(retries={"total_max_attempts": 1}, read_timeout=900, s3={"addressing_style": "path"}),
                    **identity,
                )
            return self._clients[key]
