from __future__ import annotations

import numpy as np
import pytest

from everloop.evaluation.baselines import Rows
from everloop.evaluation.baselines.expression import _value as value_of_columns
from everloop.evaluation.expression_value import value_of_row
from everloop.evaluation.expressions import check, parse

ROW = {"prediction": 1.0, "probability": 0.75, "label": 0.0}


COLUMNS = Rows(
    features={name: np.array([value]) for name, value in ROW.items()},
    times=np.array(["2013-03-01"], dtype="datetime64[ms]"),
    outcomes=None,
    lag=np.timedelta64(0, "ms"),
)
"""The row as the columns that a baseline's expression is walked over."""


@pytest.mark.parametrize(
    "text",
    [
        "12 * prediction * label - 4 * prediction * (1 - label)",
        "-probability + (+label)",
        "prediction if probability > 0.5 and not label == 1 else 3",
        "0.5 < probability <= 0.75 or label != 0",
        "prediction in [1, 2]",
        "prediction not in [1, 2]",
        "abs(label - probability)",
        "min(prediction, 2, probability) + max(label, 0.1)",
        "missing(label)",
        "label / probability",
        "True",
    ],
)
def test_a_row_alone_has_the_value_that_it_has_in_a_column(text: str) -> None:
    check(text, dict.fromkeys(ROW, "number"))
    assert value_of_row(text, ROW) == float(np.asarray(value_of_columns(parse(text), COLUMNS)).ravel()[0])


@pytest.mark.parametrize("text", ["1 / label", "1e308 * 10 * prediction", "0 * (1e308 * 10)"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert value_of_row(text, ROW) is None
