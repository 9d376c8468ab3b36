"""Whether lists can be made of the declared rows, and what is asked of their order can be known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.evaluation.ranking_report import RELEVANCE
from everloop.model_file.misfit import Misfit
from everloop.model_file.names import closest_name
from everloop.model_file.partial import known, value_of
from everloop.problem_types import BINARY, MULTICLASS, REGRESSION

DAY = "day"
"""The group that is no feature: the rows of each UTC day are a list."""

_AT = ("problem", "ranking")


def lists_of_a_feature(declaration: Any) -> Iterator[Misfit]:
    """Whether the lists are those of a category feature, or of days."""
    ranking = declaration.problem.ranking
    group = None if ranking is None else value_of(ranking, "group")
    if group is None:
        return
    if declaration.problem.type == MULTICLASS:
        yield Misfit(_AT, {}, "no 'ranking' with several classes: their answers have no one order")
        return
    features = [feature for _, feature in known(declaration.data.features)]
    names = [n for f in features if value_of(f, "type", "category") == "category" and (n := value_of(f, "name"))]
    if group != DAY and group not in [closest_name(name) for name in names]:
        allowed = f"{DAY!r}, or the name of a category feature: {', '.join(names) or 'none is declared'}"
        yield Misfit((*_AT, "group"), group, allowed)


def relevance_of_labels(declaration: Any) -> Iterator[Misfit]:
    """Whether labels are gains, and it is known which rows are relevant."""
    ranking, kind = declaration.problem.ranking, declaration.problem.type
    if ranking is None:
        return
    relevant_from = value_of(ranking, "relevant_from")
    if kind == BINARY and relevant_from is not None:
        yield Misfit((*_AT, "relevant_from"), relevant_from, "no 'relevant_from': rows with the label 1 are relevant")
    least = declaration.data.target_min
    if kind == REGRESSION and (least is None or least < 0):
        allowed = "0 or more with problem.ranking: a row's label is its gain, and no gain is below 0"
        yield Misfit(("data", "target_min"), least, allowed)


def judged_ranking(declaration: Any) -> Iterator[Misfit]:
    """Whether the gate judges an order that is measured."""
    judged, ranking = declaration.gate.ranking, declaration.problem.ranking
    if judged is None:
        return
    if ranking is None:
        yield Misfit(("gate", "ranking"), {}, "no 'ranking' without problem.ranking, which says what the lists are")
        return
    metric = value_of(judged, "metric")
    unknown = declaration.problem.type == REGRESSION and value_of(ranking, "relevant_from") is None
    if unknown and metric in RELEVANCE:
        allowed = "'ndcg', or problem.ranking.relevant_from beside it: from which label on a row is relevant"
        yield Misfit(("gate", "ranking", "metric"), metric, allowed)
