"""What of schedules is executed, as CreateSchedule checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def target_problem(target: Mapping[str, Any]) -> str | None:
    """Why nothing can be sent to a target; None when something can."""
    arn = str(target.get("Arn", ""))
    parts = arn.split(":", 5)
    service = parts[2] if len(parts) == 6 else ""
    if service not in ("lambda", "states", "sqs", "sns", "events"):
        return (
            f"Provided Arn is not in correct format or not a target of the local cloud: {arn}. It knows functions, "
            "state machines, queues, topics and event buses"
        )
    if service == "events" and not target.get("EventBridgeParameters"):
        return f"EventBridgeParameters are required for target {arn}"
    return None
