"""What the evaluation says of the cost of serving a candidate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServingCost:
    """US dollars for a million requests of one row each, by the on-demand prices of ``region``.

    Attributes
    ----------
    usd_per_million : float
    milliseconds : float
        Of the function, a request: ``assumed_milliseconds``, and the measured median to score a row.
    assumed_milliseconds : float
    memory_mb : int
    region : str
    """

    usd_per_million: float
    milliseconds: float
    assumed_milliseconds: float
    memory_mb: int
    region: str
