"""What an instance of a training or evaluation job costs, in US dollars per hour."""

from __future__ import annotations

from collections.abc import Mapping

PRICES_REGION = "us-east-1"

USD_PER_HOUR: Mapping[str, float] = {
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
}
"""On demand, in ``PRICES_REGION``; a processing instance costs what a training instance costs.

ml.m5.large is the AWS price list's SKU JMCWJEAPVJNFJ5P4 (usage type USE1-Train:ml.m5.large), as of August 2026. The
others are what at least three published lists agree on. AWS's own page is https://aws.amazon.com/sagemaker/ai/pricing/.
A type whose price is not known for certain is left out: a declaration can give it, as ``cost.instance_usd_per_hour``.
"""
