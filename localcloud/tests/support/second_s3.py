"""Another distribution's service, for requests that S3 answers already."""

from localcloud.services.service import Service

SERVICE = Service(package="support", signing_name="s3", backend="s3")
