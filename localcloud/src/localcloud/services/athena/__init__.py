"""Athena: queries over the Glue catalogue, executed by DuckDB."""
