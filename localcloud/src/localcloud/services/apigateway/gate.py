"""Who may call an API, and whether a function lets API Gateway call it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from localcloud.core.context import CloudContext
from localcloud.core.http_server import HttpRequest
from localcloud.iam.identities import Session, find_role, find_session, role_boundary, role_policies, secrets_of
from localcloud.iam.policy import AccessRequest, Principal, decide, decide_for_principal
from localcloud.iam.signatures import SignatureError, claim_of, verify
from localcloud.services.apigateway.caller import Caller, ForbiddenError
from localcloud.services.lambda_.seam import LambdaServiceError, lambda_service

PRINCIPAL = "apigateway.amazonaws.com"


class ApiGate:
    """Who may call an API, and whether a function lets API Gateway call it."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._secret_of = secrets_of(context)
        self._allowed: dict[tuple[str, str | None, str, str], bool] = {}

    def caller(self, request: HttpRequest, api_id: str, stage: str, path: str) -> Caller:
        """The caller of an AWS_IAM route.

        Parameters
        ----------
        path : str
            Without the stage.

        Raises
        ------
        ForbiddenError
            When the signature is missing or wrong, or no policy allows ``execute-api:Invoke``.
        """
        try:
            claim = claim_of(request)
            verify(request, claim, self._secret_of, (datetime.now(UTC), self._context.clock.now()))
        except SignatureError as error:
            raise ForbiddenError(error.kind, str(error)) from error
        key, expected = claim.key, ("execute-api", self._context.region)
        if (claim.service, claim.region) != expected:
            raise ForbiddenError(
                "scope", f"signed for {claim.service} in {claim.region}, not for {' in '.join(expected)}"
            )
        account = self._context.account_id
        if key == self._context.operator.access_key_id:
            return Caller(key, account, "operator", f"arn:aws:iam::{account}:user/operator", "operator")
        session = find_session(account, key)
        assert session is not None, "its secret was found a moment ago"
        resource = f"arn:aws:execute-api:{self._context.region}:{account}:{api_id}/{stage}/{request.method}{path}"
        self._require(session, AccessRequest("execute-api:Invoke", resource, self._keys(session)))
        identifier = f"{session.role_id}:{session.name}"
        return Caller(key, account, identifier, session.arn, identifier)

    def function_allows(self, function: str, qualifier: str | None, source_arn: str) -> bool:
        """Whether the resource policy of exactly this function or alias allows API Gateway this route."""
        store = lambda_service().store
        try:
            revision = store.function(function).policy_revisions.get(qualifier or "", "")
            key = (function, qualifier, revision, source_arn)
            if key not in self._allowed:
                self._allowed[key] = self._ask_policy(function, qualifier, source_arn)
            return self._allowed[key]
        except LambdaServiceError:  # no such function or alias
            return False

    def _ask_policy(self, function: str, qualifier: str | None, source_arn: str) -> bool:
        statements = lambda_service().policies.statements(function, qualifier)
        if not statements:
            return False
        arn = lambda_service().store.function(function).arn + (f":{qualifier}" if qualifier else "")
        keys = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (self._context.account_id,)}
        request = AccessRequest("lambda:InvokeFunction", arn, keys)
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        return decide_for_principal(policy, Principal(service=PRINCIPAL), request).allowed

    def _require(self, session: Session, request: AccessRequest) -> None:
        account = self._context.account_id
        try:
            role = find_role(account, session.role_arn)
        except LookupError as error:
            raise ForbiddenError("denied", str(error)) from error
        limits = filter(None, (role_boundary(account, role), session.session_policy))
        for documents in (role_policies(role), *((limit,) for limit in limits)):
            decision = decide(documents, request)
            if not decision.allowed:
                raise ForbiddenError(
                    "denied",
                    f"User: {session.arn} is not authorized to perform: {request.action} on resource: "
                    f"{request.resource} {decision.reason}",
                )

    def _keys(self, session: Session) -> dict[str, tuple[str, ...]]:
        return {
            "aws:requestedregion": (self._context.region,),
            "aws:principalarn": (session.role_arn,),
            "aws:principalaccount": (self._context.account_id,),
            "aws:userid": (f"{session.role_id}:{session.name}",),
            "aws:sourceip": ("127.0.0.1",),
            "aws:securetransport": ("true",),
        }
