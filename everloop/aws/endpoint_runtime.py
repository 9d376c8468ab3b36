"""Invokes an endpoint of SageMaker's.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping

from everloop.aws.transport import Service, endpoint_of
from everloop.serving.passed_on import Invoked

SIGNED_AS = "sagemaker"
MOST = 6 * 1024 * 1024
"""Bytes of an answer that SageMaker passes on."""


def address(region: str, variables: Mapping[str, str]) -> str:
    """Where endpoints of a region are invoked."""
    return endpoint_of("runtime.sagemaker", region, variables)


class SageMakerEndpoint:
    """One endpoint, by its name."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._path = f"/endpoints/{name}/invocations"

    def invoke(self, body: bytes, content_type: str) -> Invoked:
        """The answer, whatever its status.

        Raises
        ------
        OSError, http.client.HTTPException
            When there was none.
        """
        headers = {"content-type": content_type, "accept": content_type}
        answer = self._service.send("POST", self._path, headers, body, most=MOST)
        return Invoked(answer.status, answer.body, answer.headers.get("x-amzn-invoked-production-variant"))
