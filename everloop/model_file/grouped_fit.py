"""Whether the groups that a section declares are those of a feature, few enough, and short enough to be served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.model_file.misfit import Location, Misfit
from everloop.model_file.names import closest_name
from everloop.model_file.partial import is_whole, known, value_of, written
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.recalibration.grouped_by import MOST_GROUPS, GroupBy

RECALIBRATED_RATES = ("max_selection_rate_gap", "max_true_positive_rate_gap", "max_false_positive_rate_gap")
"""Limits of ``recalibration.fairness`` that only a classification has."""

RATES = (*RECALIBRATED_RATES, "min_selection_rate_ratio", "max_equalized_odds_gap")
"""Limits of ``gate.fairness`` that only a classification has."""


def grouped_misfits(declaration: Any, section: Any, at: Location) -> Iterator[Misfit]:
    """What is wrong with ``by``, ``groups`` and ``edges`` of the section that stands at ``at``."""
    by = section.by
    if by is None:
        return
    feature = _feature(declaration, by)
    if feature is None:
        yield from _no_feature(declaration, by, at)
        return
    if feature.type == "number":
        yield from _of_number(section, by, at)
    else:
        yield from _of_category(section, feature, at)


def dimension_misfits(declaration: Any, by: Any, at: Location) -> Iterator[Misfit]:
    """What is wrong with a feature, at ``at``, that takes the rows of an evaluation apart."""
    name = value_of(by, "by")
    if name is None:
        return
    feature = _feature(declaration, name)
    if feature is None:
        yield from _no_feature(declaration, name, at)
        return
    groups, edges, number = value_of(by, "groups"), value_of(by, "edges"), value_of(feature, "type")
    if number == "number" and groups is not None:
        yield Misfit((*at, "groups"), groups, f"no 'groups': {name!r} is a number, and 'edges' take it apart")
    elif number == "category" and edges is not None:
        yield Misfit((*at, "edges"), edges, f"no 'edges': {name!r} is a category; name its 'groups'")
    elif number == "category":
        values, refused = value_of(feature, "values"), value_of(feature, "unseen") == "refuse"
        for index, value in known(groups or []):
            if refused and values and value not in values:
                yield Misfit((*at, "groups", index), value, f"a value that {name!r} may have")


def _feature(declaration: Any, name: str) -> Any:
    features = [feature for _, feature in known(declaration.data.features)]
    return next((f for f in features if value_of(f, "name") == name), None)


def _no_feature(declaration: Any, name: str, at: Location) -> Iterator[Misfit]:
    names = [written(feature, "name") for _, feature in known(declaration.data.features)]
    # A name that is wrong in itself may be meant.
    if name not in [closest_name(other) for other in names if isinstance(other, str)]:
        told = ", ".join(map(str, names)) or "none is declared"
        yield Misfit((*at, "by"), name, f"the name of a feature: {told}")


def _of_number(section: Any, by: str, at: Location) -> Iterator[Misfit]:
    if section.groups is not None:
        yield Misfit((*at, "groups"), section.groups, f"no 'groups': {by!r} is a number, and 'edges' take it apart")
    elif section.edges is None:
        yield Misfit((*at, "edges"), None, f"1 to {MOST_GROUPS - 1} edges: {by!r} is a number, so its groups are spans")


def _of_category(section: Any, feature: Any, at: Location) -> Iterator[Misfit]:
    if section.edges is not None:
        yield Misfit((*at, "edges"), section.edges, f"no 'edges': {feature.name!r} is a category; name its 'groups'")
        return
    values = feature.values
    if section.groups is None and not values:
        yield Misfit(
            (*at, "groups"), None, f"1 to {MOST_GROUPS} values of {feature.name!r}, which declares none itself"
        )
        return
    if section.groups is None and len(values) > MOST_GROUPS:
        allowed = f"1 to {MOST_GROUPS} of the {len(values):,} values of {feature.name!r}: each needs labelled rows"
        yield Misfit(
            (*at, "groups"), None, f"{allowed} of its own, and the others are served by the shared calibration"
        )
        return
    for index, value in known(section.groups or []):
        if len(value) > feature.max_length or (feature.unseen == "refuse" and values and value not in values):
            yield Misfit((*at, "groups", index), value, f"a value that {feature.name!r} may have")
    groups = section.groups or values or []
    if is_whole(section) and is_whole(feature) and all(groups) and len(set(groups)) == len(groups) <= MOST_GROUPS:
        try:
            GroupBy.of(feature.name, number=False, groups=groups, edges=None)
        except CalibrationFormatError as error:
            yield Misfit((*at, "groups"), section.groups, f"shorter or fewer groups: {error}")
