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
)
