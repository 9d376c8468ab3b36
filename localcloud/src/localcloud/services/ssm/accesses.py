"""What requests to Systems Manager need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    names = params.get("Names") or [params.get("Name") or params.get("Path") or params.get("ResourceId")]
    if not all(names) or "Document" in call.action:
        return None
    return [Access(f"ssm:{call.action}", (call.named_arn("ssm", "parameter/", name.lstrip("/")),)) for name in names]
