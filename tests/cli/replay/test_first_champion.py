"""Where no candidate comes to serve, a person is told why and what helps, in figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from everloop.cli.operations.training import Verdict
from everloop.cli.replay.exceptions import LoopNotClosedError
from everloop.cli.replay.first_champion import Attempt, FirstChampion
from everloop.cli.replay.progress import Progress
from everloop.cli.replay.stream import ReplayData
from everloop.reasons import ReasonDocument
from tests.helpers.declarations import binary_document, declare

CUT = datetime(2024, 3, 1, tzinfo=UTC)
PASSED: ReasonDocument = {"code": "parity_flips", "passed": True, "sentence": "It answered as trained."}
FAILED: ReasonDocument = {
    "code": "minimum_test_rows",
    "passed": False,
    "sentence": "There are 120 test rows. That is about 15 days.",
}
REFUSED = Verdict("train-1", "rejected", "fail", 1, [FAILED, PASSED])


def rows(first: str, days: int, time: str) -> pd.DataFrame:
    times = pd.date_range(first, periods=days * 24, freq="h", tz="UTC")
    return pd.DataFrame({"train_id": [f"{t:%d%H}" for t in times], time: times, "late": 0.0})


def first(again_every: timedelta | None) -> FirstChampion:
    """A model in a world without an account: ten days of history, of which a row has no outcome yet."""
    history = rows("2024-02-20", 10, "departure")
    history.loc[history.index[-1], "late"] = None
    data = ReplayData(history, rows("2024-03-01", 5, "time"), CUT)
    progress = Progress("late_train", CUT, CUT + timedelta(days=5), quiet=True)
    account: Any = None
    return FirstChampion(account, declare(binary_document()), data, lambda to: to, progress, again_every)


def tried(verdict: Verdict, again_every: timedelta | None = None) -> FirstChampion:
    """The same, once a training ended so."""
    trying = first(again_every)
    trying.attempts.append(Attempt(CUT, verdict))
    trying._go_on_or_end()
    return trying


def test_a_refusal_says_why_what_there_was_and_what_helps() -> None:
    with pytest.raises(LoopNotClosedError) as ended:
        tried(REFUSED)
    message, remedy = ended.value.message, ended.value.remedy
    assert "the gate refused the first candidate of late_train" in message
    assert f"{FAILED['code']}: {FAILED['sentence']}" in message
    assert str(PASSED["sentence"]) not in message
    days = binary_document()["data"]["split"]["test_days"]
    assert f"History has 239 labelled rows on 10 days, 2024-02-20 to 2024-02-29; the newest {days} of" in message
    assert "the file has rows until 2024-03-05" in remedy
    assert "data.split.test_days" in remedy
    assert f"--train-again-every {days}" in remedy
    quota = binary_document()["retraining"]["quota"]
    assert f"allows {quota['runs']} trainings in {quota['days']} days" in remedy


@pytest.mark.parametrize(
    "verdict",
    [
        REFUSED,
        Verdict("r", "failed", None, None, [], "ContractViolationError: the labelled rows break the data contract"),
        Verdict("r", "failed", None, None, [], "QuotaExceededError: 3 runs started in the last 60 days"),
    ],
)
def test_what_more_days_may_mend_is_tried_again_where_that_is_asked(verdict: Verdict) -> None:
    assert tried(verdict, timedelta(days=3)).progress.step == "no champion"


def test_what_no_day_mends_ends_the_replay_however() -> None:
    broken = Verdict("r", "failed", None, None, [], "AlgorithmError: train.py line 3: no such column")
    for again_every in (None, timedelta(days=3)):
        with pytest.raises(LoopNotClosedError, match="does not serve: AlgorithmError: train"):
            tried(broken, again_every)


def test_without_a_champion_to_the_end_every_attempt_is_told() -> None:
    trying = tried(REFUSED, timedelta(days=3))
    trying.attempts.append(Attempt(CUT + timedelta(days=3), REFUSED))
    trying.wait(["0100", "0101"])
    with pytest.raises(LoopNotClosedError) as ended:
        trying.require()
    assert "no candidate of late_train was promoted in 2 trainings, and 2 rows were not answered" in str(ended.value)
    assert str(ended.value).count(str(FAILED["sentence"])) == 2
    assert "2024-03-04: minimum_test_rows" in str(ended.value)
    assert "--train-again-every" not in ended.value.remedy, "that is what was done"


def test_outcomes_of_rows_that_were_answered_are_no_history() -> None:
    trying = tried(REFUSED, timedelta(days=3))
    trying.serves = True
    answered = rows("2024-03-02", 1, "time")
    pd.testing.assert_frame_equal(trying.learn(answered, CUT + timedelta(days=2)), answered)


def test_a_file_without_outcomes_is_told_as_such(tmp_path: Path) -> None:
    trying = first(None)
    trying.data.history["late"] = None
    trying.attempts.append(Attempt(CUT, REFUSED))
    with pytest.raises(LoopNotClosedError, match="History has 0 labelled rows on 0 days; the newest"):
        trying._go_on_or_end()
