"""Application Auto Scaling."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.applicationautoscaling",
    signing_name="application-autoscaling",
    backend="applicationautoscaling",
    hooks=("hook",),
    resources=(),
    refused=refusals(
        {
            "PutScheduledAction DeleteScheduledAction DescribeScheduledActions": "register the target again at that"
            " time, with other limits"
        }
    ),
)
