"""What Service Quotas answers: the quotas that the local cloud holds requests to.

Those are Lambda's concurrent executions and SageMaker's instances by type, for training, for processing and for
endpoints, and of all endpoints together. Of other services it knows nothing, and says so. A request for more instances
is granted after a day; for more of Lambda's it is refused.

Replaces: moto's answers, which know quotas of Amazon VPC alone.
Why: who asks what an account may do before a deployment must hear what the deployment would meet.
Obsolete: once moto knows the quotas of Lambda and SageMaker, and has a way to set them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.model import StringShape
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.servicequotas.responses import ServiceQuotasResponse

from localcloud.core.account import (
    OF_ALL_ENDPOINTS,
    OF_ALL_SERVERLESS,
    Account,
    Increase,
    endpoint_quota,
    instances_quota,
)
from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace

JOBS = {
    "training": "TrainingInstanceType",
    "spot training": "TrainingInstanceType",
    "processing": "ProcessingInstanceType",
}
"""Kinds of SageMaker's jobs, and what its API calls their instance types."""

_DEFAULTS = Account()
_PAGE = 100


class QuotasError(ServiceException):
    """An error answer of Service Quotas."""


def install(context: CloudContext) -> None:
    """Answer for the account."""
    account = context.account

    def listed(of: Account, *, raised: bool) -> Any:
        def answer(self: ServiceQuotasResponse) -> ActionResult:
            quotas = _quotas(_param(self, "ServiceCode"), of, context, raised=raised)
            start, size = int(_param(self, "NextToken") or 0), int(_param(self, "MaxResults") or _PAGE)
            page: dict[str, Any] = {"Quotas": quotas[start : start + size]}
            if start + size < len(quotas):
                page["NextToken"] = str(start + size)
            return ActionResult(page)

        return answer

    def get_service_quota(self: ServiceQuotasResponse) -> ActionResult:
        return ActionResult({"Quota": _quota(self, account, context)})

    def request_service_quota_increase(self: ServiceQuotasResponse) -> ActionResult:
        return ActionResult({"RequestedQuota": _ask(self, _quota(self, account, context), context)})

    def get_requested_service_quota_change(self: ServiceQuotasResponse) -> ActionResult:
        asked = context.increases.find(str(_param(self, "RequestId")))
        if asked is None:
            raise QuotasError("NoSuchResourceException", f"There is no request {_param(self, 'RequestId')}.")
        return ActionResult({"RequestedQuota": _requested(asked, context)})

    add(ServiceQuotasResponse, "list_service_quotas", listed(account, raised=True))
    replace(ServiceQuotasResponse, "list_aws_default_service_quotas", listed(_DEFAULTS, raised=False))
    replace(ServiceQuotasResponse, "get_service_quota", get_service_quota)
    add(ServiceQuotasResponse, "request_service_quota_increase", request_service_quota_increase)
    add(ServiceQuotasResponse, "get_requested_service_quota_change", get_requested_service_quota_change)


def _quota(response: ServiceQuotasResponse, account: Account, context: CloudContext) -> dict[str, Any]:
    """The quota that a request names."""
    code = _param(response, "QuotaCode")
    for quota in _quotas(_param(response, "ServiceCode"), account, context, raised=True):
        if quota["QuotaCode"] == code:
            return quota
    raise QuotasError("NoSuchResourceException", f"The specified quota {code} does not exist.")


def _ask(response: ServiceQuotasResponse, quota: dict[str, Any], context: CloudContext) -> dict[str, Any]:
    service, name, desired = quota["ServiceCode"], quota["QuotaName"], float(_param(response, "DesiredValue"))
    if service != "sagemaker":
        raise QuotasError(
            "IllegalArgumentException",
            "The local cloud grants instances of SageMaker alone: start it as an established account instead.",
        )
    if desired <= quota["Value"]:
        raise QuotasError(
            "IllegalArgumentException", "You must provide a quota value greater than the current quota value."
        )
    now = context.clock.now()
    if any(not each.is_granted(now) for each in context.increases.of(service, name)):
        raise QuotasError(
            "ResourceAlreadyExistsException",
            f"Only one open service quota increase request is allowed per quota: {name}.",
        )
    asked = Increase(uuid.uuid4().hex, service, name, desired, now)
    context.increases.ask(asked)
    return _requested(asked, context)


def _requested(asked: Increase, context: CloudContext) -> dict[str, Any]:
    return {
        "Id": asked.request_id,
        "ServiceCode": asked.service,
        "QuotaName": asked.quota,
        "QuotaCode": _code(asked.quota),
        "DesiredValue": asked.value,
        "Status": "APPROVED" if asked.is_granted(context.clock.now()) else "PENDING",
        "Created": asked.asked_at.timestamp(),
        "GlobalQuota": False,
        "Unit": "None",
    }


def _param(response: ServiceQuotasResponse, name: str) -> Any:
    return response._get_param(name)


def _quotas(service: str, account: Account, context: CloudContext, *, raised: bool) -> list[dict[str, Any]]:
    """The quotas of a service as an account has them; ``raised`` with what was granted of it since."""
    now = context.clock.now()
    if service == "lambda":
        values: Mapping[str, tuple[str, float]] = {
            "Concurrent executions": ("L-B99A9384", float(account.lambda_concurrency))
        }
    elif service == "sagemaker":
        values = {name: (_code(name), float(account.sagemaker_instances)) for name in _instance_quotas()}
        values[OF_ALL_SERVERLESS] = (_code(OF_ALL_SERVERLESS), float(account.serverless_concurrency))
    else:
        raise QuotasError("NoSuchResourceException", f"The local cloud enforces no quota of {service}.")
    where = f"arn:aws:servicequotas:{context.region}:{context.account_id}:{service}"
    return [
        {
            "ServiceCode": service,
            "QuotaName": name,
            "QuotaCode": code,
            "QuotaArn": f"{where}/{code}",
            "Value": context.increases.value(service, name, value, now) if raised else value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        for name, (code, value) in values.items()
    ]


@cache
def _instance_quotas() -> tuple[str, ...]:
    model = get_service_model("sagemaker")
    shapes = ((job, model.shape_for(shape)) for job, shape in JOBS.items())
    kinds = ((job, kind) for job, shape in shapes if isinstance(shape, StringShape) for kind in shape.enum)
    of_endpoints = model.shape_for("ProductionVariantInstanceType")
    endpoints = of_endpoints.enum if isinstance(of_endpoints, StringShape) else ()
    of_jobs = (instances_quota(kind, job) for job, kind in kinds)
    return (*of_jobs, *(endpoint_quota(kind) for kind in endpoints), OF_ALL_ENDPOINTS)


def _code(name: str) -> str:
    """A code for a quota, always the same. It is none of AWS's, which follow no rule."""
    return f"L-{sum(ord(c) * 31**i for i, c in enumerate(name)) % 16**8:08X}"
