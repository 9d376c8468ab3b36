"""Measures what the local cloud holds while models live through simulated days.

    python benchmarks/memory.py [--models 3] [--days 365] [--every 6] [--out FILE]

Replays the flights of the worked example for one or several copies of its model in one local cloud, their requests
and labels at the same instants of one clock. Samples the resident memory of the cloud's process and of its children
once a simulated day, and prints it at days 1, 30, 60, 90, 180, ... with the slope from day 60 on. Flights of 2013 are
asked about again 52 weeks later where the days reach beyond them. ``--every N`` keeps every N-th flight.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from everloop.cli.operations.declarations import find_declaration  # noqa: E402
from everloop.cli.operations.history import import_rows  # noqa: E402
from everloop.cli.operations.local_cloud import LocalCloud, bring_up, free_port  # noqa: E402
from everloop.cli.operations.project import synthesize_project  # noqa: E402
from everloop.cli.replay.driver import Drive  # noqa: E402
from everloop.cli.replay.progress import Progress  # noqa: E402
from everloop.cli.replay.stream import ReplayData, load  # noqa: E402

MODEL = "flight_delay"
HISTORY_ENDS = datetime(2013, 3, 1, tzinfo=UTC)
YEAR = pd.Timedelta(weeks=52)
SHOWN_DAYS = (1, 30, 60, 90, 120, 180, 240, 270, 300, 365)
WARM_DAYS = 60


class SharedClock:
    """One clock that several drives move: it goes to the earliest instant that any of them wants, once all wait."""

    def __init__(self, advance: Callable[[datetime], object], drives: int) -> None:
        self._advance = advance
        self._drives = drives
        self._wanted: dict[int, datetime] = {}
        self._changed = threading.Condition()

    def advance(self, to: datetime) -> None:
        """Return when the clock stands at ``to``."""
        me = threading.get_ident()
        with self._changed:
            self._wanted[me] = to
            while me in self._wanted:
                if not self._move():
                    self._changed.wait()

    def leave(self) -> None:
        """One drive has ended."""
        with self._changed:
            self._drives -= 1
            self._move()

    def _move(self) -> bool:
        if not self._wanted or len(self._wanted) < self._drives:
            return False
        at = min(self._wanted.values())
        self._advance(at)
        self._wanted = {who: to for who, to in self._wanted.items() if to > at}
        self._changed.notify_all()
        return True


class Samples:
    """Resident memory by part, once a simulated day."""

    def __init__(self, cloud: LocalCloud, file: Path) -> None:
        self._cloud = cloud
        self._file = file
        self._last: str | None = None
        self._lock = threading.Lock()
        self.rows: list[dict[str, Any]] = []

    def take(self) -> float:
        """Sample, unless this day was; what all parts hold together, in MB."""
        told = self._cloud.running.memory()["rss_mb"]
        day = self._cloud.running.clock()["now"][:10]
        with self._lock:
            if day != self._last:
                self._last = day
                row = {"day": len(self.rows) + 1, "date": day, "cloud_mb": _resident_mb(self._cloud), **told}
                self.rows.append(row)
                with self._file.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        return float(sum(told.values()))


def main() -> int:
    """Run and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--every", type=int, default=1, help="keep every N-th flight")
    parser.add_argument("--out", type=Path, default=Path("out") / "memory.jsonl")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.unlink(missing_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        names, directory = write_models(Path(scratch) / "models", options.models, options.every)
        flights = write_flights(Path(scratch) / "flights.parquet", options.days, options.every)
        rows = live(names, directory, flights, Path(scratch) / "state", options.out)
    print(json.dumps({**figures(rows), "wall_seconds": round(time.monotonic() - started, 1)}, indent=2))
    return 0


def write_models(directory: Path, count: int, every: int) -> tuple[list[str], Path]:
    """Copies of the worked example under several names, with bounds that thinned rows can meet."""
    names = [MODEL, *(f"{MODEL}_{number}" for number in range(2, count + 1))]
    for name in names:
        shutil.copytree(ROOT / "models" / MODEL, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        declared = directory / name / "model.yaml"
        document = yaml.safe_load(declared.read_text(encoding="utf-8"))
        document["model"] = name
        if every > 1:
            document["data"]["minimum_rows"] = document["data"]["minimum_rows"] // every
            document["gate"].update(minimum_test_rows=100, margin=0.1, confidence=0.6)
            document["monitoring"]["minimum_rows"] = min(100, document["monitoring"].get("minimum_rows", 100))
        declared.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return names, directory


def write_flights(file: Path, days: int, every: int) -> Path:
    """Flights up to ``days`` after the end of history; those beyond 2013 are flights of 52 weeks before."""
    spec = importlib.util.spec_from_file_location("prepare_flights", ROOT / "models" / MODEL / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    rows = prepare.build(prepare.data_folder()).iloc[::every]
    again = rows.assign(
        scheduled_departure=rows["scheduled_departure"] + YEAR, flight_id=rows["flight_id"].astype(str) + "-again"
    )
    later = again[again["scheduled_departure"] > rows["scheduled_departure"].max()]
    rows = pd.concat([rows, later]).sort_values("scheduled_departure", kind="stable")
    rows = rows[rows["scheduled_departure"] < pd.Timestamp(HISTORY_ENDS) + timedelta(days=days)]
    rows.to_parquet(file, index=False)
    return file


def live(names: list[str], directory: Path, flights: Path, state: Path, out: Path) -> list[dict[str, Any]]:
    """Replay all models at once; the samples."""
    loaded = {name: load(flights, find_declaration(name, directory), HISTORY_ENDS) for name in names}
    cloud = bring_up(
        port=free_port(),
        state_directory=state,
        say=partial(print, file=sys.stderr),
        start_at=HISTORY_ENDS,
        stop_with_parent=True,
        synthesize=partial(synthesize_project, models_directory=directory),
    )
    try:
        samples, clock = Samples(cloud, out), SharedClock(cloud.running.advance, len(names))
        for name, data in loaded.items():
            import_rows(cloud.account(), find_declaration(name, directory), data.history, place="history")
        failed: list[BaseException] = []
        threads = [
            threading.Thread(target=_drive, args=(cloud, name, directory, data, clock, samples, name == MODEL, failed))
            for name, data in loaded.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return samples.rows
    finally:
        cloud.running.stop()


def _drive(
    cloud: LocalCloud,
    name: str,
    directory: Path,
    data: ReplayData,
    clock: SharedClock,
    samples: Samples,
    is_first: bool,
    failed: list[BaseException],
) -> None:
    try:
        ends_at = data.starts_at + timedelta(days=data.days() + 3)
        with Progress(name, data.starts_at, ends_at, quiet=not is_first) as progress:
            Drive(
                account=cloud.account(),
                declaration=find_declaration(name, directory),
                data=data,
                advance=clock.advance,
                memory_mb=samples.take,
                progress=progress,
            ).run()
    except BaseException as error:
        print(f"{name}: {error}", file=sys.stderr)
        failed.append(error)
    finally:
        clock.leave()


def _resident_mb(cloud: LocalCloud) -> float:
    """The cloud's process alone, finer than whole megabytes where /proc tells."""
    try:
        for line in Path(f"/proc/{cloud.running.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return round(int(line.split()[1]) / 1024, 2)
    except OSError:
        pass
    return float(cloud.running.memory()["rss_mb"]["cloud"])


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Samples of some days, and the slope of the cloud's own memory after the warm days, in MB a day."""
    shown = [row for row in rows if row["day"] in SHOWN_DAYS or row is rows[-1]]
    late = [row for row in rows if row["day"] > WARM_DAYS]
    slope = None
    if len(late) > 1:
        slope = round(float(np.polyfit([r["day"] for r in late], [r["cloud_mb"] for r in late], 1)[0]), 4)
    return {"samples": shown, "cloud_mb_a_day_after_60": slope}


if __name__ == "__main__":
    sys.exit(main())
