"""All checks, in the order in which one stands on the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from everloop.cli.account import Account
from everloop.cli.operations.preflight.bootstrap import Bootstrap, DeployRoles
from everloop.cli.operations.preflight.findings import Check, Finding, MayNotLook
from everloop.cli.operations.preflight.identity import Identity
from everloop.cli.operations.preflight.images import EndpointImages
from everloop.cli.operations.preflight.lake_formation import LakeFormation
from everloop.cli.operations.preflight.needs import Needs
from everloop.cli.operations.preflight.quotas import LambdaConcurrency, LambdaMemory, SageMakerInstances
from everloop.cli.operations.preflight.region import Region

CHECKS: Sequence[Check] = (
    Identity(),
    Region(),
    Bootstrap(),
    DeployRoles(),
    SageMakerInstances(),
    EndpointImages(),
    LambdaConcurrency(),
    LambdaMemory(),
    LakeFormation(),
)


def findings(account: Account, needs: Needs, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """What each check finds. Where the account refuses a question, the finding says which permission it needs."""
    for check in checks:
        try:
            yield from check.look(account, needs)
        except MayNotLook as refused:
            yield Finding(
                check.name,
                "unknown",
                f"these credentials may not read this: {refused.action} is refused",
                f"request {refused.action}, or let somebody who has it run this command",
            )
