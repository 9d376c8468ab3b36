"""Makes a training set on the query engine: every row stays there, the caller reads a few numbers.

First its rows are frozen, so that whatever is asked afterwards is asked of the same rows; then they are counted and
held against the contract, split, and named by their content.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.content_hash import HASH, SUMS, content_sha256, row_hash, row_sums
from everloop.dataset.exceptions import ContractViolationError, LeakageSuspectedError
from everloop.dataset.frozen import Place, part_query
from everloop.dataset.held_groups import HELD, TESTED, HeldGroups
from everloop.dataset.lake_sql import double, timestamp
from everloop.dataset.leakage import FeatureSigns, find_suspects, unaccepted
from everloop.dataset.leakage_query import count_signs
from everloop.dataset.set_rules import (
    alike_violations,
    all_held_out,
    all_test,
    all_unlearned,
    class_violations,
    no_rows,
    none_held,
    none_standing,
)
from everloop.dataset.snapshot_counts import (
    Counts,
    Row,
    broken_conditions,
    count_queries,
    example_queries,
    number,
    read_counts,
    violations,
)
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_profile import rank_queries, read_profile, value_queries
from everloop.dataset.standing import Period, Standing
from everloop.dataset.stratified import STRATIFIED, reached_query, test_days_of
from everloop.documents.snapshot import ColumnDocument, SuspectDocument
from everloop.instants import format_instant
from everloop.problem_types import BINARY, MULTICLASS

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


STANDING = "standing"


@dataclass(frozen=True)
class Part:
    """The rows of one part of the split.

    Attributes
    ----------
    lowest, highest, mean : float or None
        Of their labels.
    classes : tuple of int
        Of several classes, the rows of each.
    """

    rows: int
    lowest: float | None
    highest: float | None
    mean: float
    classes: tuple[int, ...] = ()


def freeze(queries: AthenaQueries, place: Place, query: str) -> int:
    """Freeze the rows of a snapshot query; the bytes that were read for it."""
    (unloaded,) = queries.unload([(query, place.uri())])
    return unloaded.scanned_bytes


def check(queries: AthenaQueries, declaration: ModelDeclaration, place: Place, as_of: datetime) -> Counts:
    """Hold the labelled frozen rows against the contract; what was counted of them.

    Raises
    ------
    ContractViolationError
        With every violation: columns, counts, example values.
    """
    counts = read_counts(declaration, queries.all_rows(count_queries(declaration, place)))
    broken = broken_conditions(declaration, counts)
    examples = queries.all_rows(example_queries(declaration, place, broken)) if broken else []
    found = violations(declaration, counts, as_of, examples)
    if found:
        raise ContractViolationError(f"the training set of {declaration.model}", found)
    return counts


def describe(
    queries: AthenaQueries,
    declaration: ModelDeclaration,
    place: Place,
    *,
    query: str,
    as_of: datetime,
    standing: Standing | None = None,
) -> Snapshot:
    """Check, split and name the frozen rows.

    Parameters
    ----------
    standing : Standing, optional
        What is left out of the rows to train on.

    Raises
    ------
    ContractViolationError
        When the labelled rows break the data contract, or those to train on are all of one class or value.
    SplitError
        When a part would be empty, or the standing set that is chosen here.
    LeakageSuspectedError
        See :func:`look_for_leakage`.
    """
    counts = check(queries, declaration, place, as_of)
    first, last = counts.first, counts.last
    if first is None or last is None:
        raise no_rows()
    test_days = _test_days(queries, declaration, place, last)
    boundary = last - timedelta(days=test_days)
    if first > boundary:
        raise all_test(counts.rows, _plain(first), _plain(last), test_days)
    period = None if standing is None else standing.period(boundary)
    values, ranks = value_queries(declaration, place), rank_queries(declaration, place, counts.rows)
    counted, *told = queries.all_rows([content_query(declaration, place, boundary, period), *values, *ranks])
    content = counted[0]
    names = [str(name) for name in declaration.problem.classes or []]
    parts = {name: _part(content, name, len(names)) for name in ("train", "test")}
    aside = 0 if period is None else _part(content, STANDING, len(names)).rows
    if standing is not None and period is not None:
        if standing.chosen is None and not aside:
            raise none_standing(str(period), standing.days)
        if not parts["train"].rows:
            raise all_held_out(str(period), standing.days, aside)
    held_groups = HeldGroups.of(declaration)
    held = {} if held_groups is None else {name: _part(content, name, len(names)).rows for name in (HELD, TESTED)}
    if held_groups is not None:
        if not parts["train"].rows:
            raise all_unlearned(held_groups)
        if not held[TESTED]:
            raise none_held(held_groups, parts["test"].rows)
    _require_learnable(declaration, parts["train"])
    signs, suspects = look_for_leakage(queries, declaration, place, counts, boundary)
    columns = _columns(declaration)
    header = {
        "kind": "snapshot",
        "model": declaration.model,
        "columns": columns,
        "boundary": format_instant(boundary),
        **({} if period is None else {STANDING: str(period)}),
        **({} if held_groups is None else {"held_groups": held_groups.as_dict()}),
    }
    return Snapshot(
        model=declaration.model,
        snapshot_hash=content_sha256(header, counts.rows, (int(content[name] or 0) for name in SUMS)),
        columns=columns,
        boundary=boundary,
        rows={
            **{name: part.rows for name, part in parts.items()},
            "unlabelled": counts.unlabelled,
            "superseded": counts.superseded,
            **({} if period is None else {STANDING: aside}),
            **held,
        },
        time_range=(first, last),
        label_mean={name: part.mean for name, part in parts.items()},
        class_rows={name: dict(zip(names, part.classes, strict=True)) for name, part in parts.items()} if names else {},
        profile=read_profile(declaration, counts, told[: len(values)], told[len(values) :]),
        source={"query": query, "as_of": as_of},
        leakage=suspects,
        signs=signs,
        standing=period,
        held_groups=None if held_groups is None else held_groups.as_dict(),
    )


def _test_days(queries: AthenaQueries, declaration: ModelDeclaration, place: Place, last: datetime) -> int:
    """As declared, or as many as the rarest class needs."""
    if declaration.data.split.strategy != STRATIFIED:
        return declaration.data.split.test_days
    reached = {}
    for row in queries.rows(reached_query(declaration, place)):
        since = timedelta(milliseconds=int(row["reached"] or 0))
        reached[int(float(row["label"] or 0))] = datetime(1970, 1, 1, tzinfo=UTC) + since
    return test_days_of(declaration, reached, last)


def look_for_leakage(
    queries: AthenaQueries, declaration: ModelDeclaration, place: Place, counts: Counts, boundary: datetime
) -> tuple[list[FeatureSigns], list[SuspectDocument]]:
    """What was counted of each feature, and those that may leak the outcome.

    Raises
    ------
    LeakageSuspectedError
        With ``data.leakage: stop``, when one of them is not accepted by ``data.leakage_accepted``.
    """
    if declaration.problem.type == MULTICLASS:
        signs, suspects = _of_each_class(queries, declaration, place, counts, boundary)
    else:
        signs = count_signs(queries, declaration, place, counts, boundary)
        suspects = find_suspects(signs, classification=declaration.problem.type == BINARY)
    open_ = unaccepted(suspects, declaration.data.leakage_accepted)
    if open_ and declaration.data.leakage == "stop":
        raise LeakageSuspectedError(declaration.model, open_)
    return signs, suspects


def _of_each_class(
    queries: AthenaQueries, declaration: ModelDeclaration, place: Place, counts: Counts, boundary: datetime
) -> tuple[list[FeatureSigns], list[SuspectDocument]]:
    """The signs of the rarest class, and the suspects of each class against all others; each feature and sign once.

    The classes share the false alarm rate of a training set.
    """
    names = declaration.problem.classes or []
    every = [
        count_signs(queries, declaration, replace(place, one_class=k), counts, boundary) for k in range(len(names))
    ]
    found: dict[tuple[str, str], SuspectDocument] = {}
    for name, signs in zip(names, every, strict=True):
        for suspect in find_suspects(signs, classification=True, sets=len(names)):
            told: SuspectDocument = {**suspect, "sentence": f"class {name} against all others: {suspect['sentence']}"}
            found.setdefault((suspect["feature"], suspect["code"]), told)
    return every[counts.classes.index(min(counts.classes))], list(found.values())


def content_query(
    declaration: ModelDeclaration, place: Place, boundary: datetime, standing: Period | None = None
) -> str:
    """The query that sums the rows' hashes, and counts the parts that ``boundary`` and ``standing`` make."""
    of_part = _conditions(boundary, standing, HeldGroups.of(declaration))
    label = {name: f'CASE WHEN {condition} THEN "label" END' for name, condition in of_part.items()}
    held_groups = HeldGroups.of(declaration)
    group = "" if held_groups is None else f'"{held_groups.column}", '
    measures = [
        f"{sql} AS {name}_{what}"
        for name, condition in of_part.items()
        for what, sql in {
            "rows": f"count_if({condition})",
            "lowest": f"min({label[name]})",
            "highest": f"max({label[name]})",
            "mean": f"avg({label[name]})",
            **{
                f"class_{k}": f'count_if({condition} AND "label" = {double(float(k))})'
                for k, _ in enumerate(declaration.problem.classes or [])
            },
        }.items()
    ]
    return f"""SELECT {", ".join(measures)},
  {row_sums()}
FROM (
  SELECT "time", "label", {group}{row_hash(declaration)} AS {HASH} FROM {place.rows(declaration.data.features)}
) hashed"""


def parts_of(
    declaration: ModelDeclaration,
    place: Place,
    boundary: datetime,
    standing: Period | None = None,
    *,
    chosen: bool = False,
) -> dict[str, str]:
    """The queries of a snapshot's parts, by name. Training may see the test rows without their labels.

    Parameters
    ----------
    standing : Period or None
        Whose rows are left out.
    chosen : bool
        Whether they are a part too: this snapshot chooses the standing set.
    """
    of_part = _conditions(boundary, standing, HeldGroups.of(declaration))
    parts = {
        "train": part_query(declaration, place, of_part["train"]),
        "test": part_query(declaration, place, of_part["test"]),
        "test_features": part_query(declaration, place, of_part["test"], labels=False),
    }
    return {**parts, STANDING: part_query(declaration, place, of_part[STANDING])} if chosen else parts


def _conditions(boundary: datetime, standing: Period | None, held_groups: HeldGroups | None) -> dict[str, str]:
    """Which rows are in a part, by its name."""
    before, after = f'"time" <= {timestamp(boundary)}', f'"time" > {timestamp(boundary)}'
    of_part = {"train": before, "test": after}
    if held_groups is not None:
        held = held_groups.condition
        of_part = {
            "train": f"{before} AND NOT {held}",
            "test": after,
            HELD: f"{before} AND {held}",
            TESTED: f"{after} AND {held}",
        }
    if standing is None:
        return of_part
    inside = f'"time" > {timestamp(standing.after)} AND "time" <= {timestamp(standing.until)}'
    # A test part as of an earlier instant may reach into the period: its rows are not learned from either.
    return {
        **{name: f"{of_part[name]} AND NOT ({inside})" for name in of_part if name in ("train", HELD)},
        **{name: of_part[name] for name in of_part if name not in ("train", HELD)},
        STANDING: f"{inside} AND {before}",
    }


def _part(content: Row, name: str, classes: int) -> Part:
    told = {what: content[f"{name}_{what}"] for what in ("rows", "lowest", "highest", "mean")}
    return Part(
        int(told["rows"] or 0),
        number(told["lowest"]),
        number(told["highest"]),
        number(told["mean"]) or 0.0,
        tuple(int(content[f"{name}_class_{place}"] or 0) for place in range(classes)),
    )


def _require_learnable(declaration: ModelDeclaration, train: Part) -> None:
    if declaration.problem.type == MULTICLASS:
        alike = class_violations(declaration, train.classes, "rows to train on")
    else:
        classification = declaration.problem.type == BINARY
        alike = alike_violations(
            train.rows, train.lowest, train.highest, "rows to train on", classification=classification
        )
    if alike:
        raise ContractViolationError(f"the training set of {declaration.model}", alike)


def _columns(declaration: ModelDeclaration) -> list[ColumnDocument]:
    own: list[ColumnDocument] = [
        {"name": "key", "type": "string"},
        {"name": "time", "type": "timestamp"},
        {"name": "label", "type": "double"},
    ]
    return [
        *own,
        *(
            ColumnDocument(name=f.name, type="double" if f.type == "number" else "string")
            for f in declaration.data.features
        ),
    ]


def _plain(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds")
