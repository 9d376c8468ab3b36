"""IAM."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.iam",
    signing_name="iam",
    backend="iam",
    hooks=("limits", "managed_policies"),
    follows_clock=True,
    refused=refusals(
        {
            "CreateUser CreateGroup CreateAccessKey CreateLoginProfile": "use roles: create one",
            "CreateOpenIDConnectProvider CreateSAMLProvider": "nobody signs in here: create a role",
        }
    ),
)
