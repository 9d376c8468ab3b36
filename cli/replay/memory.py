"""How much memory this process held at most."""

from __future__ import annotations

import resource
import sys


def own_peak_mb() -> float:
    """The largest resident size of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / (1024 * 1024) if sys.platform == "darwin" else peak / 1024
