"""The Glue catalogue: databases and tables."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, names
from localcloud.cloudformation.shapes import member_arguments

_GONE = "EntityNotFoundException"


_BY_LIBRARY = "files are read with their serialization library"


class Database(Handler):
    """A database of the catalogue."""

    type = "AWS::Glue::Database"
    table = table_of(
        "CatalogId DatabaseName DatabaseInput(Name)",
        kept={
            "DatabaseInput.Description": DESCRIPTION,
            "DatabaseInput.LocationUri DatabaseInput.Parameters": (
                "each table says where its data is, and how it is read"
            ),
            "DatabaseInput.CreateTableDefaultPermissions": (
                "Lake Formation's permissions are not supported here; use the policies of the roles"
            ),
        },
    )
    required = names("CatalogId DatabaseInput")

    def must_replace(self, old: Properties, new: Properties) -> bool:
        """A database can not be renamed."""
        return _database_name(old) != _database_name(new)

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the database."""
        name = _database_name(properties) or place.new_name(255, lower=True)
        place.client("glue").create_database(
            CatalogId=properties["CatalogId"], DatabaseInput=self._input(place, name, properties)
        )
        return Made(name)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Replace the database's description, location and parameters."""
        place.client("glue").update_database(
            CatalogId=new["CatalogId"],
            Name=made.physical_id,
            DatabaseInput=self._input(place, made.physical_id, new),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the database with the definitions of its tables."""
        glue = place.client("glue")
        where = {"CatalogId": properties["CatalogId"], "Name": made.physical_id}
        ignoring(lambda: glue.delete_database(**where), _GONE)

    def _input(self, place: Place, name: str, properties: Properties) -> dict[str, Any]:
        given = {**properties["DatabaseInput"], "Name": name}
        where = f"{place.where}: DatabaseInput"
        return dict(member_arguments(place.client("glue"), "CreateDatabase", "DatabaseInput", given, where))


class Table(Handler):
    """A table of the catalogue."""

    type = "AWS::Glue::Table"
    table = table_of(
        """
        CatalogId DatabaseName Name
        TableInput(
            Name Parameters(*) PartitionKeys(Name Type)
            StorageDescriptor(
                Columns(Name Type) Location SerdeInfo(SerializationLibrary Parameters(*)) Parameters(*)
            )
        )
        """,
        kept={
            "TableInput.Description TableInput.Owner TableInput.PartitionKeys.Comment": DESCRIPTION,
            "TableInput.StorageDescriptor.Columns.Comment TableInput.StorageDescriptor.SerdeInfo.Name": DESCRIPTION,
            "TableInput.TableType TableInput.Retention": "every table consists of files in S3",
            "TableInput.StorageDescriptor.InputFormat TableInput.StorageDescriptor.OutputFormat": _BY_LIBRARY,
            "TableInput.StorageDescriptor.Compressed TableInput.StorageDescriptor.StoredAsSubDirectories": _BY_LIBRARY,
            "TableInput.StorageDescriptor.NumberOfBuckets": _BY_LIBRARY,
        },
        refused={
            "OpenTableFormatInput": "Iceberg tables are not read here: use Parquet or JSON files",
            "TableInput.ViewOriginalText TableInput.ViewExpandedText TableInput.ViewDefinition": (
                "query the tables instead of a view"
            ),
            "TableInput.TargetTable": "use the table itself",
        },
    )
    required = names("CatalogId DatabaseName TableInput")
    create_only = names("CatalogId DatabaseName Name")

    def must_replace(self, old: Properties, new: Properties) -> bool:
        """A table can neither be renamed nor moved."""
        return super().must_replace(old, new) or _table_name(old) != _table_name(new)

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the table."""
        name = _table_name(properties) or place.new_name(255, lower=True)
        place.client("glue").create_table(
            CatalogId=properties["CatalogId"],
            DatabaseName=properties["DatabaseName"],
            TableInput=self._input(place, name, properties),
        )
        return Made(name)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Replace the table's definition."""
        place.client("glue").update_table(
            CatalogId=new["CatalogId"],
            DatabaseName=new["DatabaseName"],
            TableInput=self._input(place, made.physical_id, new),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the definition; its data stays."""
        glue = place.client("glue")
        where = {
            "CatalogId": properties["CatalogId"],
            "DatabaseName": properties["DatabaseName"],
            "Name": made.physical_id,
        }
        ignoring(lambda: glue.delete_table(**where), _GONE)

    def _input(self, place: Place, name: str, properties: Properties) -> dict[str, Any]:
        given = {**properties["TableInput"], "Name": name}
        where = f"{place.where}: TableInput"
        return dict(member_arguments(place.client("glue"), "CreateTable", "TableInput", given, where))


def _database_name(properties: Properties) -> str | None:
    return properties["DatabaseInput"].get("Name") or properties.get("DatabaseName")


def _table_name(properties: Properties) -> str | None:
    return properties["TableInput"].get("Name") or properties.get("Name")


HANDLERS = (Database(), Table())
