"""Where each record is in the one table.

State and audit of a model are the partition ``MODEL#<model>``, which its registry function alone writes. What another
function records without deciding anything has a partition of its own, because permissions reach partitions and no sort
keys.
"""

from __future__ import annotations

from datetime import UTC, datetime

ACTIVE_RUN = "ACTIVE_RUN"
AUDIT_HEAD = "AUDIT_HEAD"
CHAMPION = "CHAMPION"
COUNTER = "COUNTER"
CALIBRATION_FREEZE = "CALIBRATION_FREEZE"
RECONCILIATION = "RECONCILIATION"
DRILL = "DRILL"

VERSIONS = "VERSION#"
RUNS = "RUN#"
ROLLOUTS = "ROLLOUT#"
SNAPSHOTS = "SNAPSHOT#"
LOOKS = "LOOK#"
STANDING = "STANDING"
AUDIT = "AUDIT#"
WINDOWS = "WINDOW#"
CALIBRATIONS = "CALIBRATION#"
PROBES = "PROBE#"
KEPT_REQUESTS = "REQUEST#"
WAIVERS = "WAIVER#"


def partition(model: str) -> str:
    """The partition of a model's state and of its audit chain."""
    return f"MODEL#{model}"


def windows_partition(model: str) -> str:
    """The partition of a model's monitoring windows, which its monitor writes."""
    return f"WINDOWS#{model}"


def probes_partition(model: str) -> str:
    """The partition of what a model's fresh probes found, which its probe function records."""
    return f"PROBES#{model}"


def snapshots_partition(model: str) -> str:
    """The partition of a model's data snapshots, which its snapshot function records."""
    return f"SNAPSHOTS#{model}"


def version(number: int) -> str:
    """A version; six digits keep them in order."""
    return f"{VERSIONS}{number:06d}"


def run(run_id: str) -> str:
    """A run."""
    return f"{RUNS}{run_id}"


def rollout(rollout_id: str) -> str:
    """A rollout."""
    return f"{ROLLOUTS}{rollout_id}"


def kept_request(request_id: str) -> str:
    """A request to train that was kept."""
    return f"{KEPT_REQUESTS}{request_id}"


def snapshot(content_hash: str) -> str:
    """A data snapshot."""
    return f"{SNAPSHOTS}{content_hash}"


def look(run_id: str) -> str:
    """A run's look at a test part."""
    return f"{LOOKS}{run_id}"


def audit(sequence: int) -> str:
    """An audit record; twelve digits keep them in order."""
    return f"{AUDIT}{sequence:012d}"


def window(end: datetime) -> str:
    """A monitoring window by its end."""
    return f"{WINDOWS}{_sorted(end)}"


def probe(window_end: datetime) -> str:
    """A fresh probe by the end of its window."""
    return f"{PROBES}{_sorted(window_end)}"


def calibrations(number: int) -> str:
    """What the calibrations of a version begin with."""
    return f"{CALIBRATIONS}{number:06d}#"


def calibration(number: int, window_end: datetime) -> str:
    """A calibration by its version and the end of the window that published it."""
    return f"{calibrations(number)}{_sorted(window_end)}"


def _sorted(instant: datetime) -> str:
    """Always in UTC with milliseconds: with an optional fraction the text would not sort as the time does."""
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"


def waivers(number: int) -> str:
    """What the waivers of a version begin with."""
    return f"{WAIVERS}{number:06d}#"


def waiver(number: int, code: str, until: datetime) -> str:
    """A waiver by its version, the code of the reason, and when it ends."""
    return f"{waivers(number)}{code}#{_sorted(until)}"


def place(state: str) -> str:
    """The pointer to the one version in ``staging`` or ``shadow``."""
    return f"PLACE#{state}"


def operation(key: str) -> str:
    """The mark that an operation was done."""
    return f"OPERATION#{key}"


def state_partition(state: str) -> str:
    """Partition of the index by state, across models."""
    return f"STATE#{state}"


def state_sort(model: str, number: int) -> str:
    """Sort key of the index by state."""
    return f"{model}#{number:06d}"


def snapshot_partition(content_hash: str) -> str:
    """Partition of the index from a snapshot to its versions."""
    return f"SNAPSHOT#{content_hash}"


def snapshot_sort(model: str, number: int) -> str:
    """Sort key of the index from a snapshot to its versions."""
    return f"{model}#VERSION#{number:06d}"
