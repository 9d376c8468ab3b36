"""Whether the declared split of rows into parts can be made, and kept by whatever learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.model_file.misfit import Misfit
from everloop.model_file.names import closest_name
from everloop.model_file.partial import known, value_of
from everloop.problem_types import REGRESSION

_AT = ("data", "split")
_KEYS = {
    "group": ("grouped", "the category feature whose values are the groups, e.g. customer"),
    "share": ("grouped", ""),
    "rows_of_each_class": ("stratified", "how many rows of each class the test part needs, e.g. 100"),
    "most_test_days": ("stratified", "how many days the test part may have where a class is rare"),
}
"""Which strategy a key is of, and what to write where it is needed."""


def keys_of_the_split(declaration: Any) -> Iterator[Misfit]:
    """Whether the split has the keys of its strategy, and no others."""
    split = declaration.data.split
    strategy = value_of(split, "strategy")
    if strategy is None:
        return
    for key, (own, why) in _KEYS.items():
        found = value_of(split, key, "unknown")
        if found is None and strategy == own and why:
            yield Misfit((*_AT, key), None, why)
        elif found not in (None, "unknown") and strategy != own:
            yield Misfit((*_AT, key), found, f"no {key!r} with the strategy {strategy!r}")


def classes_to_count(declaration: Any) -> Iterator[Misfit]:
    """Whether there are classes, and the test part may have more days than it has at least."""
    split = declaration.data.split
    if value_of(split, "strategy") != "stratified":
        return
    if declaration.problem.type == REGRESSION:
        yield Misfit((*_AT, "strategy"), "stratified", "another strategy: a regression has no classes")
    if split.most_test_days is not None and split.most_test_days <= split.test_days:
        yield Misfit((*_AT, "most_test_days"), split.most_test_days, f"more than {split.test_days}, the test_days")


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
