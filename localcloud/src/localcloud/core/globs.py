"""Wildcards of IAM: ``*`` for any characters, ``?`` for one.

Written as atomic groups, each literal is looked for once: ``.*`` for each star would try every way of sharing out the
text between them, and a policy with a few stars would hold up everything for minutes.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def glob(pattern: str) -> re.Pattern[str]:
    """What matches the texts that ``pattern`` means, by ``fullmatch``."""
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    # The leftmost place of each literal leaves the most for those after it, so no other must be tried.
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle if part) + ".*" + last, re.DOTALL)
