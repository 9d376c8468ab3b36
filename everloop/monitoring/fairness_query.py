"""The query that counts the newest labelled days for fairness: outcomes of each group by what the model said, and how
many rows each calibration brings to the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from everloop.dataset.lake_sql import double
from everloop.monitoring.profile_query import Windows
from everloop.monitoring.raw_scores_query import RowsApart, place_of, raw_scores_query, read_sums
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.fairness import BY, By, Counted, CountedRows, cut
from everloop.recalibration.grouped_by import OTHERS, GroupBy
from everloop.recalibration.sums import UNSCALED, Scale

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Rows = Sequence[dict[str, str | None]]


@dataclass(frozen=True)
class Comparison:
    """Which groups are compared, and by which calibrations they are served.

    Attributes
    ----------
    compared : GroupBy
        Between whose groups fairness is measured.
    by : GroupBy
        The groups that are recalibrated apart.
    calibrations : mapping of By to Calibration
        Of ``by``, or of none.
    days : int
        The newest labelled days.
    """

    compared: GroupBy
    by: GroupBy
    calibrations: Mapping[By, Calibration]
    days: int

    def windows(self, windows: Windows) -> Windows:
        """The monitor's windows with the days that are compared as the labelled ones."""
        return replace(windows, labelled_start=windows.labelled_end - timedelta(days=self.days))


def fairness_query(
    declaration: ModelDeclaration,
    windows: Windows,
    comparison: Comparison,
    *,
    version: int,
    scale: Scale = UNSCALED,
) -> str:
    """The query; its answer is what :func:`read_counted` takes. Arguments as of
    :func:`everloop.monitoring.raw_scores_query.raw_scores_query`.
    """
    features = dict.fromkeys((comparison.by.feature, comparison.compared.feature))
    places = {"compared": place_of(comparison.compared), "place": place_of(comparison.by)}
    over = _over(declaration, comparison) if declaration.problem.type == "binary_classification" else {}
    apart = RowsApart(tuple(features), places, over)
    return raw_scores_query(declaration, comparison.windows(windows), version=version, scale=scale, apart=apart)


def read_counted(
    declaration: ModelDeclaration, answer: Rows, comparison: Comparison, *, scale: Scale = UNSCALED
) -> Counted:
    """What the query's answer says."""
    found = {}
    for compared in range(len(comparison.compared)):
        for own in range(OTHERS, len(comparison.by)):
            rows = [row for row in answer if (_whole(row, "compared"), _whole(row, "place")) == (compared, own)]
            if rows:
                sums = read_sums(declaration, rows, scale=scale)
                over = {by: (_total(rows, f"{by}_zeros"), _total(rows, f"{by}_ones")) for by in BY}
                found[compared, own] = CountedRows(sums, over)
    return found


def _over(declaration: ModelDeclaration, comparison: Comparison) -> Mapping[str, str]:
    """Whether a row is brought to the threshold, by each calibration."""
    found: dict[str, str] = {}
    for name in BY:
        calibration = comparison.calibrations[name]
        cuts = {own: cut(calibration, own, declaration.serving.threshold) for own in range(OTHERS, len(comparison.by))}
        cases = " ".join(f"WHEN {own} THEN {double(limit)}" for own, limit in cuts.items() if own != OTHERS)
        least = f"CASE {place_of(comparison.by)} {cases} ELSE {double(cuts[OTHERS])} END"
        found[name] = f'CASE WHEN "_raw" >= {least} THEN 1 ELSE 0 END'
    return found


def _total(rows: Rows, name: str) -> int:
    return sum(_whole(row, name) for row in rows)


def _whole(row: dict[str, str | None], name: str) -> int:
    return int(float(row.get(name) or 0))
