"""What a declaration can't change about a model that serves, or about rows that lie in the lake already.

Each finding says what is declared, what there is, and the way: docs/change-a-model.md goes through them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import DeclarationChangedError
from everloop.lake_tables import CLASSES_OF_ROWS, KEY_OF_ROWS, TARGET_OF_ROWS, classes_text
from everloop.serving.contract import ServingContract

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

GUIDE = "`everloop docs change-a-model`"

MOST_NAMED = 5
"""Objects that one sentence names."""


@dataclass(frozen=True)
class Change:
    """Something that can't be changed so.

    Attributes
    ----------
    code : {"key", "target", "problem_type", "classes", "feature_needed", "feature_type", "column_type"}
    name : str
        The feature, or the name that was declared.
    sentence : str
        What is declared, what there is, and what to do instead.
    """

    code: str
    name: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class RecordedColumn:
    """A column of one type in the lake; or what imports took the key, or the target, from.

    Attributes
    ----------
    kind : str
        "number" or "category"; of key and target, the column they were declared as.
    place : str
        The oldest object in which it is so.
    more : tuple of str
        The others that were looked at, the oldest first.
    """

    kind: str
    place: str
    more: tuple[str, ...] = ()


def against_champion(declaration: ModelDeclaration, contract: ServingContract, version: int) -> list[Change]:
    """What the declaration takes from the champion, whose contract that is."""
    return [*against_identity(declaration, contract, version), *_features(declaration, contract, version)]


def against_lake(declaration: ModelDeclaration, recorded: Mapping[str, Sequence[RecordedColumn]]) -> list[Change]:
    """What the rows in the lake were imported as and are no longer: by key and target, then each feature by its type.

    Of each column, ``recorded`` has what it was with the oldest first.
    """
    found = list(_other_rows(declaration, recorded))
    for feature in declaration.data.features:
        columns = recorded.get(feature.name, ())
        other = next((c for c in columns if c.kind != feature.type), None)
        if other is None:
            continue
        if columns[0].kind == feature.type:
            sentence = _put_back(feature.name, feature.type, other)
        else:
            there = f"the lake has it as a {other.kind} ({other.place})"
            sentence = _other_type(feature.name, feature.type, there)
        found.append(Change("column_type", feature.name, sentence))
    return found


def _other_rows(declaration: ModelDeclaration, recorded: Mapping[str, Sequence[RecordedColumn]]) -> Iterator[Change]:
    yield from _other_classes(declaration, recorded)
    for code, name, now in (
        ("key", KEY_OF_ROWS, declaration.data.key),
        ("target", TARGET_OF_ROWS, declaration.data.target),
    ):
        others = [column for column in recorded.get(name, ()) if column.kind != now]
        if others:
            places = [place for column in others for place in (column.place, *column.more)]
            yield Change(
                code,
                now,
                f"data.{code} is {now!r}, and rows in the lake were imported with the {code} {others[0].kind!r} "
                f"({len(places)} of the imports that were looked at, the oldest {places[0]}): the lake can't "
                f"distinguish the two. Declare {others[0].kind!r} again; for another {code}, make another model "
                "under a new name; or, if no version was trained on these rows, move each import aside, e.g. `aws "
                f"s3 mv {places[0]} {_aside(places[0])}` ({GUIDE})",
            )


def _other_classes(declaration: ModelDeclaration, recorded: Mapping[str, Sequence[RecordedColumn]]) -> Iterator[Change]:
    """A label in the lake is the place of its class: among other classes it would be another one."""
    classes = declaration.problem.classes
    others = [c for c in recorded.get(CLASSES_OF_ROWS, ()) if classes and c.kind != classes_text(classes)]
    if classes and others:
        yield Change(
            "classes",
            classes_text(classes),
            f"problem.classes is {classes_text(classes)}, and rows in the lake were imported with {others[0].kind} (the"
            f" oldest {others[0].place}): a label there is the place of its class, and would become another class."
            f" Declare these again, in this order; for other classes, make another model under a new name ({GUIDE})",
        )


def require_unchanged(model: str, changes: Sequence[Change]) -> None:
    """Refuse a declaration with such changes.

    Raises
    ------
    DeclarationChangedError
        With every one of them.
    """
    if changes:
        raise DeclarationChangedError(model, [change.sentence for change in changes])


def against_identity(declaration: ModelDeclaration, contract: ServingContract, version: int) -> Iterator[Change]:
    """What rows of the declaration and rows of the champion would not have in common: key, target, type of problem."""
    data, problem = declaration.data, declaration.problem
    for code, what, now, before in (
        ("key", "data.key", data.key, contract.key),
        ("target", "data.target", data.target, contract.target),
        ("problem_type", "problem.type", problem.type, contract.problem_type),
        ("classes", "problem.classes", problem.classes or [], list(contract.classes)),
    ):
        if now != before:
            yield Change(
                code,
                str(now),
                f"{what} is {now!r}, and {before!r} for the champion, version {version}: the lake can't "
                f"distinguish the rows, labels and answers of the two. Declare {before!r} again; for another "
                f"{what.split('.')[1]}, make another model under a new name ({GUIDE})",
            )


def _features(declaration: ModelDeclaration, contract: ServingContract, version: int) -> Iterator[Change]:
    declared = {f.name: f.type for f in declaration.data.features}
    used = {f.name: "number" for f in contract.numbers} | {f.name: "category" for f in contract.categories}
    for name, kind in used.items():
        if name not in declared:
            yield Change(
                "feature_needed",
                name,
                f"the champion, version {version}, uses {name!r}, which is no longer declared: declare it again, take"
                " it out of the training script, and remove it once a version that does not use it is champion"
                f" ({GUIDE})",
            )
        elif declared[name] != kind:
            there = f"the champion, version {version}, uses it as a {kind}"
            yield Change("feature_type", name, _other_type(name, declared[name], there))


def _other_type(name: str, kind: str, there: str) -> str:
    return (
        f"{name!r} is declared as a {kind}, and {there}: one column can't be both. Declare {name!r} as before, and"
        f" the new feature under another name, e.g. '{name[:20]}_{'text' if kind == 'category' else 'number'}';"
        f" import history again with both; remove {name!r} once the champion does not use it ({GUIDE})"
    )


def _put_back(name: str, kind: str, other: RecordedColumn) -> str:
    """Of a type that was declared otherwise for a while: there is nothing to declare, the rows in between stay."""
    places = [other.place, *other.more]
    folders = list(dict.fromkeys(place.rpartition("/")[0] for place in places))
    moves = "; ".join(f"`aws s3 mv {place} {_aside(place)}`" for place in places[:MOST_NAMED])
    more = f"; and {len(places) - MOST_NAMED} more of them, up to {places[-1]}" if len(places) > MOST_NAMED else ""
    dates = [folder.rpartition("date=")[2] for folder in folders if "/date=" in folder]
    when = f", captured from {dates[0]} to {dates[-1]}" if len(dates) > 1 else f", captured {dates[0]}" if dates else ""
    return (
        f"{name!r} is declared as a {kind}, and the lake has it as a {other.kind} in between, in {len(places)} of "
        f"the objects that were looked at{when}: no query reads both types. Move these objects aside, with all "
        f"their rows: {moves}{more}. Then repeat this command: it may find more, since it does not read every "
        f"object of a date ({GUIDE})"
    )


def _aside(place: str) -> str:
    """Where an object is no table's: ``s3://lake/predictions/…`` is moved to ``s3://lake/set-aside/predictions/…``."""
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return f"s3://{bucket}/set-aside/{key}"
