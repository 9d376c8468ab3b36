"""The local cloud: moto, and what moto only records, executed behind the same AWS API."""
