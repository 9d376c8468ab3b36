"""What a training job says of its candidate: ``training.json`` and ``parity.json``, as the evaluation reads them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from everloop.documents.snapshot import PartRows


class BaselineDocument(TypedDict):
    """A learned rule; see :class:`everloop.evaluation.baseline.Baseline`."""

    kind: str
    value: float
    by: str | None
    groups: dict[str, float]


class TrainingDocument(TypedDict):
    """``training.json``: what the run was made of.

    ``rows.train`` and ``time_range`` are of the rows learned from, which those of the test are among when it is a
    refit.
    """

    model: str
    refit: bool
    rows: PartRows
    time_range: list[datetime]
    script: str
    seed: int
    parameters: dict[str, str | float | int | bool]
    baseline: BaselineDocument
    code_sha256: str
    python: str
    platform: str
    packages: dict[str, str]


class ComparedDocument(TypedDict):
    """The comparison of the trained and the exported model on the test rows."""

    rows: int
    max_abs_difference: float
    label_flips: int


class ProbesDocument(TypedDict):
    """The comparison on what the contract admits; see :class:`everloop.training.probing.Probed`."""

    possibilities: dict[str, int]
    base_rows: int
    rows: int
    max_abs_difference: float
    outside_target: int


class ParityDocument(ComparedDocument):
    """``parity.json``: both comparisons, and the model that they are of."""

    model_sha256: str
    probes: ProbesDocument
