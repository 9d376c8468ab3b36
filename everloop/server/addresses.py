"""Which path of the data plane a path of the server stands for.

A server of one model answers its protocols also where their clients look for them when they are given an address alone.
"""

from __future__ import annotations

from functools import lru_cache

from everloop.names import ModelNames

_AT_THE_ROOT = {
    "invocations": "sagemaker/invocations",
    "ping": "sagemaker/ping",
    "health": "mlflow/health",
    "version": "mlflow/version",
}
"""SageMaker's form of ``invocations`` takes MLflow's documents too, and refuses in its words."""


@lru_cache(maxsize=64)
def data_plane_path(path: str, model: str) -> str:
    """The path below the model's data plane; what stands for none is passed on, and refused there.

    ``/models/<model>/…`` is the API's own address, and ``/endpoints/<model>/invocations`` what SageMaker's clients ask
    for. Each protocol is at its own name too, so ``/v2/…`` is where clients of the Open Inference Protocol look.
    """
    base = ModelNames(model).path("")
    if path.startswith(base):
        return path[len(base) :] or "/"
    plain = path.strip("/")
    if plain == f"endpoints/{model}/invocations":
        return _AT_THE_ROOT["invocations"]
    return _AT_THE_ROOT.get(plain, plain or "/")
