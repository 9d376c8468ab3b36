"""Which options of an estimator the exporter knows: the rest is refused, not ignored."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from everloop.training.onnx_export.values import Place


def check_options(
    estimator: Any, place: Place, *, handled: Collection[str] = (), training_only: Collection[str] = ()
) -> None:
    """Refuse an estimator with an option that is neither handled nor without effect on a fitted one.

    Parameters
    ----------
    estimator
        A fitted scikit-learn estimator.
    place : Place
        Where it is.
    handled, training_only : collection of str
        The options the caller checks or translates, and those that shape the fit alone.

    Raises
    ------
    ExportRefusedError
        Naming the option, its value and the options that are known.
    """
    known = set(handled) | set(training_only)
    for option, value in sorted(estimator.get_params(deep=False).items()):
        if option not in known:
            raise place.refuse(f"the option {option}={value!r} is not known", ", ".join(sorted(known)))


def require(place: Place, option: str, value: Any, allowed: Collection[Any], *, why: str = "") -> None:
    """Refuse ``option`` unless its value is one of ``allowed``."""
    if not any(value is a or (type(value) is type(a) and value == a) for a in allowed):
        reason = f" ({why})" if why else ""
        raise place.refuse(
            f"{option}={value!r} is not exported{reason}",
            " or ".join(f"{option}={_shown(a)}" for a in allowed),
        )


def _shown(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)
