"""Whatever wraps it, the sentence that says what went wrong is found."""

from __future__ import annotations

import json

import pytest

from everloop.registry.causes import MAX_LENGTH, readable_cause

LAMBDA = json.dumps(
    {"errorMessage": 'no rows: "x" is empty', "errorType": "ContractViolationError", "stackTrace": ["a"]}
)
JOB = json.dumps({"TrainingJobName": "t", "FailureReason": "AlgorithmError: train.py, line 3: boom"})
EVALUATION = json.dumps(
    {
        "ProcessingJobName": "e",
        "FailureReason": "AlgorithmError: , exit code: 1",
        "ExitMessage": 'parity was shown for 999 rows, not "1000"',
        "RoleArn": "arn:aws:iam::123456789012:role/evaluate",
    }
)
SILENT = json.dumps({"ProcessingJobName": "e", "ExitMessage": "", "FailureReason": "ClientError: no such bucket"})


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (f"ContractViolationError: {LAMBDA}", 'ContractViolationError: no rows: "x" is empty'),
        (f"ContractViolationError: {LAMBDA[:60]}", 'ContractViolationError: no rows: "x" is empty'),
        (LAMBDA, 'no rows: "x" is empty'),
        (f"States.TaskFailed: {JOB}", "States.TaskFailed: AlgorithmError: train.py, line 3: boom"),
        (f"States.TaskFailed: {EVALUATION}", 'States.TaskFailed: parity was shown for 999 rows, not "1000"'),
        (f"States.TaskFailed: {EVALUATION[:-30]}", 'States.TaskFailed: parity was shown for 999 rows, not "1000"'),
        (f"States.TaskFailed: {SILENT}", "States.TaskFailed: ClientError: no such bucket"),
        (f"States.TaskFailed: {SILENT[:-1]}", "States.TaskFailed: ClientError: no such bucket"),
        ("States.Timeout: the step took too long", "States.Timeout: the step took too long"),
        ("plain words", "plain words"),
        ('X: {"other": 1}', 'X: {"other": 1}'),
        ("X: {not json", "X: {not json"),
    ],
)
def test_the_sentence_is_found(cause: str, says: str) -> None:
    assert readable_cause(cause) == says


def test_a_long_cause_is_cut() -> None:
    assert len(readable_cause("x" * 100_000)) == MAX_LENGTH
