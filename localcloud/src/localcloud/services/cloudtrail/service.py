"""CloudTrail: its event history."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

_NO_TRAILS = "no event is delivered anywhere; read the history with LookupEvents"

SERVICE = Service(
    package="localcloud.services.cloudtrail",
    signing_name="cloudtrail",
    backend="cloudtrail",
    hooks=("hook",),
    resources=(),
    settings="cloudtrail",
    # No action of it has a resource here: LookupEvents has none in AWS either.
    accesses=None,
    refused=refusals(
        {
            "CreateTrail UpdateTrail DeleteTrail GetTrail GetTrailStatus DescribeTrails ListTrails StartLogging"
            " StopLogging PutEventSelectors GetEventSelectors PutInsightSelectors GetInsightSelectors AddTags"
            " RemoveTags ListTags": _NO_TRAILS
        }
    ),
)
