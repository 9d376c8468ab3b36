"""Firehose: what delivery streams do with their records."""
