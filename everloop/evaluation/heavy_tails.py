"""Whether single rows decide what a mean is, so that how sure it is can't be known from these rows."""

from __future__ import annotations

from everloop.evaluation.bounds import largest_of_squares, most_of_squares
from everloop.evaluation.report import Parts
from everloop.reasons import Reason, checked


def is_heavy(parts: Parts) -> bool:
    """Whether the largest row that raises a mean makes up more of the squares than one row among so many may."""
    return largest_of_squares(parts) > most_of_squares(parts.rows)


def too_heavy_tails(of: str, parts: Parts) -> Reason:
    """The refusal that follows; ``of`` says what the rows have."""
    share, most = largest_of_squares(parts), most_of_squares(parts.rows)
    sentence = (
        f"One row alone makes up {100 * share:.0f}% of the squares of {of}; with {parts.rows:,} rows at most"
        f" {100 * most:.0f}% are allowed. With such heavy tails the mean depends on a few extreme rows, and there"
        " are too few of them. Check the rows with the largest errors: an outcome may be wrong (data.target_max and"
        " data.target_min refuse such outcomes). If they are right, predict the outcome's logarithm, use mae"
        " instead of rmse, or test on more rows (data.split.test_days)."
    )
    return checked("too_heavy_tails", False, sentence, share, most)
