"""Quotas that a new account often has at 0, or low.

Service Quotas answers what an account has. Sources: https://docs.aws.amazon.com/general/latest/gr/sagemaker.html,
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, and for what an endpoint's change takes
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.operations.preflight.findings import Finding, asked, error_code
from everloop.cli.operations.preflight.needs import EndpointNeeds, Needs
from everloop.numbers_of import number_of

CONCURRENCY = "L-B99A9384"
"""Lambda's "Concurrent executions"."""

OWN_FUNCTIONS = 3
"""Functions of one model that run at once for the loop itself: the monitor or a pipeline's step, what it asks of the
registry function, and the starter. The rest of the quota is for predictions and labels."""

KEPT_UNRESERVED = 100
"""Of an account's concurrent executions so many can't be reserved
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html)."""

OF_ALL_ENDPOINTS = "Number of instances across active endpoints"
"""SageMaker's quota of all types together. None counts endpoints themselves."""

OF_ALL_SERVERLESS = "Maximum total concurrency that can be allocated across all serverless endpoints"
"""SageMaker's quota of all serverless endpoints together: each counts with its declared concurrency, asked or not."""

WHILE_IT_CHANGES = 3
"""So many times the instances of one version run while a rollout changes an endpoint: the version that serves, and
beside it that version and the candidate anew. SageMaker brings the new list up before it ends the old one."""

NEW_ACCOUNT_MB = 3008
"""The largest function of a new account. No quota tells it, and AWS raises it on request."""


def _request(service: str, code: str, value: float) -> str:
    return (
        f"`aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {value:.0f}`"
    )


@dataclass(frozen=True)
class _Wanted:
    """A quota, the least that will do, what to request where there is less, and whom it is for."""

    name: str
    least: int
    request: int
    why: str


class SageMakerInstances:
    """The account may start the declared instance types, for training and processing jobs and for endpoints."""

    name = "instances"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Read the quotas of SageMaker by their names: their codes differ for each type."""
        on_instances = [one for one in needs.endpoints if one.instance_type]
        serverless = [one for one in needs.endpoints if not one.instance_type]
        wanted = [*_of_jobs(needs), *_of_endpoints(on_instances), *_of_serverless(serverless)]
        found = dict(self._quotas(account, {one.name for one in wanted}))
        for one in wanted:
            quota = found.get(one.name)
            if quota is None:
                remedy = (
                    "look it up in the Service Quotas console, or start a smoke run:  `everloop train MODEL --smoke`"
                )
                yield Finding(self.name, "unknown", f"Service Quotas names no {one.name!r} ({one.why})", remedy)
                continue
            sentence = f"{one.name}: {quota[0]:.0f} ({one.why})"
            if quota[0] < one.least:
                yield Finding(self.name, "missing", sentence, _request("sagemaker", quota[1], one.request))
            else:
                yield Finding(self.name, "good", sentence)

    def _quotas(self, account: Account, names: set[str]) -> Iterator[tuple[str, tuple[float, str]]]:
        """Value and code of the quotas that have these names: the account's own before the default."""
        client = account.client("service-quotas")
        for action in ("list_aws_default_service_quotas", "list_service_quotas"):
            camel = "".join(part.title() for part in action.split("_")).replace("Aws", "AWS")
            pages = client.get_paginator(action).paginate(ServiceCode="sagemaker")
            for quota in asked(f"servicequotas:{camel}", pages.build_full_result)["Quotas"]:
                if quota["QuotaName"] in names:
                    yield quota["QuotaName"], (quota["Value"], quota["QuotaCode"])


def _of_jobs(needs: Needs) -> Iterator[_Wanted]:
    for name, stacks in needs.instances.items():
        yield _Wanted(name, 1, len(stacks), f"of {', '.join(stacks)}")


def _of_endpoints(endpoints: Sequence[EndpointNeeds]) -> Iterator[_Wanted]:
    """By type and of all types: every model's endpoint as it serves, and one of them while a rollout changes it."""
    by_type = {
        f"{kind} for endpoint usage": [one for one in endpoints if one.instance_type == kind]
        for kind in sorted({one.instance_type for one in endpoints})
    }
    for name, its in {**by_type, **({OF_ALL_ENDPOINTS: list(endpoints)} if endpoints else {})}.items():
        serving, largest = sum(one.instances for one in its), max(one.instances for one in its)
        least = serving + (WHILE_IT_CHANGES - 1) * largest
        of = ", ".join(one.stack for one in its)
        yield _Wanted(name, least, least, f"of {of}: {serving} at rest, {least} while a rollout changes an endpoint")


def _of_serverless(endpoints: Sequence[EndpointNeeds]) -> Iterator[_Wanted]:
    """Every model's champion, and the candidate of one of them."""
    if not endpoints:
        return
    serving, largest = sum(one.concurrency for one in endpoints), max(one.concurrency for one in endpoints)
    least, of = serving + largest, ", ".join(one.stack for one in endpoints)
    why = f"of {of}: {serving} at rest, {least} while a version is rolled out, more while calibrations are kept"
    yield _Wanted(OF_ALL_SERVERLESS, least, least, why)


class LambdaConcurrency:
    """Predictions find free concurrency beside the loop's own functions."""

    name = "concurrency"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Ask Lambda itself, which knows what is left unreserved as well."""
        client = account.client("lambda")
        limits = asked("lambda:GetAccountSettings", client.get_account_settings)
        free = limits["AccountLimit"]["UnreservedConcurrentExecutions"]
        own = OWN_FUNCTIONS * needs.loops
        loops = number_of(needs.loops, "loop")
        sentence = (
            f"{free} functions may run at the same time; {loops} {'takes' if needs.loops == 1 else 'take'} at most"
            f" {own}"
        )
        if free <= own:
            yield Finding(self.name, "missing", sentence, _request("lambda", CONCURRENCY, max(1000, 10 * own)))
        else:
            yield Finding(self.name, "good", f"{sentence}: {free - own} are left for predictions and labels")
        if needs.reserved:
            yield self._reserved(client, needs.reserved, free)

    def _reserved(self, client: Any, reserved: Mapping[str, int], free: int) -> Finding:
        """Whether what is declared can be reserved, beside what is already."""
        more = sum(wanted - _reserved_for(client, name) for name, wanted in reserved.items())
        of = ", ".join(f"{number_of(wanted, 'execution')} for {name}" for name, wanted in reserved.items())
        sentence = f"{of} ({free} are unreserved; AWS keeps {KEPT_UNRESERVED} so)"
        if free - more >= KEPT_UNRESERVED:
            return Finding(self.name, "good", sentence)
        request = _request("lambda", CONCURRENCY, max(1000, more + KEPT_UNRESERVED))
        return Finding(
            self.name, "missing", sentence, f"{request}, or take serving.concurrency out until it is granted"
        )


def _reserved_for(client: Any, function: str) -> int:
    """What is reserved for a function, which may not be deployed yet."""
    try:
        answer = asked("lambda:GetFunctionConcurrency", client.get_function_concurrency, FunctionName=function)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return 0
    return int(answer.get("ReservedConcurrentExecutions", 0))


class LambdaMemory:
    """The declared memory is one that a new account has."""

    name = "memory"

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """Compare with what every account has; whether this one has more, no API says."""
        large = [f"{name} ({memory} MB)" for name, memory in needs.memory_mb.items() if memory > NEW_ACCOUNT_MB]
        if large:
            yield Finding(
                self.name,
                "unknown",
                f"{', '.join(large)}: a new account allows at most {NEW_ACCOUNT_MB} MB, and no API says what this"
                " account allows",
                f"declare {NEW_ACCOUNT_MB} MB or less (`serving.memory_mb`), or ask AWS Support for more Lambda memory",
            )
        else:
            yield Finding(self.name, "good", f"no function is above {NEW_ACCOUNT_MB} MB")
