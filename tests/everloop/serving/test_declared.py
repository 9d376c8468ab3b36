from __future__ import annotations

import json

from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.declared import declared_features
from tests.helpers.declarations import binary_document, declare


def test_a_functions_declaration_gives_its_features_and_none_of_them_is_needed() -> None:
    declaration = declare(binary_document())
    found = declared_features(json.loads(declaration.model_dump_json()))
    assert found == (
        NumberField("distance", min=0, max=5000, missing="allow"),
        NumberField("wind", missing="allow"),
        CategoryField("line", missing="allow", values=("north", "south")),
        CategoryField("operator", missing="allow"),
    )


def test_a_closed_category_stays_closed_only_where_its_values_are_declared() -> None:
    document = binary_document()
    document["data"]["features"][2]["unseen"] = document["data"]["features"][3]["unseen"] = "refuse"
    fields = declared_features(json.loads(declare(document).model_dump_json()))
    unseen = {f.name: f.unseen for f in fields if isinstance(f, CategoryField)}
    assert unseen == {"line": "refuse", "operator": "accept"}
