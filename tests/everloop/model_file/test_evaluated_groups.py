"""Slices and groups of people that no evaluation could measure are refused where they stand."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from everloop.dataset.held_groups import HeldGroups
from tests.helpers.declarations import binary_document, declare, multiclass_document, regression_document

GAP = {"max_selection_rate_gap": 0.1}


def mistakes(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        declare(document)
    return {".".join(map(str, e["loc"])): str(e.get("ctx", {}).get("error", e["msg"])) for e in refused.value.errors()}


@pytest.mark.parametrize(
    ("slices", "place", "told"),
    [
        ({"by": [{"by": "line", "edges": [1.0]}]}, "by.0.edges", "no 'edges'"),
        ({"by": [{"by": "wind", "groups": ["a"]}]}, "by.0.groups", "no 'groups'"),
        ({"by": [{"by": "wind", "edges": [5.0, 2.0]}]}, "by.0.edges.1", "more than 5"),
        ({"by": [{"by": "line"}, {"by": "line"}]}, "by.1.by", "each feature once"),
        ({"by": [{"by": "line", "groups": ["north", "north"]}]}, "by.0.groups.1", "each group once"),
        ({"by": [], "found": False}, "by", "one feature or more"),
        ({"minimum_rows": 3}, "minimum_rows", "greater than or equal to 30"),
    ],
)
def test_slices_that_can_not_be_measured(slices: dict[str, Any], place: str, told: str) -> None:
    found = mistakes(binary_document(gate={"slices": slices}))
    assert list(found) == [f"gate.slices.{place}"]
    assert told in found[f"gate.slices.{place}"]


@pytest.mark.parametrize(
    ("fairness", "place", "told"),
    [
        ({"by": [], **GAP}, "by", "at least 1 item"),
        ({"by": [{"by": "race"}], **GAP}, "by.0.by", "the name of a feature: distance, wind, line, operator"),
        ({"by": [{"by": "wind", "groups": ["a"]}], **GAP}, "by.0.groups", "no 'groups'"),
        ({"by": [{"by": "line"}], "min_selection_rate_ratio": 80}, "min_selection_rate_ratio", "less than or equal"),
    ],
)
def test_groups_that_can_not_be_compared(fairness: dict[str, Any], place: str, told: str) -> None:
    found = mistakes(binary_document(gate={"fairness": fairness}))
    assert list(found) == [f"gate.fairness.{place}"]
    assert told in found[f"gate.fairness.{place}"]


def test_a_regression_selects_nobody() -> None:
    found = mistakes(regression_document(gate={"fairness": {"by": [{"by": "line"}], **GAP}}))
    assert "a regression decides nothing" in found["gate.fairness.max_selection_rate_gap"]
    declare(regression_document(gate={"fairness": {"by": [{"by": "line"}], "max_calibration_gap": 3.0}}))


def test_a_group_that_the_feature_refuses_can_not_be_asked_for() -> None:
    document = binary_document(gate={"slices": {"by": [{"by": "line", "groups": ["west"]}]}})
    declare(document)
    document["data"]["features"][2]["unseen"] = "refuse"
    assert "a value that 'line' may have" in mistakes(document)["gate.slices.by.0.groups.0"]


def test_a_standing_set_beside_a_warm_start_is_refused() -> None:
    found = mistakes(binary_document(gate={"standing": {"max_increase": 0.1}}, training={"warm_start": {}}))
    assert list(found) == ["gate.standing"]
    assert "may have learned from the rows that are put aside" in found["gate.standing"]


@pytest.mark.parametrize("standing", [{}, {"max_increase": -0.1}, {"max_increase": 0.1, "days": 0}])
def test_a_standing_set_needs_days_and_a_limit(standing: dict[str, Any]) -> None:
    assert [place.rpartition(".")[0] for place in mistakes(binary_document(gate={"standing": standing}))] == [
        "gate.standing"
    ]


def grouped(**changes: Any) -> dict[str, Any]:
    return {"data": {"split": {"strategy": "grouped", "group": "line", "test_days": 7, **changes}}}


def test_groups_are_held_out_by_a_share_that_is_declared_or_usual() -> None:
    for share, found in ((None, 0.2), (0.3, 0.3)):
        held = HeldGroups.of(declare(binary_document(**grouped(share=share))))
        assert held is not None
        assert (held.column, held.share, held.salt) == ("line", found, "late_train")
    assert HeldGroups.of(declare(binary_document())) is None


@pytest.mark.parametrize(
    ("sections", "place", "told"),
    [
        (grouped(group=None), "data.split.group", "the category feature whose values are the groups"),
        (grouped(group="distance"), "data.split.group", "the name of a category feature: line, operator"),
        (grouped(group="operator"), "data.split.group", "would be of no group"),
        (grouped(share=0.6), "data.split.share", "0.5"),
        (grouped(strategy="time", group=None, share=0.2), "data.split.share", "no 'share' with the strategy 'time'"),
        (grouped(strategy="time"), "data.split.group", "no 'group' with the strategy 'time'"),
        (grouped() | {"training": {"warm_start": {}}}, "data.split.strategy", "'time' with training.warm_start"),
        (grouped() | {"retraining": {"investment": {}}}, "data.split.strategy", "'time' with retraining.investment"),
    ],
)
def test_groups_that_can_t_be_held_out_are_refused(sections: dict[str, Any], place: str, told: str) -> None:
    assert told in mistakes(binary_document(**sections))[place]


def test_a_group_that_callers_would_be_refused_for_is_refused() -> None:
    features = [dict(feature) for feature in binary_document()["data"]["features"]]
    line = next(feature for feature in features if feature["name"] == "line")
    line.update(unseen="refuse")
    line.pop("values", None)
    document = binary_document(**grouped())
    document["data"]["features"] = features
    assert "with its 'values'" in mistakes(document)["data.split.group"]


RANKED: dict[str, Any] = {"problem": {"ranking": {"group": "line", "at": 5}}}


def test_an_order_of_rows_is_declared_by_lists_or_days() -> None:
    for group in ("line", "operator", "day"):
        declared = declare(binary_document(problem={"ranking": {"group": group}}, gate={"ranking": {"metric": "mrr"}}))
        assert declared.problem.ranking is not None
        assert (declared.problem.ranking.group, declared.problem.ranking.at) == (group, 10)


@pytest.mark.parametrize(
    ("document", "place", "told"),
    [
        (binary_document(problem={"ranking": {"group": "wind"}}), "problem.ranking.group", "'day', or the name of a"),
        (binary_document(gate={"ranking": {}}), "gate.ranking", "without problem.ranking"),
        (
            binary_document(problem={"ranking": {"group": "line", "relevant_from": 1.0}}),
            "problem.ranking.relevant_from",
            "rows with the label 1 are relevant",
        ),
        (regression_document(**RANKED), "data.target_min", "no gain is below 0"),
        (
            regression_document(**RANKED, data={"target_min": 0.0}, gate={"ranking": {"metric": "map"}}),
            "gate.ranking.metric",
            "'ndcg', or problem.ranking.relevant_from",
        ),
        (multiclass_document(**RANKED), "problem.ranking", "several classes"),
    ],
)
def test_an_order_that_can_t_be_known_is_refused(document: dict[str, Any], place: str, told: str) -> None:
    assert told in mistakes(document)[place]


def stratified(**changes: Any) -> dict[str, Any]:
    split = {"strategy": "stratified", "test_days": 7, "rows_of_each_class": 50, "most_test_days": 14, **changes}
    return {"data": {"split": split}}


@pytest.mark.parametrize(
    ("document", "place", "told"),
    [
        (binary_document(**stratified(rows_of_each_class=None)), "data.split.rows_of_each_class", "of each class"),
        (binary_document(**stratified(most_test_days=None)), "data.split.most_test_days", "how many days"),
        (binary_document(**stratified(most_test_days=7)), "data.split.most_test_days", "more than 7"),
        (binary_document(**stratified(rows_of_each_class=3)), "data.split.rows_of_each_class", "10"),
        (binary_document(**stratified(group="line")), "data.split.group", "no 'group' with the strategy 'stratified'"),
        (binary_document(**grouped(most_test_days=9)), "data.split.most_test_days", "with the strategy 'grouped'"),
        (regression_document(**stratified()), "data.split.strategy", "a regression has no classes"),
        # A refit has learned the longest test part that there may be.
        (binary_document(**stratified(most_test_days=15)), "retraining.cooldown_days", "at least 15"),
    ],
)
def test_classes_that_can_t_be_counted_are_refused(document: dict[str, Any], place: str, told: str) -> None:
    assert told in mistakes(document)[place]


def test_a_stratified_split_is_declared() -> None:
    assert declare(binary_document(**stratified())).data.split.longest_days == 14
    assert declare(binary_document()).data.split.longest_days == declare(binary_document()).data.split.test_days
