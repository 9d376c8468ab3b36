"""Whatever wraps it, the sentence that says what went wrong is found."""

from __future__ import annotations

import json

import pytest

from everloop.registry.causes import MAX_LENGTH, readable_cause

LAMBDA = json.dumps(
    {"errorMessage": 'no rows: "x" is empty', "errorType": "ContractViolationError", "stackTrace": ["a"]}
)
JOB = json.dumps({"TrainingJobName": "t", "FailureReason": "AlgorithmError: train.py, line 3: boom"})


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (f"ContractViolationError: {LAMBDA}", 'ContractViolationError: no rows: "x" is empty'),
        (f"ContractViolationError: {LAMBDA[:60]}", 'ContractViolationError: no rows: "x" is empty'),
        (LAMBDA, 'no rows: "x" is empty'),
        (f"States.TaskFailed: {JOB}", "States.TaskFailed: AlgorithmError: train.py, line 3: boom"),
        ("States.Timeout: the step took too long", "States.Timeout: the step took too long"),
        ("plain words", "plain words"),
        ('X: {"other": 1}', 'X: {"other": 1}'),
        ("X: {not json", "X: {not json"),
    ],
)
def test_the_sentence_is_found(cause, says):
    assert readable_cause(cause) == says


def test_a_long_cause_is_cut():
    assert len(readable_cause("x" * 100_000)) == MAX_LENGTH
