"""What other services may use: the catalogue, read in this process on somebody's behalf, and its types of columns."""

from __future__ import annotations

from localcloud.services.glue.catalogue import Catalogue, CatalogueTable, NoSuchTableError
from localcloud.services.glue.column_types import UnknownColumnTypeError, arrow_type

__all__ = ["Catalogue", "CatalogueTable", "NoSuchTableError", "UnknownColumnTypeError", "arrow_type"]
