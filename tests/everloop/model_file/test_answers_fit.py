"""What a guardrail judges of answers must be there to be judged."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers.declarations import binary_document, declare, multiclass_document, regression_document


def judged_by(document: dict[str, Any], **answers: Any) -> dict[str, Any]:
    document["rollout"] |= {"steps": [{"percent": 50, "minutes": 60}], "bake_minutes": 60}
    document["rollout"]["guardrail"] |= answers
    return document


@pytest.mark.parametrize("document", [binary_document, multiclass_document])
def test_versions_that_decide_may_disagree(document: Any) -> None:
    declared = declare(judged_by(document(), disagreement={"max_share": 0.05}))
    assert declared.rollout.guardrail.judges_answers
    assert not declared.rollout.guardrail.judges_labels


def test_a_regression_decides_nothing() -> None:
    with pytest.raises(ValidationError, match=r"no .disagreement. of a regression.*declare rollout.guardrail.scores"):
        declare(judged_by(regression_document(), disagreement={"max_share": 0.05}))


def test_an_error_without_bounds_is_no_evidence_of_a_mean() -> None:
    document = judged_by(regression_document(data={"label_lag_hours": 0}), quality={"max_added_loss": 1.0})
    with pytest.raises(ValidationError, match=r"no .quality. without data\.target_min"):
        declare(document)
    document["data"] |= {"target_min": 0, "target_max": 90}
    assert declare(document).rollout.guardrail.judges_labels
