"""Which metrics of AWS's own namespaces there are here: an alarm on another one would wait for ever."""

from __future__ import annotations

from localcloud.services.registry import services


def metric_problem(namespace: str, metric: str) -> str | None:
    """Why there will be no such metric; None when there may be one."""
    emitted = {name for service in services() for name in service.metrics}
    if not namespace.startswith("AWS/") or f"{namespace} {metric}" in emitted:
        return None
    alike = sorted(name.split(" ")[1] for name in emitted if name.startswith(f"{namespace} "))
    known = f"{namespace} has {', '.join(alike)}" if alike else f"nothing here emits metrics of {namespace}"
    return f"nothing here emits the metric {metric} of {namespace}: {known}"
