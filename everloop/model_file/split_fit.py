"""Whether the declared split of rows into parts can be made, and kept by whatever learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.model_file.misfit import Misfit
from everloop.model_file.names import closest_name
from everloop.model_file.partial import known, value_of

_AT = ("data", "split")


def keys_of_the_split(declaration: Any) -> Iterator[Misfit]:
    """Whether the split has the keys of its strategy, and no others."""
    split = declaration.data.split
    strategy, group = value_of(split, "strategy"), value_of(split, "group")
    if strategy == "grouped" and group is None:
        yield Misfit((*_AT, "group"), None, "the category feature whose values are the groups, e.g. customer")
    if strategy == "time":
        for key in ("group", "share"):
            if value_of(split, key) is not None:
                yield Misfit((*_AT, key), value_of(split, key), f"no {key!r} with the strategy 'time'")


def groups_of_a_feature(declaration: Any) -> Iterator[Misfit]:
    """Whether each row is of a group, and a group that no training has seen gets an answer."""
    split = declaration.data.split
    strategy, group = value_of(split, "strategy"), value_of(split, "group")
    if strategy != "grouped" or group is None:
        return
    at, features = (*_AT, "group"), [feature for _, feature in known(declaration.data.features)]
    names = [n for f in features if value_of(f, "type", "category") == "category" and (n := value_of(f, "name"))]
    feature = next((f for f in features if value_of(f, "name") == group), None)
    if feature is None or value_of(feature, "type") == "number":
        if group not in [closest_name(name) for name in names]:
            allowed = f"the name of a category feature: {', '.join(names) or 'none is declared'}"
            yield Misfit(at, group, allowed)
        return
    if value_of(feature, "missing") == "allow":
        yield Misfit(at, group, f"a feature with missing 'refuse': a row without {group!r} would be of no group")
    if value_of(feature, "unseen") == "refuse" and value_of(feature, "values") is None:
        allowed = (
            f"a feature with unseen 'accept', or with its 'values': no training has seen held-out groups of {group!r}"
        )
        yield Misfit(at, group, allowed)


def learners_of_held_groups(declaration: Any) -> Iterator[Misfit]:
    """Whether all that learns leaves the held-out groups out."""
    if value_of(declaration.data.split, "strategy") != "grouped":
        return
    at = (*_AT, "strategy")
    if declaration.training.warm_start is not None:
        allowed = "'time' with training.warm_start: a version that is continued may have learned from held-out groups"
        yield Misfit(at, "grouped", allowed)
    if declaration.retraining.investment is not None:
        allowed = "'time' with retraining.investment: its probes take rows apart by time alone"
        yield Misfit(at, "grouped", allowed)
