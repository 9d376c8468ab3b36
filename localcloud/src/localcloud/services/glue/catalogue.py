"""The Glue catalogue of this cloud, read in process on somebody's behalf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.glue.models import glue_backends

from localcloud.core.context import CloudContext
from localcloud.iam.access import Access


class NoSuchTableError(LookupError):
    """A table or database that the catalogue does not have."""


@dataclass(frozen=True)
class CatalogueTable:
    """A table as it is now.

    Attributes
    ----------
    columns, partition_keys : tuple of mapping
        ``Name`` and ``Type`` of each.
    location : str
        ``s3://bucket/prefix/``.
    partitions : tuple of (values, location)
        Registered partitions; empty for a projected table.
    version : str
        Changes with every update.
    """

    database: str
    name: str
    columns: tuple[Mapping[str, str], ...]
    partition_keys: tuple[Mapping[str, str], ...]
    location: str
    parameters: Mapping[str, str]
    serialization_library: str
    partitions: tuple[tuple[tuple[str, ...], str], ...]
    version: str


class Catalogue:
    """Databases and tables, seen by one identity."""

    def __init__(self, context: CloudContext, access: Access) -> None:
        self._context = context
        self._backend = glue_backends[context.account_id][context.region]
        self._access = access

    def table(self, database: str, name: str, *, action: str = "glue:GetTable") -> CatalogueTable:
        """A table of the catalogue; needs ``action`` on catalogue, database and table.

        Raises
        ------
        NoSuchTableError
            When there is none of that name.
        DeniedError
            When the identity may not see it.
        """
        self._require(action, database, name)
        found = self._backend.databases.get(database)
        table = found.tables.get(name) if found is not None else None
        if table is None:
            missing = f"table {database}.{name}" if found is not None else f"database {database}"
            raise NoSuchTableError(f"{missing} does not exist in the Glue catalogue")
        definition: Mapping[str, Any] = table.as_dict()
        storage = definition.get("StorageDescriptor") or {}
        partitions = tuple(
            (tuple(partition.values), partition.partition_input["StorageDescriptor"]["Location"])
            for partition in table.partitions.values()
        )
        return CatalogueTable(
            database=database,
            name=name,
            columns=tuple(storage.get("Columns") or ()),
            partition_keys=tuple(definition.get("PartitionKeys") or ()),
            location=storage.get("Location") or "",
            parameters=definition.get("Parameters") or {},
            serialization_library=(storage.get("SerdeInfo") or {}).get("SerializationLibrary", ""),
            partitions=partitions,
            version=definition["VersionId"],
        )

    def require_partitions(self, table: CatalogueTable) -> None:
        """Check that the identity may list a table's partitions."""
        self._require("glue:GetPartitions", table.database, table.name)

    def _require(self, action: str, database: str, table: str) -> None:
        prefix = f"arn:aws:glue:{self._context.region}:{self._context.account_id}"
        for resource in ("catalog", f"database/{database}", f"table/{database}/{table}"):
            self._access.require(action, f"{prefix}:{resource}")
