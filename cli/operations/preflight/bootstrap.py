"""The CDK's bootstrap: the bucket and the roles that ``cdk deploy`` works with.

Source: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import DEPLOY
from everloop.cli.operations.preflight.findings import Finding, MayNotLook, asked, error_code
from everloop.cli.operations.preflight.needs import Needs

ROLES = ("deploy", "file-publishing")
"""What ``cdk deploy`` assumes: the one deploys stacks, the other uploads code."""


class Bootstrap:
    """The region is bootstrapped, and by a version that is new enough."""

    name = "bootstrap"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Read the parameter that a bootstrap leaves."""
        parameter = f"/cdk-bootstrap/{needs.qualifier}/version"
        remedy = f"`{DEPLOY.removesuffix('deploy --all')}bootstrap`, once for each account and region"
        try:
            found = asked("ssm:GetParameter", account.client("ssm").get_parameter, Name=parameter)
        except ClientError as error:
            if error_code(error) != "ParameterNotFound":
                raise
            yield Finding(self.name, "missing", f"there is no parameter {parameter}: no bootstrap", remedy)
            return
        version = found["Parameter"]["Value"]
        if not version.isdigit() or int(version) < needs.bootstrap_version:
            yield Finding(
                self.name,
                "missing",
                f"bootstrap version {version}; version {needs.bootstrap_version} or newer is required",
                remedy,
            )
        else:
            yield Finding(self.name, "good", f"version {version}")


class DeployRoles:
    """These credentials may assume the bootstrap's roles. It is tried: nothing else says it for sure."""

    name = "may deploy"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Assume each of them, for nothing."""
        sts = account.client("sts")
        who = sts.get_caller_identity()
        partition, number = who["Arn"].split(":")[1], who["Account"]
        for role in ROLES:
            name = f"cdk-{needs.qualifier}-{role}-role-{number}-{account.region}"
            arn = f"arn:{partition}:iam::{number}:role/{name}"
            try:
                asked("sts:AssumeRole", sts.assume_role, RoleArn=arn, RoleSessionName="preflight")
            except MayNotLook:
                yield Finding(
                    self.name,
                    "missing",
                    f"these credentials may not assume {name}, or the role does not exist",
                    f"bootstrap first; then request sts:AssumeRole on {arn}, or deploy with other credentials",
                )
            else:
                yield Finding(self.name, "good", f"may assume {name}")
