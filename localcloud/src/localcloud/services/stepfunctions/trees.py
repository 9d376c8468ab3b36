"""The trees of the machines that were parsed last: an execution makes its interpreter from one, and changes none.

Replaces: a parse for each execution.
Why: it is most of what starting an execution costs.
Obsolete: once moto keeps what it has parsed.
"""

from __future__ import annotations

import threading
from typing import Any

KEPT = 4
"""Of machines; one of twenty states takes 4 MB."""


def keeping_trees(parser: type[Any]) -> type[Any]:
    """A parser of the language that remembers the newest trees without an error, by the text."""
    kept: dict[str, Any] = {}
    lock = threading.Lock()

    class Keeping(parser):  # type: ignore[misc]  # ANTLR's, which has no types
        def state_machine(self) -> Any:
            text = self.getTokenStream().tokenSource.inputStream.strdata
            with lock:
                tree = kept.pop(text, None)
                if tree is not None:
                    kept[text] = tree
                    return tree
            tree = super().state_machine()
            if not self.getNumberOfSyntaxErrors():
                with lock:
                    kept[text] = tree
                    while len(kept) > KEPT:
                        del kept[next(iter(kept))]
            return tree

    return Keeping
