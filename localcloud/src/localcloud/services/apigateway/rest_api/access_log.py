"""Access logs of REST APIs: which ``$context`` variables a format may have, and what they stand for.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.services.apigateway.caller import Caller
from localcloud.services.apigateway.observing import Exchange, context_values, filled_in

_NAMES = (
    "accountId apiId authorize.error authorize.latency authorize.status authorizer.error "
    "authorizer.integrationLatency authorizer.integrationStatus authorizer.latency authorizer.principalId "
    "authorizer.requestId authorizer.status authenticate.error authenticate.latency authenticate.status "
    "awsEndpointRequestId customDomain.basePathMatched customDomain.routingRuleIdMatched deploymentId domainName "
    "domainPrefix endpointType error.message error.messageString error.responseType error.validationErrorString "
    "extendedRequestId httpMethod identity.accountId identity.apiKey identity.apiKeyId identity.caller "
    "identity.clientCert.clientCertPem identity.clientCert.subjectDN identity.clientCert.issuerDN "
    "identity.clientCert.serialNumber identity.clientCert.validity.notBefore "
    "identity.clientCert.validity.notAfter identity.cognitoAuthenticationProvider "
    "identity.cognitoAuthenticationType identity.cognitoIdentityId identity.cognitoIdentityPoolId "
    "identity.principalOrgId identity.sourceIp identity.user identity.userAgent identity.userArn identity.vpcId "
    "identity.vpceId integration.error integration.integrationStatus integration.latency integration.requestId "
    "integration.responseTransferMode integration.status integration.timeToAllHeaders "
    "integration.timeToFirstContent integrationErrorMessage integrationLatency integrationStatus isCanaryRequest "
    "path protocol requestId requestTime requestTimeEpoch resourceId resourcePath "
    "responseLatency responseLength stage status tls.cipherSuite tls.version waf.error waf.latency waf.status "
    "waf.responseCode wafResponseCode webaclArn xrayTraceId"
)
KNOWN = frozenset(_NAMES.split())
"""The variables that AWS names, but for those with a free end (:data:`_FREE`)."""

_FREE = ("authorizer.", "requestOverride.", "responseOverride.")
_ANY = re.compile(r"\$context(?:\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_-]+)*))?")
_IDENTIFIED = re.compile(r"\$context\.(?:requestId|extendedRequestId)\b")


@dataclass(frozen=True)
class Details:
    """What only REST APIs say of a request.

    Attributes
    ----------
    error : (str, str) or None
        Type and message of the gateway response that it was answered with.
    integration_status : int or None
        What Lambda answered.
    """

    account_id: str
    deployment_id: str
    extended_request_id: str
    resource_id: str
    resource_path: str
    domain: str
    trace_id: str
    caller: Caller | None
    error: tuple[str, str] | None
    integration_status: int | None


def line(template: str, exchange: Exchange, details: Details) -> str:
    """A format with its variables filled in; those that have no value become ``-``."""
    return filled_in(template, context_values(exchange) | _values(exchange, details))


def _values(exchange: Exchange, details: Details) -> dict[str, str]:
    caller, error = details.caller, details.error
    latency = "" if exchange.integration_ms is None else f"{exchange.integration_ms:.0f}"
    status = "" if details.integration_status is None else str(details.integration_status)
    return {
        "accountId": details.account_id,
        "deploymentId": details.deployment_id,
        "domainName": details.domain,
        "domainPrefix": details.domain.split(".")[0],
        "endpointType": "REGIONAL",
        "error.message": error[1] if error else "",
        "error.messageString": json.dumps(error[1]) if error else "",
        "error.responseType": error[0] if error else "",
        "extendedRequestId": details.extended_request_id,
        "identity.accountId": caller.account_id if caller else "",
        "identity.caller": caller.caller_id if caller else "",
        "identity.user": caller.user_id if caller else "",
        "identity.userArn": caller.user_arn if caller else "",
        "integration.integrationStatus": status,
        "integration.latency": latency,
        "integration.status": status,
        "integrationLatency": latency,
        "integrationStatus": status,
        "resourceId": details.resource_id,
        "resourcePath": details.resource_path,
        "xrayTraceId": details.trace_id.removeprefix("Root="),
    }


def unknown_variables(template: str) -> Iterable[str]:
    """The ``$context`` variables of a format that AWS does not have."""
    for found in _ANY.finditer(template):
        name = found[1] or ""
        if name not in KNOWN and not (name.startswith(_FREE) and not name.endswith(".")):
            yield found[0]


def names_the_request(template: str) -> bool:
    """Whether a format has the request's id, as AWS demands."""
    return _IDENTIFIED.search(template) is not None
