"""What requests to Glue need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call, UnclearRequestError, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    catalog = call.arn("glue", "catalog")
    if "Database" in call.action and "DatabaseName" not in params:
        database = params.get("Name") or (params.get("DatabaseInput") or {}).get("Name")
        if database is None:
            return one("glue", call, catalog)
        return [Access(f"glue:{call.action}", (arn,)) for arn in (catalog, call.arn("glue", f"database/{database}"))]
    database = params.get("DatabaseName")
    if database is None:
        return None
    named = (
        params.get("TableName"),
        params.get("Name") if "Table" in call.action else None,
        (params.get("TableInput") or {}).get("Name"),
    )
    tables = {table for table in named if table}
    if len(tables) > 1:
        raise UnclearRequestError(f"{call.action} names two tables, {' and '.join(sorted(tables))}; name one")
    table = tables.pop() if tables else "*"
    arns = (catalog, call.arn("glue", f"database/{database}"), call.arn("glue", f"table/{database}/{table}"))
    return [Access(f"glue:{call.action}", (arn,)) for arn in arns]
