"""How a file of rows or labels is written, as far as the file does not say so itself."""

from __future__ import annotations

import codecs
import re
import warnings
from dataclasses import dataclass, fields
from zoneinfo import ZoneInfo

from everloop.dataset.exceptions import FileFormatError

TIME_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds of each."""

MISSING_WORDS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None", "\\N")
"""What R, pandas, spreadsheets and SQL tools write for a value they don't have. In a number or a time it can mean
nothing else; a category may well be called NA."""

TRUTHS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
"""What pandas, R and SQL tools write for two classes."""


@dataclass(frozen=True)
class FileFormat:
    """What a person says about a file. Nothing of it is guessed.

    Attributes
    ----------
    delimiter : str or None
        Between the cells of a CSV; None is the comma, or the tab where the name ends in ``.tsv``.
    decimal : {".", ","}
        The decimal mark of a CSV's numbers.
    encoding : str
        Of a CSV; any text encoding that Python knows.
    missing_words : tuple of str
        Texts that mean missing in every column, beside :data:`MISSING_WORDS` in numbers and times, and the empty
        text everywhere.
    time_unit : {"s", "ms", "us", "ns"} or None
        Times are numbers that count these from 1970-01-01T00:00:00Z.
    time_format : str or None
        Times are texts of this form, in the directives of ``strptime``.
    time_zone : str or None
        The zone of times that bear none; None is UTC.

    Raises
    ------
    FileFormatError
        When it makes no sense.
    """

    delimiter: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"
    missing_words: tuple[str, ...] = ()
    time_unit: str | None = None
    time_format: str | None = None
    time_zone: str | None = None

    def __post_init__(self) -> None:
        delimiter = self.delimiter
        if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0'):
            raise FileFormatError(f"--delimiter {delimiter!r}: give one character, e.g. ';' or '|', or the word tab")
        if self.decimal not in (".", ","):
            raise FileFormatError(f"--decimal {self.decimal!r}: give . or ,")
        if delimiter is not None and delimiter == self.decimal:
            raise FileFormatError(f"--delimiter and --decimal are both {delimiter!r}: choose different characters")
        if not _is_text_encoding(self.encoding):
            raise FileFormatError(
                f"--encoding {self.encoding!r} does not exist: give e.g. windows-1252, latin-1 or utf-16"
            )
        if self.time_unit is not None and self.time_unit not in TIME_UNITS:
            raise FileFormatError(f"--time-unit {self.time_unit!r}: give one of {', '.join(TIME_UNITS)}")
        if self.time_unit is not None and self.time_format is not None:
            raise FileFormatError("--time-unit is for times that are numbers, --time-format for strings: give only one")
        if self.time_unit is not None and self.time_zone is not None:
            raise FileFormatError("--time-unit counts from 1970 in UTC: leave --time-zone out")
        if self.time_format is not None and not _is_time_format(self.time_format):
            raise FileFormatError(
                f"--time-format {self.time_format!r} is not a time format: give e.g. '%d.%m.%Y %H:%M'"
            )
        if self.time_format is not None and not re.search("%[YyGcx]", self.time_format):
            raise FileFormatError(
                f"--time-format {self.time_format!r} has no year: give the whole date, e.g. '%d.%m.%Y %H:%M'"
            )
        if self.time_zone is not None and not _is_zone(self.time_zone):
            raise FileFormatError(f"--time-zone {self.time_zone!r} does not exist: give a name such as Europe/Berlin")

    def refuse_csv_options(self, path: object) -> None:
        """Raise where something is said that only a CSV can be.

        Raises
        ------
        FileFormatError
            Naming it.
        """
        said = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        wrong = [f"--{name}" for name in said if name in ("delimiter", "decimal", "encoding")]
        if wrong:
            raise FileFormatError(f"{path}: {', '.join(wrong)} is only for CSV: leave it out for a Parquet file")


def _is_text_encoding(name: str) -> bool:
    try:
        "a".encode(name)
        b"a\0".decode(name, "ignore")
        return bool(codecs.lookup(name))
    except (LookupError, ValueError):
        return False


def _is_time_format(text: str) -> bool:
    if "%" not in text:
        return False
    import pandas as pd  # every command has these options, few are given one: it takes longer than all else of most

    try:
        with warnings.catch_warnings():
            # Python 3.13 warns of a day without a year, which is refused with its own words.
            warnings.simplefilter("ignore", DeprecationWarning)
            pd.to_datetime(pd.Series(["x"]), format=text, errors="coerce")
    except ValueError:
        return False
    return text not in ("ISO8601", "mixed")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # KeyError is what ZoneInfoNotFoundError is
        return False
    return True
