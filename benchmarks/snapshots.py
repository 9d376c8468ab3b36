"""Measures what making a training set, or the rows of a fresh probe, takes: memory of the function, its queries.

    python benchmarks/snapshots.py [--of probe] [--rows 336776 3000000 20000000] [--data .cache/flight_delay.parquet]

Fills the lake of a local cloud with the worked example's flights, again and again with other keys, hours apart from
the last ones, until there are so many rows. Then the snapshot function's own code makes a training set of them, in a
process of its own that has no library for tables, and tells its peak of resident memory. The queries run on DuckDB
(one thread, 1 GB): their times are this machine's, their growth is what counts.

With ``--of probe`` as many rows were answered and labelled besides, within the probe's window, and it is the probe
function that prepares its job: a sample of all rows, and of the newest days, to learn from, and one to be scored on.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402

from everloop.lake_tables import DATE, FROZEN, HISTORY, LABELS, PREDICTIONS, TABLES, UNLOAD, LakeTable  # noqa: E402
from everloop.model_file.reader import read_model_file  # noqa: E402
from everloop.model_file.schema import Investment, ModelDeclaration  # noqa: E402
from everloop.names import ModelNames  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

    from everloop.lake_services import LakeServices

LAKE, ARTIFACTS, TABLE = "lake", "artifacts", "registry"
NAMES = ModelNames("flight_delay")
SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
ROWS_OF_AN_IMPORT = 1_000_000
WINDOW, LENGTH = datetime(2014, 2, 6, tzinfo=UTC), timedelta(days=14)
RECENT_DAYS = 112
TABLE_LIBRARIES = ("awswrangler", "numpy", "pandas", "pyarrow")


def main() -> int:
    """Measure, or be the measured process."""
    options = _parser().parse_args()
    if options.measured:
        return _measured(options.of)
    print(
        f"{'rows':>12} {'seconds':>8} {'function, MB':>13} {'scanned, MB':>12} {'parts, MB':>10} {'queries':>8}  tables"
    )
    for rows in options.rows:
        print(_line(rows, _measure(rows, options.data, options.of)), flush=True)
    return 0


def _line(rows: int, told: dict[str, Any]) -> str:
    megabytes = [told[name] / 2**20 for name in ("scanned_bytes", "part_bytes")]
    return (
        f"{rows:>12,} {told['seconds']:>8.1f} {told['peak_mb']:>13.0f} {megabytes[0]:>12,.0f} {megabytes[1]:>10,.0f}"
        f" {told['queries']:>8}  {', '.join(f'{name} {count:,}' for name, count in told['tables'].items())}"
    )


def _measure(rows: int, data: Path, of: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch, _cloud(Path(scratch)) as environment:
        _fill(boto3.Session(), rows, data, answered=of == "probe")
        command = [sys.executable, str(Path(__file__).resolve()), "--measured", "--of", of]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{rows:,} rows: {done.stderr}")
        return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def _cloud(state: Path) -> Iterator[dict[str, str]]:
    """A local cloud with a lake; the environment of who uses it."""
    from everloop.cli.operations.local_cloud import free_port
    from localcloud import daemon

    running = daemon.start(free_port(), state / "state", state / "cache", stop_with_parent=True)
    os.environ.update(running.environment())
    try:
        _make_lake(boto3.Session())
        yield dict(os.environ)
    finally:
        running.stop()


def _make_lake(session: Any) -> None:
    s3, glue = session.client("s3"), session.client("glue")
    for bucket in (LAKE, ARTIFACTS):
        s3.create_bucket(Bucket=bucket)
    glue.create_database(DatabaseInput={"Name": "everloop"})
    declaration = _declaration()
    for table in (*TABLES, FROZEN):
        glue.create_table(DatabaseName="everloop", TableInput=_table(table, declaration))
    results = {"OutputLocation": f"s3://{LAKE}/athena-results/"}
    session.client("athena").create_work_group(
        Name="everloop", Configuration={"EnforceWorkGroupConfiguration": True, "ResultConfiguration": results}
    )
    names = ("pk", "sk")
    session.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=True)],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        BillingMode="PAY_PER_REQUEST",
    )


def _table(table: LakeTable, declaration: ModelDeclaration) -> dict[str, Any]:
    prefix = NAMES.unloaded_prefix if table.unloaded else NAMES.lake_prefix(table.kind)
    location = f"s3://{LAKE}/{prefix}"
    parameters, keys = {"classification": "parquet"}, []
    if table.daily:
        keys = [DATE]
        parameters |= {
            "projection.enabled": "true",
            f"projection.{DATE}.type": "date",
            f"projection.{DATE}.format": "yyyy-MM-dd",
            f"projection.{DATE}.range": "1970-01-01,NOW+1DAYS",
        }
    if table.unloaded:
        keys = [UNLOAD]
        parameters |= {
            "projection.enabled": "true",
            f"projection.{UNLOAD}.type": "injected",
            "storage.location.template": f"{location}${{{UNLOAD}}}/rows/",
        }
    return {
        "Name": NAMES.table(table.kind),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": [{"Name": name, "Type": "string"} for name in keys],
        "StorageDescriptor": {
            "Columns": [{"Name": n, "Type": t} for n, t in table.columns(declaration.data.features)],
            "Location": location,
            "SerdeInfo": {"SerializationLibrary": SERDE},
        },
    }


def _fill(session: Any, rows: int, data: Path, *, answered: bool) -> None:
    """Import so many rows, a million an object; ``answered`` says whether as many were asked and labelled later."""
    import pandas as pd

    from everloop.dataset.lake import history_bytes, to_lake_frame

    declaration, s3 = _declaration(), session.client("s3")
    flights = pd.read_parquet(data)
    flights[declaration.data.time] = pd.to_datetime(flights[declaration.data.time], utc=True).dt.tz_localize(None)
    flights[declaration.data.target] = flights[declaration.data.target].fillna(0.0)
    frame = to_lake_frame(flights, declaration)
    frame["time"] = frame["time"].astype("datetime64[ms]")
    texts = [f.name for f in declaration.data.categories] + ["key"]
    frame[texts] = frame[texts].astype(object)
    made = 0
    while made < rows:
        copies: list[pd.DataFrame] = []
        wanted, there = min(ROWS_OF_AN_IMPORT, rows - made), 0
        while there < wanted:
            number = (made + there) // len(frame)
            left = wanted - there
            copy = frame.head(left).copy()
            copy["key"] = copy["key"] + f"-{made}-{number}"
            copy["time"] = copy["time"] + pd.Timedelta(milliseconds=number + made // ROWS_OF_AN_IMPORT)
            copies.append(copy)
            there += len(copy)
        whole = pd.concat(copies, ignore_index=True)
        key = f"{NAMES.lake_prefix(HISTORY.kind)}{made:012}.parquet"
        s3.put_object(Bucket=LAKE, Key=key, Body=history_bytes(whole, declaration))
        if answered:
            _answer(s3, whole, made)
        made += len(whole)


def _answer(s3: Any, rows: pd.DataFrame, made: int) -> None:
    """The same rows as production's: asked evenly over the probe's window, labelled two days later each."""
    import numpy as np
    import pandas as pd

    length = int(LENGTH.total_seconds() * 1000)
    asked = np.datetime64(WINDOW.replace(tzinfo=None), "ms") + np.linspace(0, length - 1, len(rows)).astype("m8[ms]")
    days = asked.astype("M8[D]")
    own = {
        "prediction_id": [f"p{made + i}" for i in range(len(rows))],
        "request_id": "r",
        "version": np.int32(1),
        "key": "asked-" + rows["key"],
        "time": asked,
        "prediction": 0.0,
        "probability": (np.arange(len(rows)) % 1000) / 1000,
        "latency_ms": 1.0,
        "raw_score": 0.5,
        "calibration_sha256": None,
    }
    features = [f.name for f in _declaration().data.features]
    captured = pd.DataFrame(own).astype({"calibration_sha256": "string"}).join(rows[features])
    labels = pd.DataFrame(
        {
            "label_id": own["prediction_id"],
            "prediction_id": own["prediction_id"],
            "key": pd.Series([None] * len(rows), dtype="string"),
            "label": rows["label"].to_numpy(),
            "time": asked + np.timedelta64(2, "D"),
        }
    )
    for day in np.unique(days):
        for table, frame in ((PREDICTIONS, captured), (LABELS, labels)):
            buffer = io.BytesIO()
            frame[days == day].to_parquet(buffer, index=False, coerce_timestamps="ms")
            key = f"{NAMES.lake_prefix(table.kind)}{DATE}={day}/{made:012}.parquet"
            s3.put_object(Bucket=LAKE, Key=key, Body=buffer.getvalue())


def _declaration() -> ModelDeclaration:
    declared = read_model_file(ROOT / "models" / "flight_delay" / "model.yaml")
    retraining = declared.retraining.model_copy(update={"investment": Investment(recent_days=RECENT_DAYS)})
    return declared.model_copy(update={"retraining": retraining})


def _measured(of: str) -> int:
    """Be the function, once."""
    import logging

    from everloop.lake_services import LakeServices, LakeSettings

    logging.disable()
    declaration = _declaration()
    settings = LakeSettings(
        model=declaration.model,
        table=TABLE,
        lake_bucket=LAKE,
        artifact_bucket=ARTIFACTS,
        athena_workgroup="everloop",
        glue_database="everloop",
    )
    using = LakeServices.of(boto3.Session(), declaration, settings)
    object.__setattr__(using.queries, "give_up_seconds", 7200)
    started = time.perf_counter()
    prefix, tables = (_probe if of == "probe" else _snapshot)(using)
    seconds = time.perf_counter() - started
    loaded = [name for name in TABLE_LIBRARIES if name in sys.modules]
    if loaded:
        print(f"the measured process has loaded {loaded}, which the function does not have", file=sys.stderr)
        return 1
    listed = using.s3_client.get_paginator("list_objects_v2").paginate(Bucket=LAKE, Prefix=prefix)
    executions = _executions()
    told = {
        "tables": tables,
        "seconds": seconds,
        "peak_mb": _peak_mb(),
        "part_bytes": sum(item["Size"] for page in listed for item in page.get("Contents", [])),
        "scanned_bytes": sum(found["Statistics"]["DataScannedInBytes"] for found in executions),
        "queries": len(executions),
    }
    print(json.dumps(told))
    return 0


def _snapshot(using: LakeServices) -> tuple[str, dict[str, int]]:
    """Make a training set: where its files are, and its rows."""
    from everloop.functions.snapshot.handler import act

    as_of = datetime(2015, 1, 1, tzinfo=UTC)
    run = {"run_id": "train-1", "as_of": as_of.isoformat(), "model": "flight_delay", "kind": "train"}
    event = {"run": run, "at": (as_of + timedelta(seconds=7)).isoformat(), "execution": "train-1"}
    rows = act(event, using, request_id="one")["rows"]
    return NAMES.datasets_prefix, {"train": rows["train"], "test": rows["test"]}


def _probe(using: LakeServices) -> tuple[str, dict[str, int]]:
    """Prepare a probe of the window: where its files are, and the rows there were."""
    from everloop.functions.probe.handler import act

    end = WINDOW + LENGTH
    asked = {
        "model": "flight_delay",
        "window_start": WINDOW.isoformat(),
        "window_end": end.isoformat(),
        "as_of": (end + timedelta(days=3)).isoformat(),
    }
    event = {"action": "prepare", "asked": asked, "execution": "probe-1", "at": (end + timedelta(days=3)).isoformat()}
    answer = act(event, using, request_id="one")
    key = answer["places"]["plan_uri"].removeprefix(f"s3://{LAKE}/") + "plan.json"
    plan = json.loads(using.s3_client.get_object(Bucket=LAKE, Key=key)["Body"].read())
    spans = {f"{span['days']} days": span["labelled_rows"] for span in plan["spans"]}
    return NAMES.probes_prefix, {"labelled": plan["labelled_rows"], **spans, "answered": plan["window_rows"]}


def _peak_mb() -> float:
    """The peak of this program's resident memory; what ``getrusage`` says counts the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def _executions() -> list[dict[str, Any]]:
    athena: Any = boto3.client("athena")
    listed = athena.list_query_executions(WorkGroup="everloop")["QueryExecutionIds"]
    return [athena.get_query_execution(QueryExecutionId=each)["QueryExecution"] for each in listed]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[336_776, 3_000_000, 20_000_000])
    parser.add_argument("--of", choices=("snapshot", "probe"), default="snapshot")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache" / "flight_delay.parquet")
    parser.add_argument("--measured", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
