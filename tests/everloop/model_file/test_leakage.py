"""``data.leakage``: whether a suspect stops a run, and which feature has a reason."""

from __future__ import annotations

import pytest

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from tests.helpers.declarations import as_yaml, binary_document


def test_suspects_are_reported_unless_a_stop_is_declared() -> None:
    data = parse_model_file(as_yaml(binary_document())).data
    assert (data.leakage, data.leakage_accepted) == ("report", {})
    reasons = {"wind": "measured an hour before"}
    data = parse_model_file(as_yaml(binary_document(data={"leakage": "stop", "leakage_accepted": reasons}))).data
    assert (data.leakage, data.leakage_accepted) == ("stop", reasons)


def test_a_reason_is_for_a_feature_that_there_is() -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(binary_document(data={"leakage_accepted": {"wint": "measured an hour before"}})))
    (mistake,) = refused.value.mistakes
    assert (mistake.path, mistake.allowed) == ("data.leakage_accepted.wint", "a reason for one of data.features")
