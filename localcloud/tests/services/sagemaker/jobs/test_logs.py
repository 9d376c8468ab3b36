"""A job's log stream, beside those of other jobs."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.services.sagemaker.jobs.logs import LogStream
from support.in_process import Cloud

GROUP = "/aws/sagemaker/TrainingJobs"


def test_two_jobs_that_start_at_once_share_their_group(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN classes of errors that another thread made anew in between, THEN the group that exists is taken."""
    client = cloud.context.client("logs")
    LogStream(cloud.context, GROUP, "one")
    original = client._load_exceptions

    class Anew:
        """Each look makes the classes again, as the first looks of two threads do."""

        def __get__(self, _client: Any, _kind: Any) -> Any:
            client._exceptions_cache.clear()
            return original()

    monkeypatch.setattr(type(client), "exceptions", Anew())
    monkeypatch.setattr(client, "_exceptions_cache", client._exceptions_factory._client_exceptions_cache, raising=False)

    LogStream(cloud.context, GROUP, "two").write("a line")

    streams = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["one", "two"]


def test_a_group_that_can_not_be_made_is_an_error(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterException.* CreateLogGroup"):
        LogStream(cloud.context, "long" * 200, "one")
