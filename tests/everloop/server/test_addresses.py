from __future__ import annotations

import pytest

from everloop.server.addresses import data_plane_path
from everloop.serving.protocols import protocol_at


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/models/late_train/predictions", ("predictions", "")),
        ("/models/late_train/v2/health/live", ("v2", "health/live")),
        ("/v2", ("v2", "")),
        ("/v2/models/late_train/infer", ("v2", "models/late_train/infer")),
        ("/invocations", ("sagemaker", "invocations")),
        ("/endpoints/late_train/invocations", ("sagemaker", "invocations")),
        ("/ping", ("sagemaker", "ping")),
        ("/health", ("mlflow", "health")),
        ("/version", ("mlflow", "version")),
        ("/mlflow/invocations", ("mlflow", "invocations")),
    ],
)
def test_each_client_finds_its_protocol(path: str, reached: tuple[str, str]) -> None:
    assert protocol_at(data_plane_path(path, "late_train")) == reached


@pytest.mark.parametrize(
    "path", ["/", "", "//", "/models/other/predictions", "/endpoints/other/invocations", "/x", "/models/late_train/"]
)
def test_what_is_nowhere_is_the_native_protocols_to_refuse(path: str) -> None:
    name, rest = protocol_at(data_plane_path(path, "late_train"))
    assert name == "predictions"
    assert rest, "an empty rest is a request for predictions"
