"""What the query engine keeps of the queries that it ran."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

QUERIES = 16

RAN = """
import ctypes, gc, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from localcloud.core import allocator
from localcloud.services.athena import engine
class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in "arena ord sm hb hbd us fs in_use free cost".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
clock = SimpleNamespace(now=lambda: datetime.now(UTC))
context = SimpleNamespace(clock=clock, account_id="123456789012", region="us-east-1")
two = "(SELECT 1 AS n UNION ALL SELECT 2)"
rows = "SELECT " + " + ".join(f"t{i}.n * {2 ** i}" for i in range(6)) + " AS n FROM "
rows += " CROSS JOIN ".join(f"{two} t{i}" for i in range(6))
numbered = f"SELECT n, row_number() OVER (PARTITION BY n % 7 ORDER BY n) AS place FROM ({rows}) r"
joined = f"SELECT x.n FROM ({numbered}) x JOIN ({numbered}) y ON x.n = y.n"
sql = " UNION ALL ".join([joined] * 4)
def run(queries, count):
    for _ in range(count):
        queries.run(queries.parse(sql, None), None, None)
    gc.collect()
    allocator.release()
    return libc.mallinfo2().in_use
for queries_of_a_database in map(int, sys.argv[3:]):
    engine.QUERIES_OF_A_DATABASE = queries_of_a_database
    queries = engine.QueryEngine(context, Path(sys.argv[1]))
    before = run(queries, 8)
    print(run(queries, int(sys.argv[2])) - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc tells what is in use")
def test_past_queries_take_no_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RAN, str(tmp_path), str(QUERIES), "8", "1000000"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    as_it_is, for_ever = map(int, ran.stdout.split())

    assert for_ever > QUERIES * 5_000, "DuckDB lets go by itself: reopening it is not needed"
    assert as_it_is < for_ever / 4
