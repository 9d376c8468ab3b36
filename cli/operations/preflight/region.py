"""Whether the region has everything that the templates name."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.cli.account import Account
from everloop.cli.operations.preflight.findings import Finding
from everloop.cli.operations.preflight.needs import Needs


class Region:
    """The region is one of those in which the templates can be deployed."""

    name = "region"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Compare; nothing is asked of the account."""
        if account.region in needs.regions:
            count = len(needs.regions)
            which = f"one of the {count} regions that have" if count > 1 else "the one region that has"
            yield Finding(self.name, "good", f"{account.region} is {which} all it needs")
        else:
            others = ", ".join(needs.regions)
            remedy = f"AWS_REGION=… one of {others}" if others else "push the images of all endpoints to one region"
            yield Finding(
                self.name,
                "missing",
                f"{account.region} lacks a service, the image of the jobs, or that of an endpoint",
                remedy,
            )
