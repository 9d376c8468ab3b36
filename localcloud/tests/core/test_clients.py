from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import botocore.loaders
import pytest

from localcloud.core.clients import make_client


def test_a_description_is_read_once_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = botocore.loaders.JSONFileLoader.load_file

    def counted(self: Any, file_path: str) -> Any:
        found = load(self, file_path)
        if found is not None:
            read.append(file_path)
        return found

    monkeypatch.setattr(botocore.loaders.JSONFileLoader, "load_file", counted)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def client(number: int) -> Any:
        identity = {"aws_access_key_id": f"key-{number}", "aws_secret_access_key": "secret"}
        return make_client("xray", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", **identity)

    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(client, range(24)))
    assert len({id(each) for each in clients}) == 24
    assert sum("xray" in path and path.endswith("service-2") for path in read) == 1
