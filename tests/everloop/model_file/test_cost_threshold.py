"""``serving.threshold: from_costs`` is the number that the prices make, everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import as_yaml, binary_document, declare, regression_document


def priced(**prices: float) -> dict[str, Any]:
    return binary_document(problem={"value": prices}, serving={"threshold": "from_costs"})


@pytest.mark.parametrize(
    ("prices", "threshold"),
    [
        ({"false_positive_cost": 1.0, "false_negative_cost": 3.0}, 0.25),
        ({"false_positive_cost": 2000, "false_negative_cost": 250, "true_positive_value": 250}, 0.8),
    ],
)
def test_it_is_the_number_that_the_prices_make(prices: dict[str, float], threshold: float) -> None:
    declaration = declare(priced(**prices))
    assert declaration.serving.threshold == threshold
    # Functions and jobs read the JSON that it writes of itself.
    assert ModelDeclaration.model_validate_json(declaration.model_dump_json()) == declaration
    assert parse_model_file(as_yaml(priced(**prices))).serving.threshold == threshold


@pytest.mark.parametrize(
    "document",
    [
        regression_document(serving={"threshold": "from_costs"}),
        binary_document(problem={"value": {"false_positive_cost": "much"}}, serving={"threshold": "from_costs"}),
        binary_document(problem={"value": {"false_positive_cost": -1.0}}, serving={"threshold": "from_costs"}),
        binary_document(serving={"threshold": "costs"}),
        priced(),
    ],
)
def test_without_usable_prices_it_is_refused_with_what_is_allowed(document: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match=r"serving\.threshold: found 'f?r?o?m?_?costs'; allowed: a number between"):
        parse_model_file(as_yaml(document))


def test_what_is_no_document_is_refused_as_before() -> None:
    odd: Any
    for odd in ([], None, {"serving": []}, {"serving": {"threshold": "from_costs"}, "problem": 3}):
        with pytest.raises(ValidationError):
            ModelDeclaration.model_validate(odd)
