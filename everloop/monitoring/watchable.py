"""Which features of a champion can be watched under the declaration of today.

A champion outlives changes of its declaration: a column may be gone from the lake's tables, or bear another type. The
monitor goes on with what both sides have, and says what it leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.reference import SCORE, Reference

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class Watchable:
    """What is watched, and what is not.

    Attributes
    ----------
    reference : Reference
        The champion's, of the features that are watched.
    left_out : dict of str to str
        Why each other feature is not, in words.
    """

    reference: Reference
    left_out: dict[str, str]


def watchable(reference: Reference, declaration: ModelDeclaration) -> Watchable:
    """The part of a champion's reference that the declared tables have columns for."""
    declared = {f.name: f.type for f in declaration.data.features}
    capture = declaration.serving.capture
    masked = frozenset(() if capture is None else capture.mask)
    left_out: dict[str, str] = {}
    for name, feature in reference.features.items():
        kind = "category" if isinstance(feature.bins, CategoryBins) else "number"
        if name not in declared:
            left_out[name] = "no longer declared"
        elif declared[name] != kind:
            left_out[name] = f"declared as a {declared[name]} now, and the champion knows it as a {kind}"
        elif name in masked:
            left_out[name] = "masked in captured rows (serving.capture.mask)"
    watched = part_of_reference(reference, [n for n in reference.features if n not in left_out])
    new = {n: "declared after the champion was trained" for n in declared if n not in reference.features}
    scores = {SCORE: reference.score_unjudged} if reference.score_unjudged else {}
    return Watchable(watched, {**left_out, **new, **scores})


def part_of_reference(reference: Reference, names: list[str]) -> Reference:
    """The reference of some of its features; itself where these are all."""
    if list(reference.features) == names:
        return reference
    return replace(reference, features={name: reference.features[name] for name in names})
