"""What Service Quotas answers: the quotas that the local cloud holds requests to.

Those are Lambda's concurrent executions and SageMaker's instances by type, for training and for processing. Of other
services it knows nothing, and says so; an increase is AWS's to grant, and is refused.

Replaces: moto's answers, which know quotas of Amazon VPC alone.
Why: who asks what an account may do before a deployment has to hear what the deployment would meet.
Superfluous: once moto knows the quotas of Lambda and SageMaker, and has a way to set them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.model import StringShape
from botocore.session import Session
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.servicequotas.responses import ServiceQuotasResponse

from localcloud.core.account import Account
from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace

JOBS = {"training": "TrainingInstanceType", "processing": "ProcessingInstanceType"}
"""Kinds of SageMaker's jobs, and what its API calls their instance types."""

_DEFAULTS = Account()
_PAGE = 100


class QuotasError(ServiceException):
    """An error answer of Service Quotas."""


def quota_name(instance_type: str, job: str) -> str:
    """What Service Quotas calls the instances of a type for a kind of job."""
    return f"{instance_type} for {job} job usage"


def install(context: CloudContext) -> None:
    """Answer for the account."""
    account = context.account

    def listed(of: Account) -> Any:
        def answer(self: ServiceQuotasResponse) -> ActionResult:
            quotas = _quotas(_param(self, "ServiceCode"), of, context)
            start, size = int(_param(self, "NextToken") or 0), int(_param(self, "MaxResults") or _PAGE)
            page: dict[str, Any] = {"Quotas": quotas[start : start + size]}
            if start + size < len(quotas):
                page["NextToken"] = str(start + size)
            return ActionResult(page)

        return answer

    def get_service_quota(self: ServiceQuotasResponse) -> ActionResult:
        code = _param(self, "QuotaCode")
        for quota in _quotas(_param(self, "ServiceCode"), account, context):
            if quota["QuotaCode"] == code:
                return ActionResult({"Quota": quota})
        raise QuotasError("NoSuchResourceException", f"The specified quota {code} does not exist.")

    add(ServiceQuotasResponse, "list_service_quotas", listed(account))
    replace(ServiceQuotasResponse, "list_aws_default_service_quotas", listed(_DEFAULTS))
    replace(ServiceQuotasResponse, "get_service_quota", get_service_quota)


def _param(response: ServiceQuotasResponse, name: str) -> Any:
    return response._get_param(name)


def _quotas(service: str, account: Account, context: CloudContext) -> list[dict[str, Any]]:
    if service == "lambda":
        values: Mapping[str, tuple[str, float]] = {
            "Concurrent executions": ("L-B99A9384", float(account.lambda_concurrency))
        }
    elif service == "sagemaker":
        values = {name: (_code(name), float(account.sagemaker_instances)) for name in _instance_quotas()}
    else:
        raise QuotasError(
            "NoSuchResourceException", f"The local cloud holds requests to no quota of {service}, and knows none."
        )
    where = f"arn:aws:servicequotas:{context.region}:{context.account_id}:{service}"
    return [
        {
            "ServiceCode": service,
            "QuotaName": name,
            "QuotaCode": code,
            "QuotaArn": f"{where}/{code}",
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        for name, (code, value) in values.items()
    ]


@cache
def _instance_quotas() -> tuple[str, ...]:
    model = Session().get_service_model("sagemaker")
    shapes = ((job, model.shape_for(shape)) for job, shape in JOBS.items())
    kinds = ((job, kind) for job, shape in shapes if isinstance(shape, StringShape) for kind in shape.enum)
    return tuple(quota_name(kind, job) for job, kind in kinds)


def _code(name: str) -> str:
    """A code for a quota, always the same. It is none of AWS's, which follow no rule."""
    return f"L-{sum(ord(c) * 31**i for i, c in enumerate(name)) % 16**8:08X}"
