"""The scaler of this process's cloud. moto builds response objects by itself: this is how they find it."""

from __future__ import annotations

from localcloud.services.applicationautoscaling.scaler import Scaler

_scalers: list[Scaler] = []


def use(scaler: Scaler | None) -> None:
    """Let this be the scaler; None for none."""
    _scalers[:] = [scaler] if scaler else []


def registered_variants(endpoint: str) -> set[str]:
    """The variants of an endpoint that are scalable targets."""
    return {t.variant for scaler in _scalers for t in scaler.targets() if t.endpoint == endpoint}


def forget_endpoint(endpoint: str) -> None:
    """Deregister what an endpoint has that is deleted."""
    for scaler in _scalers:
        scaler.forget_endpoint(endpoint)
