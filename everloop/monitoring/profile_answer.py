"""Reads the answer of the profile query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from everloop.dataset.exceptions import QueryFailedError
from everloop.monitoring.profile import DECISION_SUMS, OUTCOME_SUMS, BinCounts, Decisions, Outcomes, Profile
from everloop.monitoring.profile_query import LABELS, TOTAL, UNKNOWN, all_bins, part_of
from everloop.monitoring.reference import SCORE, Reference
from everloop.prediction_ids import ALL


@dataclass(frozen=True)
class LabelCounts:
    """The labels that arrived in the last window's length before ``as_of``.

    Attributes
    ----------
    arrived : int
        Every one of them, repetitions included.
    corrections : int
        Those of a value other than the one that had arrived before for the same prediction or key.
    unmatched : int
        Those that name nothing the query looked at. The profile query looks at its windows and what was asked since;
        :func:`everloop.monitoring.profile_query.unknown_labels_query` at weeks, and at history.
    """

    arrived: int = 0
    corrections: int = 0
    unmatched: int = 0


@dataclass(frozen=True)
class Sampled:
    """Of how many answered rows a window's captured ones are a sample.

    Attributes
    ----------
    answered : float or None
        The estimate: each captured row stands for the inverse of the share that was captured when it was. None where
        it is not known.
    least, most : float
        The smallest and the largest share of the window.
    """

    answered: float | None = None
    least: float = ALL
    most: float = ALL

    @property
    def is_whole(self) -> bool:
        """Whether every row was captured."""
        return self.least >= ALL

    @property
    def is_even(self) -> bool:
        """Whether each answered row was as likely as any other to be captured."""
        return self.least == self.most


@dataclass(frozen=True)
class Counted:
    """The answer of the query.

    Attributes
    ----------
    profile : Profile
        ``features`` of all rows of the window; ``score`` of those the champion answered; ``outcomes`` of its rows
        in the labelled window.
    labelled_rows : int
        Rows of the labelled window with a label, whoever answered them.
    sampled : Sampled
        What share of the answered rows the window's are.
    beyond : int
        The champion's among them that are left out of ``outcomes``, because their label or answer lies beyond
        :data:`everloop.limits.LARGEST_VALUE`.
    """

    profile: Profile
    labelled_rows: int
    labels: LabelCounts
    beyond: int = 0
    sampled: Sampled = Sampled()


def read_counts(rows: Iterable[Mapping[str, str | None]], reference: Reference, *, classification: bool) -> Counted:
    """The profile in the query's answer.

    Parameters
    ----------
    rows : iterable of mapping
        Column to value, as text; of all queries, where there are several.

    Raises
    ------
    QueryFailedError
        When the answer has no row of labels: the query always gives one. Or when rows came to the lake between two
        queries, so that a feature was counted in more rows than there were.
    """
    bins = all_bins(reference)
    by_part = {part_of(name): name for name in bins}
    cells = {name: [0] * (b.size + 1) for name, b in bins.items()}
    ones, labelled_by_score = [0] * len(cells[SCORE]), [0] * len(cells[SCORE])
    total: Mapping[str, str | None] = {}
    labels: LabelCounts | None = None
    for row in rows:
        part = row["part"] or ""
        if part == TOTAL:
            total = row
        elif part == LABELS:
            labels = LabelCounts(_whole(row["n"]), _whole(row["n_own"]), _whole(row["labelled"]))
        else:
            name, place = by_part[part], _whole(row["bin"])
            cells[name][place] = _whole(row["n_own" if name == SCORE else "n"])
            if name == SCORE:
                ones[place], labelled_by_score[place] = _whole(row["label"]), _whole(row["outcomes"])
    if labels is None:
        raise QueryFailedError("the answer of the profile query has no row of labels")
    rows_counted = _whole(total.get("n"))
    for name, counted in cells.items():
        if name != SCORE and sum(counted) != rows_counted:
            raise QueryFailedError(
                f"{rows_counted} rows were counted, and the feature {name!r} in {sum(counted)} of them: rows"
                " arrived in the lake meanwhile; run the monitor on this window again"
            )
    # Without rows in the windows there is nothing to total.
    outcomes = Outcomes(
        rows=_whole(total.get("outcomes")),
        ones=tuple(ones[:-1]) if classification else (),
        zeros=tuple(a - b for a, b in zip(labelled_by_score, ones, strict=True))[:-1] if classification else (),
        decisions=Decisions(**{name: float(total.get(name) or 0) for name in DECISION_SUMS}),
        **{name: float(total.get(name) or 0) for name in OUTCOME_SUMS},
    )
    counts = {name: BinCounts(tuple(c[:-1]), c[-1]) for name, c in cells.items()}
    profile = Profile(
        bins=reference.bins_id,
        rows=rows_counted,
        features={name: c for name, c in counts.items() if name != SCORE},
        score=counts[SCORE],
        outcomes=outcomes,
    )
    shares = [float(total.get(name) or ALL) for name in ("least_share", "most_share")]
    sampled = Sampled(float(total.get("answered") or 0), *shares)
    return Counted(profile, _whole(total.get("labelled")), labels, _whole(total.get("beyond")), sampled)


def read_unknown(rows: Iterable[Mapping[str, str | None]]) -> int:
    """The number in the answer of the query for unknown labels.

    Raises
    ------
    QueryFailedError
        When the answer has no row.
    """
    for row in rows:
        return _whole(row[UNKNOWN])
    raise QueryFailedError("the answer of the query for unknown labels is empty")


def _whole(text: str | None) -> int:
    return int(float(text or 0))
