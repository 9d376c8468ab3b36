"""Unnests arrays in a SELECT list where a query does it by CROSS JOIN UNNEST, which DuckDB is many times slower at.

DuckDB runs the join as a correlated one, row by row: 50,000 rows of 19 cells take 0.8 seconds where an ``unnest`` in
the list takes 0.05 (DuckDB 2.0.0, measured). Both mean the same: a row without elements is left out, an ordinality
counts from 1.
"""

from __future__ import annotations

from localcloud.services.athena.tree import Node, nodes_of

_NO_PLACE = {"query_location": 0, "query_location_length": 0}
_OWN_PARTS = ("select_list", "where_clause", "group_expressions", "having", "qualify", "modifiers")


def unnest_in_lists(tree: Node) -> None:
    """Rewrite a query's tree in place, wherever that is plainly the same; elsewhere the join stays."""
    for node in list(nodes_of(tree)):
        if node.get("type") == "SELECT_NODE":
            _rewrite(node)


def _rewrite(select: Node) -> None:
    source = select.get("from_table") or {}
    if source.get("type") != "JOIN" or source.get("ref_type") != "CROSS":
        return
    left, right = source["left"], source["right"]
    of = left.get("alias") or left.get("table_name")
    if left["type"] not in ("BASE_TABLE", "SUBQUERY") or not of or left.get("sample") or not _is_unnest(right):
        return
    columns = {name.lower(): f"{right['alias']} {name}" for name in right["column_name_alias"]}
    own = {part: select.get(part) for part in _OWN_PARTS}
    found = list(nodes_of(own))
    if any(node.get("class") in ("STAR", "SUBQUERY") for node in found):
        return
    references = [node for node in found if node.get("class") == "COLUMN_REF"]
    named = [_column(node, right["alias"], columns) for node in references]
    if any(_goes_deeper(node, right["alias"], columns) for node in references):
        return
    for item in select["select_list"]:
        if item.get("class") == "COLUMN_REF" and not item["alias"]:
            item["alias"] = item["column_names"][-1]
    for node, column in zip(references, named, strict=True):
        if column is not None:
            node["column_names"] = [columns[column]]
    select["from_table"] = _with_cells(left, of, right["function"]["arguments"][0]["expression"], columns)


def _is_unnest(node: Node) -> bool:
    """Whether it is ``UNNEST(array) AS alias (column)``, or with an ordinality and its column."""
    if node["type"] != "TABLE_FUNCTION" or node["function"]["function_name"] != "unnest" or not node.get("alias"):
        return False
    counted = node.get("with_ordinality") == "WITH_ORDINALITY"
    return len(node["function"]["arguments"]) == 1 and len(node["column_name_alias"]) == 1 + counted


def _column(reference: Node, alias: str, columns: dict[str, str]) -> str | None:
    """The column of the unnested array that is meant, or None for another's."""
    *path, name = (part.lower() for part in reference["column_names"])
    return name if name in columns and path in ([], [alias.lower()]) else None


def _goes_deeper(reference: Node, alias: str, columns: dict[str, str]) -> bool:
    """Whether a field of an element is meant, or may be."""
    first, *rest = (part.lower() for part in reference["column_names"])
    return (first in columns and bool(rest)) or (first == alias.lower() and len(rest) > 1)


def _with_cells(left: Node, of: str, array: Node, columns: dict[str, str]) -> Node:
    names = list(columns.values())
    items = [{"class": "STAR", "type": "STAR", "alias": "", "relation_name": of, **_NO_PLACE, **_NOTHING_ELSE}]
    items.append(_function("unnest", [array], names[0]))
    if len(names) > 1:
        one: Node = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", **_NO_PLACE}
        one["literal"] = {"kind": "INTEGER", "text": "1"}
        items.append(_function("unnest", [_function("generate_series", [one, _function("len", [array])])], names[1]))
    subquery: Node = {
        "type": "SELECT_NODE",
        "modifiers": [],
        "cte_map": {"map": []},
        "select_list": items,
        "from_table": left,
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING",
        "having": None,
        "sample": None,
        "qualify": None,
    }
    whole = {"node": subquery, "named_param_map": []}
    return {
        "type": "SUBQUERY",
        "alias": of,
        "sample": None,
        **_NO_PLACE,
        "subquery": whole,
        "column_name_alias": [],
    }


_NOTHING_ELSE: Node = {
    "exclude_list": [],
    "replace_list": [],
    "columns": False,
    "expr": None,
    "qualified_exclude_list": [],
    "rename_list": [],
}


def _function(name: str, arguments: list[Node], alias: str = "") -> Node:
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": alias,
        **_NO_PLACE,
        "function_name": name,
        "schema": "",
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "is_operator": False,
        "export_state": False,
        "catalog": "",
        "arguments": [{"name": "", "expression": argument} for argument in arguments],
        "qualified_name": {"path": [name]},
    }
