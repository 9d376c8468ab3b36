"""What other services may use: plans and deliveries, as EventBridge and its Scheduler share them."""

from __future__ import annotations

from localcloud.services.events.delivery import Courier, DeliveryError, Sender, Sends
from localcloud.services.events.planner import Planner

__all__ = ["Courier", "DeliveryError", "Planner", "Sender", "Sends"]
