"""What a million answers of a candidate cost: the function that gives them, and the API in front of it.

The function's time is what ``everloop cost`` assumes of a request, and the measured time to score a row. Rows that come
alone are the dearest. Storage, capture and monitoring do not depend on the model: ``everloop cost`` has them.
"""

from __future__ import annotations

from everloop.cost.prices import PRICES
from everloop.cost.work import SECONDS
from everloop.evaluation.serving_cost_report import ServingCost
from everloop.model_file.prices import PRICES_REGION

REQUESTS = 1_000_000
MB_PER_GB = 1024


def serving_cost(scoring_ms: float, memory_mb: int, api: str = "http") -> ServingCost | None:
    """The cost with this median time to score a row, in milliseconds, and this kind of API; None where a price is
    unknown.
    """
    prices, assumed = PRICES[PRICES_REGION], 1000 * SECONDS["predict"].value
    milliseconds = assumed + scoring_ms
    used = {
        "lambda requests": REQUESTS,
        "lambda x86_64": REQUESTS * milliseconds / 1000 * memory_mb / MB_PER_GB,
        f"{api} api requests": REQUESTS,
    }
    usd = [prices[name].usd(quantity) for name, quantity in used.items()]
    known = [one for one in usd if one is not None]
    if len(known) < len(usd):
        return None
    return ServingCost(sum(known), milliseconds, assumed, memory_mb, PRICES_REGION)
