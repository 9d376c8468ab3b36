"""How large the requests, queries and records of a declared model can become, in bytes, at their worst.

Every text is taken as UTF-8 of four bytes a character, a number as the 24 characters that the longest double takes.
What bins there are, and how queries and records are written, is known to other rooms; a test holds these figures to
the real ones.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from everloop.model_file.partial import value_of
from everloop.recalibration.grouped_by import MOST_GROUPS

if TYPE_CHECKING:
    from everloop.model_file.sections.all_sections import AllSections
    from everloop.model_file.sections.data import Feature

MAX_BODY_BYTES = 1024 * 1024
"""Largest body of a prediction request, as :mod:`everloop.serving.request` has it. That module needs numpy, which not
every function has that reads a declaration."""

MAX_RECORD_BYTES = 1_024_000
"""Firehose's limit for a record: 1,000 KiB (https://docs.aws.amazon.com/firehose/latest/dev/limits.html)."""

MAX_QUERY_BYTES = 262_144
"""Athena's limit for a query, as :mod:`everloop.dataset.lake_sql` has it."""

MAX_QUERIES = 10
FEATURES_IN_A_QUERY = 198
"""How many queries may count a window; see :mod:`everloop.monitoring.profile_queries`."""

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit for an item, as :mod:`everloop.registry.items` has it."""

NUMBER = 24
"""Characters of the longest double, -1.2345678901234567e-300."""

COUNT = 10
"""Digits of the largest count of rows that is computed with."""

INVESTMENT = 12_000
"""Whether a retraining pays: sentences, remedies, ageing, and the hashes of the probes that were weighed."""

GROUP = 26_000
"""What a window's record keeps of a group that is recalibrated apart: its sums, its lines, and how fair they are."""

CHARACTER = 4
KEY = 256 * CHARACTER
EDGES, CATEGORIES, SCORE_BINS = 11, 20, 52
SHOWN = 32 * CHARACTER + 3
"""A text that a record shows is cut at 32 characters, which an ellipsis ends."""


def longest_text(feature: Feature) -> int:
    """Of a category feature's values."""
    if feature.unseen == "refuse" and feature.values:
        return max(len(value.encode()) for value in feature.values)
    return feature.max_length * CHARACTER


def row_bytes(declaration: AllSections) -> int:
    r"""Of one row in the body of a request, with the comma that follows it.

    A client that writes other characters than ASCII as ``\uXXXX`` needs up to three times as much for these.
    """
    data = declaration.data
    names = json.dumps({data.key: "", **{f.name: "" for f in data.features}}, separators=(",", ":"))
    values = sum(NUMBER - 2 for _ in data.numbers) + sum(longest_text(f) for f in data.categories)
    return len(names) + KEY + values + 1


def body_bytes(declaration: AllSections) -> int:
    """Of a request of ``serving.max_rows`` rows."""
    return len('{"instances":[]}') + declaration.serving.max_rows * row_bytes(declaration)


def record_bytes(declaration: AllSections) -> int:
    """Of a captured row: its inputs, and what is kept beside them (ids, version, calibration, time, scores)."""
    return row_bytes(declaration) + 730 + len('"probabilities":[],') + len(_classes(declaration)) * (NUMBER + 1)


def _classes(declaration: AllSections) -> list[str | int]:
    problem = value_of(declaration, "problem")
    return [] if problem is None else value_of(problem, "classes") or []


def profile_queries(declaration: AllSections) -> int:
    """How many queries count a window; more than ``MAX_QUERIES`` where a feature alone is too long."""
    names = sum(len(str(name).encode()) + 60 for name in _classes(declaration))
    queries, used, features = 1, 7000 + 4 * len(declaration.model) + 2 * names, 0
    for feature in declaration.data.features:
        size = _place_bytes(feature)
        if size + 2000 > MAX_QUERY_BYTES:
            return MAX_QUERIES + 1
        if used + size > MAX_QUERY_BYTES or features == FEATURES_IN_A_QUERY:
            queries, used, features = queries + 1, 2000, 0
        used, features = used + size, features + 1
    return queries


def _place_bytes(feature: Feature) -> int:
    """What a feature adds to the query that counts it: its bins, the name of its part, and its column."""
    name = len(feature.name)
    if feature.type == "number":
        place = len('CASE WHEN "" IS NULL THEN 12 ELSE width_bucket("", ARRAY[]) END') + 2 * name
        place += EDGES * (NUMBER + 2)
    else:
        place = len("""CASE WHEN "" IS NULL OR "" = '' THEN 21""")
        place += len(' ELSE coalesce(nullif(array_position(ARRAY[], ""), 0) - 1, 20) END')
        place += 3 * name + CATEGORIES * (longest_text(feature) + 4)
    return place + len(",\n      \"\",  WHEN 200 THEN 'feature '") + 2 * name


def snapshot_query_bytes(declaration: AllSections) -> int:
    """Of the query that gathers a training set from one or two imports; each further one adds about 80 bytes."""
    columns = sum(len(f'"{f.name}", ') for f in declaration.data.features)
    return 6000 + 10 * len(declaration.model) + 12 * columns


def training_set_query_bytes(declaration: AllSections) -> int:
    """Of the longest query that a training set takes: of the statement that freezes its rows, around their query, or of
    the one that looks for values that are not among a category's declared ones.
    """
    allowed = max((_allowed_bytes(f) for f in declaration.data.categories), default=0)
    return max(snapshot_query_bytes(declaration), allowed) + 1000


def _allowed_bytes(feature: Feature) -> int:
    if feature.values is None or feature.unseen != "refuse":
        return 0
    # A quotation mark is written twice.
    return sum(len(value.encode()) + value.count("'") + len("'', ") for value in feature.values)


def snapshot_record_bytes(declaration: AllSections) -> int:
    """Of the registry's record of a snapshot: the query, each column's type, and what its values are like."""
    described = 0
    for feature in declaration.data.features:
        described += 2 * len(feature.name) + len('{"name":"","type":"timestamp"},"":{},')
        if feature.type == "number":
            described += len('"missing":,"min":,"max":,"mean":,"quartiles":[,,]') + COUNT + 6 * NUMBER
        else:
            described += len('"missing":,"distinct":,"most_frequent":[]') + 2 * COUNT + 10 * (SHOWN + COUNT + 6)
    return 3600 + described + snapshot_query_bytes(declaration)


def window_record_bytes(declaration: AllSections) -> int:
    """Of the registry's record of a window: counts and drift of each feature, outcomes by score, reasons."""
    features = 0
    drift = len('"":{"adjusted_p_value":,"alarm":false,"days":31,"effect":,"moved":": 99.9% -> 99.9%","p_value":},')
    for feature in declaration.data.features:
        bins = EDGES + 1 if feature.type == "number" else CATEGORIES + 1
        features += len('"":{"counts":[],"missing":},') + (bins + 1) * (COUNT + 1)
        # Its name stands once more in the sentence of a decision.
        moved = SHOWN if feature.type == "category" else len("from -1.2346e-300 to -1.2346e-300")
        features += drift + 3 * NUMBER + moved + 3 * len(feature.name) + 2
    retraining = value_of(declaration, "retraining")
    weighed = retraining is not None and value_of(retraining, "investment") is not None
    groups = GROUP * _groups(declaration)
    return 11_000 + (INVESTMENT if weighed else 0) + groups + features + 3 * SCORE_BINS * (COUNT + 1)


def _groups(declaration: AllSections) -> int:
    """Groups whose rows are recalibrated apart, at most; what is wrong with them is told elsewhere."""
    recalibration = value_of(declaration, "recalibration")
    return MOST_GROUPS if recalibration is not None and value_of(recalibration, "by") is not None else 0
