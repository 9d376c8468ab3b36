"""AWS's public parameters, such as those that lead to its own layers.

Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-finding-public-parameters.html;
for the layer with pandas https://aws-sdk-pandas.readthedocs.io/en/stable/layers.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.operations.preflight.findings import Finding, asked, error_code
from everloop.cli.operations.preflight.needs import Needs


class PublicParameters:
    """The region has what the stacks look up while they are deployed."""

    name = "layers"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Read each of them."""
        client = account.client("ssm")
        for name, stacks in needs.parameters.items():
            try:
                found = asked("ssm:GetParameter", client.get_parameter, Name=name)
            except ClientError as error:
                if error_code(error) != "ParameterNotFound":
                    raise
                yield Finding(
                    self.name,
                    "missing",
                    f"region {account.region} has no {name}, which {', '.join(stacks)} reads",
                    "deploy in a region that has it, and see which do: "
                    f"`aws ssm get-parameter --name {name} --region REGION`",
                )
            else:
                yield Finding(self.name, "good", str(found["Parameter"]["Value"]))
