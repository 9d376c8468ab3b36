"""Who asks, and in which account and region."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.cli.account import Account, explained_credentials
from everloop.cli.operations.preflight.findings import Finding
from everloop.cli.operations.preflight.needs import Needs


class Identity:
    """The credentials are known to AWS. The command ends where they are not: nothing else can be asked then."""

    name = "credentials"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Ask who one is, which needs no permission."""
        with explained_credentials(account):
            who = account.client("sts").get_caller_identity()
        sentence = f"{who['Arn']}, in account {who['Account']} and region {account.region}"
        if who["Arn"].endswith(":root"):
            remedy = "AWS advises against using the root user: use a role (`aws sso login`) for deployments"
            yield Finding(self.name, "unknown", f"{sentence}: the account's root user", remedy)
        else:
            yield Finding(self.name, "good", sentence)
