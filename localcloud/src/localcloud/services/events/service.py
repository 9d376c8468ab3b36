"""EventBridge."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.events",
    signing_name="events",
    backend="events",
    hooks=("hook", "limits"),
    follows_clock=True,
    refused=refusals(
        {
            "CreateArchive StartReplay": "let a rule put the events into a queue or a log group",
            "CreateConnection CreateApiDestination": "let a rule invoke a function that calls the API",
        }
    ),
)
