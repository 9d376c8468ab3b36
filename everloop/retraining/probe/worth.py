"""In what a retraining is weighed, and what one costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.documents.probe import DailyLosses, ProbeDocument
from everloop.instants import instant_text
from everloop.retraining.exceptions import FreshProbeError

if TYPE_CHECKING:
    from everloop.model_file.schema import Investment, ModelDeclaration

SHARE_WITHOUT_MONEY = 0.1
"""What a retraining costs, in losses of a window, where prices are in another currency than that of AWS."""


@dataclass(frozen=True)
class Worth:
    """How losses become the unit in which a retraining is weighed.

    Attributes
    ----------
    money : bool
        Whether they are what decisions cost, over all rows of a window; else the mean loss of its rows.
    unit : str
        What sentences call it.
    price : float
        Of a retraining, in money; else as a share of what a window loses.
    """

    money: bool
    unit: str
    price: float

    def cost(self, window_losses: Sequence[float]) -> float:
        """Of a retraining, in the unit.

        Parameters
        ----------
        window_losses : sequence of float
            What fresh probes lost in the known windows.
        """
        return self.price if self.money else self.price * math.fsum(window_losses) / len(window_losses)

    def of_window(self, losses: DailyLosses, rows: Sequence[int], document: ProbeDocument) -> float:
        """A window's loss from that of the rows which were scored, by day."""
        return math.fsum(self.by_day(losses, rows, document))

    def by_day(self, losses: DailyLosses, rows: Sequence[int], document: ProbeDocument) -> list[float]:
        """By day what adds up to the window's loss.

        Raises
        ------
        FreshProbeError
            When money is wanted of a probe that was measured before prices were declared.
        """
        scored = sum(rows)
        if not self.money:
            return [loss / scored for loss in losses["loss"]]
        if losses["money"] is None:
            raise FreshProbeError(f"the probe of {instant_text(document['window_end'])} was measured without prices")
        return [amount * document["window_rows"] / scored for amount in losses["money"]]


def worth_of(declaration: ModelDeclaration, investment: Investment) -> Worth:
    """As the declaration says it; see :class:`everloop.model_file.sections.retraining.Investment`."""
    value = declaration.problem.value
    if investment.cost is not None:
        return Worth(True, value.currency, investment.cost)
    if investment.cost_share is None and value.currency == "USD":
        return Worth(True, value.currency, declaration.cost.max_training_run_usd)
    share = SHARE_WITHOUT_MONEY if investment.cost_share is None else investment.cost_share
    return Worth(False, f"{declaration.gate.metric} of a window", share)
