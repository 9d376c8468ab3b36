"""What other services may use: times in Java's patterns, as prefixes and projected partitions have them."""

from __future__ import annotations

from localcloud.services.firehose.prefix import format_java

__all__ = ["format_java"]
