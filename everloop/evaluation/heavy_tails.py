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
        f"One row alone makes up {100 * share:.0f}% of the squares of {of}; among {parts.rows:,} rows it may be "
        f"{100 * most:.0f}%. With tails as heavy as that, how large the mean is depends on rows of which too few have "
        "come. Look at the rows with the largest errors: an outcome may be wrong (data.target_max, data.target_min "
        "refuse such). Else learn and predict the outcome's logarithm, judge by mae instead of rmse, or test on more "
        "rows (data.split.test_days)."
    )
    return checked("too_heavy_tails", False, sentence, share, most)
