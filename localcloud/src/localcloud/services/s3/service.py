"""S3."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.s3",
    signing_name="s3",
    backend="s3",
    hooks=("hook", "authorization", "limits", "notifications"),
    resources=("resource", "notification_resource"),
    follows_clock=True,
    accesses=None,
    has_one_url=False,
    executes=lambda path: not path.startswith("/v20180820/"),  # the S3 control API has the same signing name
    refused={
        "PUT ?website": "no web page is answered here: put an HTTP API before the objects",
        "PUT ?replication": "there is one region here: copy the objects",
        **dict.fromkeys(("PUT ?inventory", "PUT ?analytics", "PUT ?metrics"), "list the objects"),
        **dict.fromkeys(("PUT ?accelerate", "PUT ?intelligent-tiering"), "leave it out: it would change nothing here"),
    },
)
