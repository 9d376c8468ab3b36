"""Why what serves stays as it is, in the words of whoever is asked to change it."""

from __future__ import annotations


def code_waits(model: str) -> str:
    """The function has code or settings that no rollout has brought to serve yet."""
    return (
        "the function was deployed anew, and what serves is as it was before; a calibration brings no new code:"
        f" `everloop rollout start {model}` rolls that out, and the first window after it publishes again"
    )
