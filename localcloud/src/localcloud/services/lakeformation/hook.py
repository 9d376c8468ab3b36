"""Whether Lake Formation governs the data catalogue.

Where it does, a database or table is made only by who is its administrator, as the settings of the data lake name
them. Its grants are not executed: they are refused.

Replaces: moto's Lake Formation, which records settings and grants, and its Glue, which asks nobody.
Why: in an account with Lake Formation a deployment that IAM allows is refused all the same.
Obsolete: once moto's Glue holds requests to Lake Formation's grants.
"""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.glue.responses import GlueResponse
from moto.lakeformation.models import LakeFormationBackend, lakeformation_backends
from moto.lakeformation.responses import LakeFormationResponse

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.iam.identities import find_session
from localcloud.iam.signer import current_signer

EVERYBODY = "IAM_ALLOWED_PRINCIPALS"
_KINDS = {
    "create_database": ("Database", "Create Database on Catalog"),
    "create_table": ("Table", "Create Table on Database"),
}


class LakeFormationError(ServiceException):
    """A refusal of Lake Formation's."""


def install(context: CloudContext) -> None:
    """Set the account's defaults, and hold Glue to them."""
    backend = lakeformation_backends[context.account_id][context.region]
    if context.account.lake_formation:
        backend.settings[context.account_id] |= {
            "CreateDatabaseDefaultPermissions": [],
            "CreateTableDefaultPermissions": [],
        }
    for name, (kind, required) in _KINDS.items():
        wrap(GlueResponse, name, _governed(backend, context.account_id, kind, required))
    for name in ("grant_permissions", "batch_grant_permissions"):
        replace(LakeFormationResponse, name, _refuse_grants)


def _governed(backend: LakeFormationBackend, account: str, kind: str, required: str) -> Any:
    def build(original: Any) -> Any:
        def create(self: GlueResponse) -> Any:
            settings = backend.get_data_lake_settings(account)
            by_iam = any(
                entry["Principal"]["DataLakePrincipalIdentifier"] == EVERYBODY
                for entry in settings.get(f"Create{kind}DefaultPermissions", ())
            )
            admins = {entry["DataLakePrincipalIdentifier"] for entry in settings.get("DataLakeAdmins", ())}
            if not by_iam and not admins & _names_of_caller(account):
                raise LakeFormationError(
                    "AccessDeniedException", f"Insufficient Lake Formation permission(s): Required {required}"
                )
            return original(self)

        return create

    return build


def _names_of_caller(account: str) -> set[str]:
    """What an administrator may be named by, of who signed the request; nothing of the operator's."""
    signer = current_signer()
    session = find_session(account, signer.access_key_id) if signer else None
    return {session.arn, session.role_arn} if session else set()


def _refuse_grants(_response: LakeFormationResponse) -> Any:
    raise LakeFormationError(
        "OperationTimeoutException",
        "Grants are not executed by the local cloud: make the role an administrator (PutDataLakeSettings)",
    )
