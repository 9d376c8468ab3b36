"""The images that SageMaker endpoints run, which are the account's own: SageMaker's are a matter of the region.

Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.operations.preflight.findings import Finding, asked, error_code
from everloop.cli.operations.preflight.needs import Needs

_NOT_THERE = ("RepositoryNotFoundException", "ImageNotFoundException")


class EndpointImages:
    """Each declared image was pushed: the first rollout would end otherwise."""

    name = "images"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Ask the registry for each by its digest. One of another region is told with the region."""
        for image in sorted({one.image for one in needs.endpoints}):
            host, _, rest = image.partition("/")
            registry, region = host.split(".")[0], host.split(".")[3]
            if region != account.region:
                continue
            repository, _, digest = rest.partition("@")
            named = {"registryId": registry, "repositoryName": repository, "imageIds": [{"imageDigest": digest}]}
            try:
                asked("ecr:DescribeImages", account.client("ecr").describe_images, **named)
            except ClientError as error:
                if error_code(error) not in _NOT_THERE:
                    raise
                remedy = "build and push it (`everloop docs serve`), and declare its digest as serving.endpoint.image"
                yield Finding(self.name, "missing", f"there is no {image}", remedy)
            else:
                yield Finding(self.name, "good", image)
