"""Why what serves stays as it is, in the words of whoever is asked to change it."""

from __future__ import annotations


def code_waits(model: str) -> str:
    """The function has code or settings that no rollout has brought to serve yet."""
    return (
        "new code was deployed but does not serve yet, and a calibration can't bring new code: `everloop rollout"
        f" start {model}` rolls it out, and the first window after that publishes again"
    )
