"""The Glue catalogue: databases and tables."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, names
from localcloud.cloudformation.shapes import member_arguments

_GONE = "EntityNotFoundException"


class Database(Handler):
    """A database of the catalogue."""

    type = "AWS::Glue::Database"
    properties = names("CatalogId DatabaseInput DatabaseName")
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
        return member_arguments(
            place.client("glue"), "CreateDatabase", "DatabaseInput", given, f"{place.where}: DatabaseInput"
        )


class Table(Handler):
    """A table of the catalogue."""

    type = "AWS::Glue::Table"
    properties = names("CatalogId DatabaseName TableInput Name")
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
        return member_arguments(place.client("glue"), "CreateTable", "TableInput", given, f"{place.where}: TableInput")


def _database_name(properties: Properties) -> str | None:
    return properties["DatabaseInput"].get("Name") or properties.get("DatabaseName")


def _table_name(properties: Properties) -> str | None:
    return properties["TableInput"].get("Name") or properties.get("Name")


HANDLERS = (Database(), Table())
