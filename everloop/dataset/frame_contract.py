"""Checks tables against the data contract that a model declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset import rule_words
from everloop.dataset.columns import as_keys, as_numbers, as_texts, as_times
from everloop.dataset.exceptions import ContractViolationError
from everloop.dataset.hints import hint
from everloop.dataset.row_rules import Finding, row_findings
from everloop.dataset.set_rules import (
    age_violations,
    alike_violations,
    balance_violations,
    class_violations,
    size_violations,
)
from everloop.dataset.violations import RefusedRow, Violation
from everloop.instants import format_instant
from everloop.limits import EARLIEST_TIME, LATEST_TIME
from everloop.numbers_of import number_of
from everloop.problem_types import BINARY, MULTICLASS

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


MOST_HINTED = 100
"""Different cells of a column of which it is looked up what helps; the others are told without it."""


@dataclass(frozen=True)
class HistoryCheck:
    """What came of checking a history table.

    Attributes
    ----------
    accepted : pandas.DataFrame
        The rows that break no rule, in their order: the declared columns, typed. Empty when a column is
        missing.
    refused : tuple of RefusedRow
        The others, each with the first rule it breaks.
    violations : tuple of Violation
        Every broken rule, with counts and examples.
    unlabelled : int
        Accepted rows without a target: kept, but never trained on.
    """

    accepted: pd.DataFrame
    refused: tuple[RefusedRow, ...]
    violations: tuple[Violation, ...]
    unlabelled: int

    def require_valid(self, place: str) -> None:
        """Raise unless nothing is wrong; ``place`` is how the message calls the table.

        Raises
        ------
        ContractViolationError
            With every violation.
        """
        if self.violations:
            raise ContractViolationError(place, self.violations)


def check_history(frame: pd.DataFrame, declaration: ModelDeclaration, as_of: datetime) -> HistoryCheck:
    """Check a table of past rows against the contract, row by row.

    Rules about a training set as a whole (minimum rows, label balance, missing rates) are checked on the
    snapshot, because history may come in several files.

    Parameters
    ----------
    frame : pandas.DataFrame
        The declared columns under their declared names, oldest row first. Where its index holds whole numbers, they
        are the places of the rows in their file, from 0; messages count rows from 1.
    as_of : datetime
        Now, as the caller knows it: no row may be younger.
    """
    data = declaration.data
    wanted = [data.key, data.time, data.target, *(f.name for f in data.features)]
    columns = _column_violations([str(c) for c in frame.columns], wanted)
    if any(v.code == "missing_column" for v in columns):
        return HistoryCheck(pd.DataFrame(columns=wanted), (), tuple(columns), 0)
    places = _places(frame)
    frame = frame[wanted].reset_index(drop=True)
    typed, findings = _typed(frame, declaration, {data.key: "key", data.time: "time", data.target: "label"})
    mistyped: dict[str, np.ndarray] = {}
    for finding in findings:
        mistyped[finding.column] = mistyped.get(finding.column, False) | finding.broken
    empty = typed.isna().all(axis=1).to_numpy() & ~np.logical_or.reduce(
        [np.zeros(len(typed), dtype=bool), *(f.broken for f in findings)]
    )
    # A cell that is not of its type has been told; it is not missing as well. Nor is any of an empty row.
    for finding in row_findings(typed, declaration, key=data.key, time=data.time, label=data.target):
        broken = finding.broken & ~empty & ~mistyped.get(finding.column, np.zeros(len(frame), dtype=bool))
        findings.append(Finding(finding.code, finding.column, broken, finding.rule, finding.cells))
    findings.extend(_time_findings(typed[data.time], as_of))
    findings.append(
        Finding("empty_row", "", empty, "empty in every cell: delete the row (spreadsheets often end with such rows)")
    )
    findings = [f for f in findings if f.broken.any()]
    keys = typed[data.key]
    refused = _refused_rows(findings, keys, places)
    kept = ~np.logical_or.reduce([f.broken for f in findings]) if findings else np.ones(len(frame), dtype=bool)
    accepted = typed[kept].reset_index(drop=True)
    violations = (*columns, *(f.violation(keys, places) for f in findings))
    return HistoryCheck(accepted, refused, violations, int(accepted[data.target].isna().sum()))


def check_snapshot(frame: pd.DataFrame, declaration: ModelDeclaration, as_of: datetime) -> pd.DataFrame:
    """Check a training set against the whole contract.

    Parameters
    ----------
    frame : pandas.DataFrame
        Lake columns ``key``, ``time``, ``label`` and the features; labelled rows only.
    as_of : datetime
        The instant the set is made at, which its freshness is counted from.

    Returns
    -------
    pandas.DataFrame
        The same rows with typed columns, see :mod:`everloop.dataset.columns`.

    Raises
    ------
    ContractViolationError
        With every violation: columns, counts, example values.
    """
    wanted = ["key", "time", "label", *(f.name for f in declaration.data.features)]
    violations = _column_violations([str(c) for c in frame.columns], wanted)
    if violations:
        raise ContractViolationError(f"the training set of {declaration.model}", violations)
    frame = frame[wanted].reset_index(drop=True)
    # What is in the lake came by a door: a key that an older one let in is still what its labels name.
    typed, findings = _typed(frame, declaration, {"key": "lake key", "time": "time", "label": "label"})
    findings += row_findings(typed, declaration, key="key", time="time", label="label")
    violations += [f.violation(typed["key"]) for f in findings]
    violations += _whole_set_violations(typed, declaration)
    newest = typed["time"].max()
    told = None if pd.isna(newest) else newest.to_pydatetime().replace(tzinfo=UTC)
    violations += age_violations(told, declaration, as_of)
    if violations:
        raise ContractViolationError(f"the training set of {declaration.model}", violations)
    return typed


def _typed(
    frame: pd.DataFrame, declaration: ModelDeclaration, roles: Mapping[str, str]
) -> tuple[pd.DataFrame, list[Finding]]:
    kinds = {name: {"lake key": "text", "label": "number"}.get(role, role) for name, role in roles.items()}
    kinds |= {f.name: "number" if f.type == "number" else "text" for f in declaration.data.features}
    columns, findings = {}, []
    for name in frame.columns:
        if kinds[name] == "key":
            keys = as_keys(frame[name])
            columns[name] = keys.values
            findings += [Finding(code, str(name), n, rule, frame[name]) for (code, rule), n in keys.refused.items()]
            continue
        typed = _CONVERT[kinds[name]](frame[name])
        columns[name] = typed.values
        if typed.mistyped.any():
            if roles.get(str(name)) == "label" and declaration.problem.type == MULTICLASS:
                rule = rule_words.no_class(declaration.problem.classes or [])
                findings.append(Finding("label_no_class", str(name), typed.mistyped, rule, frame[name]))
            else:
                findings.append(_mistyped(frame[name], kinds[name], typed.mistyped))
    return pd.DataFrame(columns), findings


def _mistyped(column: pd.Series, kind: str, mistyped: np.ndarray) -> Finding:
    """The cells that are not of their type, each with what helps it: what helps one may ruin another."""
    cells = column.to_numpy(dtype=object)
    known: dict[tuple[type, object], str] = {}
    helps = np.full(len(cells), "", dtype=object)
    for row in np.flatnonzero(mistyped):
        cell = cells[row] if isinstance(cells[row], str | bytes | int | float) else None
        what = type(cells[row]), cell
        if what not in known and len(known) < MOST_HINTED:
            known[what] = hint(kind, cells[row])
        helps[row] = known.get(what, "")
    return Finding(
        "wrong_type", str(column.name), mistyped, f"not a {'string' if kind == 'text' else kind}", column, helps
    )


_CONVERT = {"text": as_texts, "time": as_times, "number": as_numbers}


def _column_violations(found: list[str], wanted: list[str]) -> list[Violation]:
    times, known = Counter(found), frozenset(wanted)
    missing = [Violation("missing_column", c, 0, "the column is missing") for c in wanted if c not in times]
    extra = [
        Violation("extra_column", c, 0, "the column is not declared; remove it or declare it")
        for c in times
        if c not in known
    ]
    repeated = [
        Violation("repeated_column", c, 0, f"the column is there {count} times")
        for c, count in times.items()
        if count > 1
    ]
    return missing + extra + repeated


def _time_findings(times: pd.Series, as_of: datetime) -> list[Finding]:
    limit = np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None), "ms")
    values = times.to_numpy()
    future = values > limit  # NaT is never greater
    steps = np.where(np.isnat(values) | future, np.iinfo("int64").min, values.astype("int64"))
    latest = np.maximum.accumulate(steps) if len(steps) else steps
    earlier = ~np.isnat(values) & ~future & (values.astype("int64") < latest)
    name, shown = str(times.name), times.astype(str)
    low, high = (np.datetime64(limit.replace(tzinfo=None), "ms") for limit in (EARLIEST_TIME, LATEST_TIME))
    outside = (values < low) | (values >= high)
    limits = f"{EARLIEST_TIME:%Y-%m-%d} to {LATEST_TIME:%Y-%m-%d}"
    return [
        Finding("time_out_of_range", name, outside, f"out of range: times must be from {limits}", shown),
        Finding("time_in_future", name, future, f"later than now, {format_instant(as_of)}", shown),
        Finding("time_out_of_order", name, earlier, "earlier than a row before it; sort the rows by time", shown),
    ]


def _places(frame: pd.DataFrame) -> np.ndarray:
    """The place of each row in its file, from 1."""
    numbered = pd.api.types.is_integer_dtype(frame.index.dtype) and frame.index.is_unique
    return (frame.index.to_numpy() if numbered else np.arange(len(frame))) + 1


def _refused_rows(findings: list[Finding], keys: pd.Series, places: np.ndarray) -> tuple[RefusedRow, ...]:
    first: dict[int, Finding] = {}
    for finding in findings:
        for row in np.flatnonzero(finding.broken):
            first.setdefault(int(row), finding)
    return tuple(
        RefusedRow(int(places[row]), "" if keys.iloc[row] is None else str(keys.iloc[row]), first[row].reason(row))
        for row in sorted(first, key=lambda row: places[row])
    )


def _whole_set_violations(typed: pd.DataFrame, declaration: ModelDeclaration) -> list[Violation]:
    data, rows = declaration.data, len(typed)
    found = size_violations(declaration, rows, {f.name: int(typed[f.name].isna().sum()) for f in data.features})
    if not rows:
        return found
    if typed["label"].isna().any():
        unlabelled = int(typed["label"].isna().sum())
        found.append(
            Violation("unlabelled", "label", unlabelled, number_of(unlabelled, "row has", "rows have") + " no label")
        )
    classification = declaration.problem.type == BINARY
    labels = typed["label"].to_numpy()
    if declaration.problem.type == MULTICLASS:
        return found + class_violations(declaration, class_rows(labels, declaration), "labelled rows")
    alike = labels_alike(labels, "labelled rows", classification=classification)
    found += alike
    if classification and not alike:
        found += balance_violations(int((labels == 1).sum()), rows, data.positive_rate)
    return found


def class_rows(labels: np.ndarray, declaration: ModelDeclaration) -> list[int]:
    """How many of the labels [rows] name each declared class."""
    return [int((labels == place).sum()) for place in range(len(declaration.problem.classes or []))]


def labels_alike(labels: np.ndarray, rows: str, *, classification: bool) -> list[Violation]:
    """As :func:`everloop.dataset.set_rules.alike_violations`, of labels, shape (rows,)."""
    finite = labels[np.isfinite(labels)]
    lowest, highest = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
    return alike_violations(len(labels), lowest, highest, rows, classification=classification)
