"""Models that are deployed and have no folder (any more): nobody deploys, changes or deletes them."""

from __future__ import annotations

from collections.abc import Iterable


def undeclared_sentence(model: str) -> str:
    """What such a model does, and how it is removed or brought back."""
    return (
        f"is deployed but has no folder models/{model}/: it still answers, monitors, trains and costs money, and no"
        " deployment changes or deletes it. Restore the folder (under another name it is another model), or remove the"
        f" model: `everloop remove {model}` (`everloop docs change-a-model`)"
    )


def undeclared(deployed: Iterable[str], declared: Iterable[str]) -> dict[str, str]:
    """The deployed models that are not declared, sorted, each with its sentence."""
    return {model: undeclared_sentence(model) for model in sorted(set(deployed) - set(declared))}
