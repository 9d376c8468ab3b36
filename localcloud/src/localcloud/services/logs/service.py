"""CloudWatch Logs."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.logs",
    signing_name="logs",
    backend="logs",
    hooks=("hook",),
    follows_clock=True,
    refused=refusals(
        {
            "PutSubscriptionFilter PutDestination CreateDelivery": "read the group's events with FilterLogEvents",
            "PutMetricFilter": "put the metric with PutMetricData, or write it as EMF",
            "StartQuery": "read the group's events with FilterLogEvents",
            "CreateExportTask": "read the group's events with FilterLogEvents, and put them where they belong",
        }
    ),
)
