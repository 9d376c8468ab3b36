"""What other services may use: schedules and deliveries, as EventBridge and its Scheduler share them."""

from __future__ import annotations

from localcloud.services.events.delivery import Courier, Sender, Sends
from localcloud.services.events.planner import Planner
from localcloud.services.events.schedule_expression import Rate, ScheduleExpressionError, parse

__all__ = ["Courier", "Planner", "Rate", "ScheduleExpressionError", "Sender", "Sends", "parse"]
