"""What the reader accepts, every function reads back the same from the JSON that is packaged with it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import as_yaml, binary_document, declare, regression_document

Path = tuple[str | int, ...]


def written_out(document: dict[str, Any]) -> dict[str, Any]:
    """A document with every key that has a default, so that each can be edited."""
    whole = declare(document).model_dump(mode="json", exclude_none=True)
    whole["training"]["parameters"] = {"depth": 3, "rate": 0.5, "kind": "fast", "early": True}
    whole["data"]["training_window_days"] = 90
    whole["cost"]["instance_usd_per_hour"] = 0.2
    whole["retraining"].update(drift={"windows": 3}, schedule_days=60)
    whole["gate"].update(max_latency_ms=50, max_artifact_mb=20)
    whole["gate"]["absolute"] = [{"metric": whole["gate"]["metric"], "max": 2}]
    return whole


DOCUMENTS = [written_out(binary_document()), written_out(regression_document(data={"target_min": 0, "target_max": 9}))]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield path
    for key, child in children:
        yield from leaves(child, (*path, key))


def value_at(document: Any, path: Path) -> Any:
    return reduce(lambda place, part: place[part], path, document)


PATHS = sorted({path for document in DOCUMENTS for path in leaves(document) if path}, key=str)
NUMBER_PATHS = [p for p in leaves(DOCUMENTS[0]) if isinstance(value_at(DOCUMENTS[0], p), int | float)]
NUMBERS = (
    st.integers()
    | st.integers(0, 500)
    | st.floats()
    | st.floats(0, 1)
    | st.sampled_from([10**18, 2**63, -(2**70), 10**400, 1e308, 5e-324, -0.0, 0.5])
)
VALUES = (
    NUMBERS
    | st.text(max_size=8)
    | st.sampled_from(
        [None, True, False, "prior", "canary", "train.py", "rate(1 day)", "cron(5 4 * * ? *)", "ml.c5.xlarge"]
    )
    | st.lists(NUMBERS | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=4), NUMBERS, max_size=2)
)


def edited(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The document with ``value`` at ``path``, or as it is where an earlier edit took the path away."""
    changed = copy.deepcopy(document)
    place: Any = changed
    try:
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return document
    return changed


def comes_back_the_same(document: dict[str, Any]) -> bool:
    """Whether a declaration reads back the same; one that is refused never has to."""
    try:
        declaration = parse_model_file(as_yaml(document))
    except ModelFileError:
        return True
    return ModelDeclaration.model_validate_json(declaration.model_dump_json()) == declaration


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=2))
def test_what_is_accepted_reads_back_the_same(document: dict[str, Any], edits: list[tuple[Path, Any]]) -> None:
    for path, value in edits:
        document = edited(document, path, value)
    assert comes_back_the_same(document)


@pytest.mark.slow
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_json_has_no_number_for_is_accepted_nowhere(value: float) -> None:
    """JSON would write null for it, which only the deployed function would stumble over."""
    assert len(NUMBER_PATHS) > 50
    assert [path for path in NUMBER_PATHS if not comes_back_the_same(edited(DOCUMENTS[0], path, value))] == []


@pytest.mark.slow
def test_the_documents_are_good_ones() -> None:
    """So that the property is not kept by refusing everything."""
    for document in DOCUMENTS:
        declaration = parse_model_file(as_yaml(document))
        assert declaration.training.parameters == {"depth": 3, "rate": 0.5, "kind": "fast", "early": True}
        again = ModelDeclaration.model_validate_json(declaration.model_dump_json())
        assert again == declaration
        assert [type(v) for v in again.training.parameters.values()] == [int, float, str, bool]
