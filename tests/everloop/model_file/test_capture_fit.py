"""What is declared of capture leaves out nothing that something else declared needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from everloop.rollout.declared_place import declared_place
from everloop.serving.declared import Capturing, declared_capturing
from tests.helpers.declarations import binary_document, declare, with_endpoint


def having(capture: Any, **sections: Any) -> dict[str, Any]:
    document = binary_document(**sections)
    document["serving"]["capture"] = capture
    return document


@pytest.mark.parametrize(
    ("capture", "message"),
    [
        ({"mask": ["train_id"]}, "labels find captured rows by the key"),
        ({"mask": ["late"]}, "the name of a feature: distance, wind, line, operator"),
        ({"mask": ["wind", "wind"]}, "each feature once"),
        ({"mask": "wind"}, "serving.capture.mask"),
        ({"share": 0}, "greater than 0"),
        ({"share": 1.1}, "less than or equal to 1"),
        ({"share": float("nan")}, "serving.capture.share"),
        ({"sample": 0.1}, "serving.capture.sample"),
    ],
)
def test_what_can_not_be_left_out_is_refused(capture: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        declare(having(capture))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("place", "sections"),
    [
        ("rollout.shadow", {"rollout": {"shadow": {"minutes": 60, "max_disagreement": 0.1}}}),
        ("rollout.guardrail.scores", {"rollout": {"guardrail": {"scores": {"max_distance": 0.1}}}}),
        ("retraining.investment", {"retraining": {"investment": {}}}),
        ("retraining.volume", {"retraining": {"volume": {"rows": 100}}}),
    ],
)
def test_what_reads_features_of_captured_rows_is_refused_beside_a_mask(place: str, sections: Any) -> None:
    document = having({"mask": ["wind"]})
    for section, keys in sections.items():
        for key, value in keys.items():
            found = document[section].get(key)
            document[section][key] = {**found, **value} if isinstance(found, dict) else value
    with pytest.raises(ValidationError) as caught:
        declare(document)
    assert f"no {place.rsplit('.', 1)[1]!r} with serving.capture.mask" in str(caught.value)
    # Sampled rows have all features.
    document["serving"]["capture"] = {"share": 0.5}
    assert declare(document).serving.capture is not None


def test_groups_that_are_recalibrated_apart_are_not_masked() -> None:
    document = having({"mask": ["line"]}, recalibration={"by": "line", "groups": ["north"]})
    with pytest.raises(ValidationError, match=r"groups are told from captured rows"):
        declare(document)
    document["serving"]["capture"] = {"mask": ["operator"]}
    assert declare(document).serving.capture is not None


def test_a_container_is_told_of_it() -> None:
    declaration = declare(with_endpoint(having({"mask": ["wind"], "share": 0.25})))
    place = declared_place(declaration, role_arn="arn", artifact_bucket="b").endpoint
    assert place is not None
    assert declared_capturing(json.loads(place.declared)) == Capturing(frozenset({"wind"}), 0.25)
    bare = declared_place(declare(with_endpoint(binary_document())), role_arn="arn", artifact_bucket="b").endpoint
    assert bare is not None
    assert declared_capturing(json.loads(bare.declared)) == Capturing()
