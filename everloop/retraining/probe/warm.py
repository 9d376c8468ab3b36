"""What the probes on record say of a warm start: whether what serves, continued, does better than a new model."""

from __future__ import annotations

from collections.abc import Sequence

from everloop.documents.probe import DailyLosses, ProbeDocument
from everloop.reasons import Reason
from everloop.retraining.probe.spans import lead_over
from everloop.retraining.spans import Lead


def warm_lead(documents: Sequence[ProbeDocument]) -> Lead:
    """How far warm starts are ahead of probes that learned anew, in the windows that have both, the newest one last."""
    return lead_over(documents, both_losses)


def both_losses(document: ProbeDocument) -> tuple[DailyLosses, DailyLosses] | None:
    """What the probe that learned anew lost, and the one that continued what served; None without the second."""
    warm = document.get("warm_start")
    return None if warm is None else (document["fresh"], warm["losses"])


def reason_for_warm(lead: Lead) -> Reason | None:
    """Why trainings are to be warm starts; None where that is not known beyond chance."""
    if not lead.is_sure():
        return None
    told = (
        f"The training is a warm start: where probes continued what served, {lead.told('loss')} than those that learned"
        " anew."
    )
    return Reason("warm_start_leads", told)
