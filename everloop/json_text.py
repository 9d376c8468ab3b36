"""Reads JSON that others wrote: whatever it holds, it becomes a value or one error of a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def read_json(
    data: bytes | str, *, object_of: Callable[[list[tuple[str, Any]]], Any] | None = None, strict: bool = True
) -> Any:
    """The value of a JSON text.

    Bare ``NaN`` and ``Infinity`` are let through as floats: whoever reads the field can then name it.

    Parameters
    ----------
    object_of : callable, optional
        Makes an object of its fields, in their order.
    strict : bool
        Refuse control characters inside texts, as JSON does.

    Raises
    ------
    ValueError
        The text is no JSON, is nested deeper than Python can follow, or has a whole number of thousands of digits.
    """
    try:
        return json.loads(data, object_pairs_hook=object_of, strict=strict)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        limit = sys.get_int_max_str_digits()
        raise ValueError(f"a whole number in it has more than {limit} digits") from None


def canonical_json(value: Any) -> str:
    """The one JSON text of ``value``: sorted keys, no spaces, no NaN or infinity.

    Raises
    ------
    ValueError
        For a number JSON has no text for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
