"""What was decided about retraining last, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from everloop.cli.exceptions import CommandError
from everloop.documents.investment import InvestmentDocument
from everloop.documents.window import WindowRecord
from everloop.registry.records import Probe
from everloop.registry.store import RegistryStore
from everloop.typed_json import as_json

PROBES_SHOWN = 8


@dataclass(frozen=True)
class RetrainingStory:
    """The monitor's last decision, and the fresh probes on record.

    Attributes
    ----------
    window : WindowRecord
        The last one that was watched.
    weighed : WindowRecord or None
        The last one in which a retraining was weighed as an investment.
    probes : list of Probe
        Newest first.
    """

    window: WindowRecord
    weighed: WindowRecord | None
    probes: list[Probe]

    @property
    def investment(self) -> InvestmentDocument | None:
        """The figures of the last weighing."""
        return None if self.weighed is None else self.weighed.investment

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        window = self.window
        told: dict[str, Any] = {
            "model": window.model,
            "window_end": window.end,
            "decision": window.decision,
            "trigger": window.trigger,
            "held_back_by": window.held_back_by,
            "reasons": window.reasons,
            "weighed_at": None if self.weighed is None else self.weighed.scheduled_at,
            "investment": self.investment,
            "probes": [{"uri": probe.uri, **probe.document} for probe in self.probes],
        }
        found: dict[str, Any] = as_json(told)
        return found


def retraining_of(store: RegistryStore) -> RetrainingStory:
    """The story of the model.

    Raises
    ------
    CommandError
        When no window was watched yet.
    """
    windows = [window.record for window in store.windows.latest(PROBES_SHOWN)]
    if not windows:
        raise CommandError(
            f"{store.model} has no monitored window, so nothing was decided yet",
            f"train a first champion (`everloop train {store.model}`); the monitor then decides on its schedule",
        )
    weighed = next((record for record in windows if record.investment is not None), None)
    return RetrainingStory(windows[0], weighed, store.probes.latest(PROBES_SHOWN))
