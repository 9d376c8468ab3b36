"""Sample rows in a model's folder: what a check tries the model on."""

from __future__ import annotations

SAMPLES = ("sample.csv", "sample.parquet")
"""Their names. They are not shipped with the model's code, whose hash they would change."""
