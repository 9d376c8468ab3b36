"""Whether Lake Formation stands between IAM and the data catalogue.

An account whose "IAM access control only" defaults are switched off refuses what the platform's stack makes in Glue,
and wants ``lakeformation:GetDataAccess`` of every role that reads. Source:
https://docs.aws.amazon.com/lake-formation/latest/dg/change-settings.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everloop.cli.account import Account
from everloop.cli.operations.preflight.findings import Finding, asked
from everloop.cli.operations.preflight.needs import Needs

_EVERYBODY = "IAM_ALLOWED_PRINCIPALS"


class LakeFormation:
    """New databases and tables are governed by IAM alone, as the templates' roles expect."""

    name = "lake formation"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Read the defaults for new databases and tables."""
        client = account.client("lakeformation")
        settings = asked("lakeformation:GetDataLakeSettings", client.get_data_lake_settings)["DataLakeSettings"]
        kinds = {"databases": "CreateDatabaseDefaultPermissions", "tables": "CreateTableDefaultPermissions"}
        governed = [kind for kind, key in kinds.items() if not _by_iam(settings.get(key, ()))]
        if governed:
            yield Finding(
                self.name,
                "missing",
                f"Lake Formation governs new {' and '.join(governed)}: roles without its grants are refused",
                'turn on "Use only IAM access control" for new databases and tables (Lake Formation, Data Catalog '
                "settings) while the platform's stack is deployed, or grant the deploying role CREATE_DATABASE",
            )
        else:
            yield Finding(self.name, "good", "new databases and tables are governed by IAM alone")


def _by_iam(defaults: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        entry["Principal"]["DataLakePrincipalIdentifier"] == _EVERYBODY and "ALL" in entry["Permissions"]
        for entry in defaults
    )
