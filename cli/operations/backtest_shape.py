"""How a history is cut for a backtest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from everloop.cli.exceptions import RefusedDataError
from everloop.dataset.held_groups import GROUPED
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.retraining.backtest.timeline import FEWEST_WINDOWS


@dataclass(frozen=True)
class Knobs:
    """What a person can set; what is None follows from the declaration and the history.

    Attributes
    ----------
    window_days, history_days, test_days : int, optional
        A window's length; the days before the first one; the newest labelled days that no model learns from.
    cooldown_days : float, optional
        Between two trainings, whatever the policy; a window, where it is not set.
    retraining_cost : float, optional
        In the currency of ``problem.value``.
    threshold : float, optional
        The probability from which a classification acts, where money is counted.
    most_rows, probe_rows : int
        At most so many rows are taken from the file, and a probe learns from at most so many.
    deployed : bool
        Whether the loop is lived through as it is deployed, beside the policies.
    investment : bool
        Whether it is lived through with retraining as an investment too, where that is not declared.
    recalibration : bool, optional
        False counts with none, whatever is declared.
    request_rows : int, optional
        At most so many rows of an hour are asked about together: a canary is judged by requests.
    training_days : tuple of int
        Of the newest days, for models to learn from in comparison; some windows, where none are given.
    """

    window_days: int | None = None
    history_days: int | None = None
    test_days: int | None = None
    cooldown_days: float | None = None
    retraining_cost: float | None = None
    threshold: float | None = None
    most_rows: int = 100_000
    probe_rows: int = 5_000
    deployed: bool = True
    investment: bool = True
    recalibration: bool | None = None
    request_rows: int | None = None
    training_days: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shape:
    """How a history was cut.

    Attributes
    ----------
    first_day : str
        Of the history, ISO 8601.
    cooldown_windows : int
    rows, rows_taken : int
        Labelled rows of the file, and how many of them were used.
    """

    first_day: str
    windows: int
    window_days: int
    history_days: int
    lag_days: int
    test_days: int
    cooldown_windows: int
    rows: int
    rows_taken: int

    def date(self, window: int) -> str:
        """The day on which a window starts, ISO 8601."""
        days = np.timedelta64(self.history_days + window * self.window_days, "D")
        return str(np.datetime64(self.first_day, "D") + days)


def cut(declaration: ModelDeclaration, rows: pd.DataFrame, taken: int, knobs: Knobs, place: str) -> Shape:
    """Cut the history: where nothing is set, about forty windows after the first fifth of the days.

    Raises
    ------
    RefusedDataError
        When there are too few windows, or groups are held out.
    """
    if declaration.data.split.strategy == GROUPED:
        raise RefusedDataError(
            "a backtest takes rows apart by time alone: its models would learn from groups that data.split holds out,"
            " and its figures be of groups that they know",
            "declare data.split.strategy 'time' in a copy of the model's folder to have those",
        )
    day = rows["time"].to_numpy().astype("datetime64[D]")
    span = int((day[-1] - day[0]).astype(int)) + 1
    data = declaration.data
    test_days = knobs.test_days
    if test_days is None:
        test_days = 0 if declaration.training.refit == "after_gate" else data.split.test_days
    lag_days = math.ceil(data.label_lag_hours / 24)
    enough = int((day[min(data.minimum_rows, len(day)) - 1] - day[0]).astype(int)) + 1 + lag_days + test_days
    history_days = knobs.history_days or max(enough, math.ceil(span / 5))
    window_days = knobs.window_days or max(7, 7 * round((span - history_days) / 40 / 7))
    windows = (span - history_days) // window_days
    if windows < FEWEST_WINDOWS:
        raise RefusedDataError(
            f"{place} has {number_of(span, 'day')}: after the first {history_days}, on which the first model is"
            f" trained, they give {number_of(max(windows, 0), 'window')} of {number_of(window_days, 'day')}, and"
            f" {FEWEST_WINDOWS} are required",
            "use a longer history, or set --history-days and --window-days",
        )
    cooldown = knobs.cooldown_days or 0.0
    return Shape(
        first_day=str(day[0]),
        windows=windows,
        window_days=window_days,
        history_days=history_days,
        lag_days=lag_days,
        test_days=test_days,
        cooldown_windows=max(1, math.ceil(cooldown / window_days)),
        rows=len(rows),
        rows_taken=taken,
    )
