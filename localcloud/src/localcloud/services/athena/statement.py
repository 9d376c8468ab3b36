"""Takes a statement apart: SELECT, or UNLOAD of a SELECT. Everything else is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb

from localcloud.services.athena.exceptions import InvalidQueryError
from localcloud.services.athena.functions import PORTABLE_FUNCTIONS
from localcloud.services.athena.tree import Node, nodes_of
from localcloud.services.athena.unnest import unnest_in_lists

_UNLOAD = re.compile(
    r"\s*UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<target>[^']+)'\s*(?:WITH\s*\((?P<options>[^()]*)\)\s*)?;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_OPTION = re.compile(r"\s*(\w+)\s*=\s*'([^']*)'\s*(?:,|$)", re.DOTALL)
_CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
_CATALOGUE = "awsdatacatalog"

PATH = "$path"
"""Athena's hidden column of every table: the S3 address of the object that a row is in."""


@dataclass(frozen=True)
class TableUse:
    """One mention of a table in a query.

    Attributes
    ----------
    node : dict
        The mention in the query's tree; changed in place when it is redirected.
    conditions : tuple of dict
        What the WHERE clause around it demands, all of it.
    paths : bool
        Whether the SELECT around it asks for `PATH`.
    """

    database: str
    table: str
    alias: str
    node: Node
    conditions: tuple[Node, ...]
    paths: bool


@dataclass(frozen=True)
class Unload:
    """Where an UNLOAD writes, and how."""

    target: str
    compression: str


@dataclass(frozen=True)
class Statement:
    """A parsed statement.

    Attributes
    ----------
    tree : dict
        The SELECT as DuckDB serializes it.
    uses : tuple of TableUse
    unload : Unload or None
    """

    tree: Node
    uses: tuple[TableUse, ...]
    unload: Unload | None

    def sql(self, connection: duckdb.DuckDBPyConnection) -> str:
        """The SELECT as text, redirections included."""
        answer = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(self.tree)]).fetchall()
        return str(answer[0][0])


def parse(sql: str, database: str | None, connection: duckdb.DuckDBPyConnection) -> Statement:
    """Parse a statement.

    Parameters
    ----------
    database : str or None
        Where tables without a database are.

    Raises
    ------
    InvalidQueryError
        For anything but one SELECT or UNLOAD in the SQL that Athena and DuckDB share.
    """
    match = _UNLOAD.fullmatch(sql)
    unload = _unload(match["target"], match["options"] or "") if match else None
    tree = _parse_select(match["query"] if match else sql.strip().removesuffix(";"), connection)
    nodes = list(nodes_of(tree))
    _check(nodes)
    uses = tuple(_table_uses(nodes, database))
    unnest_in_lists(tree)
    return Statement(tree, uses, unload)


def _unload(target: str, options: str) -> Unload:
    given: dict[str, str] = {}
    position = 0
    while position < len(options.rstrip()):
        option = _OPTION.match(options, position)
        if option is None:
            raise InvalidQueryError(f"UNLOAD WITH ({options.strip()}): only name = 'value' options are supported here")
        given[option[1].lower()] = option[2]
        position = option.end()
    unknown = sorted(set(given) - {"format", "compression"})
    if unknown:
        raise InvalidQueryError(f"UNLOAD option {unknown[0]} is not supported by the local Athena")
    if given.get("format", "").upper() != "PARQUET":
        raise InvalidQueryError(f"UNLOAD format {given.get('format')!r} is not supported here: use PARQUET")
    compression = given.get("compression", "GZIP").upper()
    if compression not in ("SNAPPY", "GZIP", "ZSTD", "NONE"):
        raise InvalidQueryError(f"UNLOAD compression {compression!r} is none of SNAPPY, GZIP, ZSTD, NONE")
    return Unload(target if target.endswith("/") else target + "/", compression.lower())


def _parse_select(sql: str, connection: duckdb.DuckDBPyConnection) -> Node:
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0]
    tree = json.loads(row[0])
    if tree.get("error"):
        if tree.get("error_type") == "not implemented":
            first = sql.split(None, 1)[0] if sql.split() else ""
            raise InvalidQueryError(
                f"{first.upper()} statements are not supported by the local Athena: use SELECT or UNLOAD"
            )
        raise InvalidQueryError(f"SYNTAX_ERROR: {tree['error_message']}")
    if len(tree["statements"]) != 1:
        raise InvalidQueryError("Only one sql statement is allowed")
    return dict(tree)


def _check(nodes: Sequence[Node]) -> None:
    """Refuse what DuckDB would run but Athena would not, or not with the same meaning."""
    for node in nodes:
        kind = node.get("class")
        if node.get("type") == "TABLE_FUNCTION":
            name = node["function"]["function_name"]
            if name != "unnest":
                raise InvalidQueryError(f"table function {name} does not exist in Athena")
        elif kind in ("FUNCTION", "WINDOW") and not node.get("is_operator"):
            name = str(node.get("function_name", "")).lower()
            if name not in PORTABLE_FUNCTIONS:
                raise InvalidQueryError(
                    f"FUNCTION_NOT_FOUND: function {name} is not among those known to mean the same in Athena and in "
                    "the local cloud (localcloud/src/localcloud/services/athena/functions.py lists them)"
                )
        elif kind == "STAR" and (node.get("columns") or node.get("exclude_list") or node.get("replace_list")):
            raise InvalidQueryError("COLUMNS, EXCLUDE and REPLACE do not exist in Athena")
        elif kind == "COLUMN_REF" and len(node["column_names"]) == 1:
            word = str(node["column_names"][0]).lower()
            if word in _CLOCK_WORDS:
                raise InvalidQueryError(f"{word} is not supported by the local Athena: pass the time as a literal")
        elif kind == "LAMBDA" or kind == "PARAMETER":
            raise InvalidQueryError(f"{kind.lower()} expressions are not supported by the local Athena")


def _table_uses(nodes: Sequence[Node], database: str | None) -> Iterator[TableUse]:
    views = {entry["key"].lower() for node in nodes for entry in _common_tables(node)}
    asks_for_paths = any(map(_is_path, nodes))
    for node in nodes:
        if node.get("type") != "SELECT_NODE" or not node.get("from_table"):
            continue
        conditions = tuple(_conjuncts(node.get("where_clause")))
        paths = asks_for_paths and _asks_for_path(node)
        for table in _direct_tables(node["from_table"]):
            path = [part.lower() for part in table["qualified_name"]["path"]]
            if len(path) == 1 and path[0] in views:
                continue
            if len(path) == 3 and path[0] == _CATALOGUE:
                path = path[1:]
            if len(path) == 1:
                if database is None:
                    raise InvalidQueryError(f"SCHEMA_NOT_FOUND: table {path[0]} has no database")
                path = [database.lower(), path[0]]
            if len(path) != 2:
                raise InvalidQueryError(f"CATALOG_NOT_FOUND: {'.'.join(path)}")
            yield TableUse(path[0], path[1], table.get("alias") or path[1], table, conditions, paths)


def _is_path(node: Node) -> bool:
    return node.get("class") == "COLUMN_REF" and node["column_names"][-1].lower() == PATH


def _asks_for_path(select: Node) -> bool:
    """Whether a SELECT asks for `PATH`, not counting what it selects from."""
    own = {part: value for part, value in select.items() if part not in ("from_table", "cte_map")}
    found = any(map(_is_path, nodes_of(own)))
    if found and any(item.get("class") == "STAR" for item in select["select_list"]):
        raise InvalidQueryError(f'"{PATH}" beside * is not supported by the local Athena: name the columns')
    return found


def _common_tables(node: Node) -> list[Node]:
    common = node.get("cte_map")
    return common.get("map", []) if isinstance(common, dict) else []


def _direct_tables(source: Node) -> Iterator[Node]:
    """Tables of a FROM clause, but not those of its subqueries: those have conditions of their own."""
    if source["type"] == "BASE_TABLE":
        yield source
    elif source["type"] == "JOIN":
        yield from _direct_tables(source["left"])
        yield from _direct_tables(source["right"])


def _conjuncts(condition: Node | None) -> Iterator[Node]:
    if condition is None:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _conjuncts(child)
    else:
        yield condition
