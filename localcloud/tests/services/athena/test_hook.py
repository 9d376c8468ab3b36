"""Athena through its API: queries over Parquet in S3 by the Glue catalogue, with the caller's rights."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from support.in_process import Client, Cloud

SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
Column = dict[str, str]
"""A column of a table, as Glue writes it."""

COLUMNS: list[Column] = [
    {"Name": "key", "Type": "string"},
    {"Name": "version", "Type": "int"},
    {"Name": "time", "Type": "timestamp"},
    {"Name": "delay", "Type": "double"},
]
PROJECTION = {
    "projection.enabled": "true",
    "projection.date.type": "date",
    "projection.date.range": "2025-12-01,NOW",
    "projection.date.format": "yyyy-MM-dd",
    "storage.location.template": "s3://lake/predictions/model=m/date=${date}/",
}


@pytest.fixture
def lake(cloud: Cloud) -> Cloud:
    """A cloud with Athena, a projected and a plain table, and three days of objects."""
    cloud.client("s3").create_bucket(Bucket="lake")
    glue = cloud.client("glue")
    glue.create_database(DatabaseInput={"Name": "everloop"})
    create_table(cloud, "m_predictions", "s3://lake/predictions/", [{"Name": "date", "Type": "string"}], PROJECTION)
    create_table(cloud, "m_history", "s3://lake/history/model=m/")
    cloud.client("athena").create_work_group(
        Name="everloop",
        Configuration={
            "EnforceWorkGroupConfiguration": True,
            "BytesScannedCutoffPerQuery": 100_000_000,
            "ResultConfiguration": {"OutputLocation": "s3://lake/athena-results/"},
        },
    )
    for day in (1, 2, 3):
        for part in range(2):
            rows = [row(day, part * 2 + index) for index in range(2)]
            put(cloud, f"predictions/model=m/date=2026-01-0{day}/part-{part}.parquet", rows)
    put(cloud, "history/model=m/a.parquet", [row(1, 0)])
    return cloud


def create_table(
    cloud: Cloud,
    name: str,
    location: str,
    keys: Sequence[Column] = (),
    parameters: dict[str, str] | None = None,
    columns: Sequence[Column] = COLUMNS,
) -> None:
    cloud.client("glue").create_table(
        DatabaseName="everloop",
        TableInput={
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": list(keys),
            "Parameters": parameters or {},
            "StorageDescriptor": {
                "Columns": columns,
                "Location": location,
                "SerdeInfo": {"SerializationLibrary": SERDE},
            },
        },
    )


def row(day: int, index: int) -> dict[str, Any]:
    return {
        "key": f"{day}-{index}",
        "version": 7,
        "time": datetime(2026, 1, day, index, 30),
        "delay": None if index == 3 else day + index / 4,
    }


SCHEMA = pa.schema(
    [("key", pa.string()), ("version", pa.int32()), ("time", pa.timestamp("us")), ("delay", pa.float64())]
)


def put(cloud: Cloud, key: str, rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    cloud.client("s3").put_object(Bucket="lake", Key=key, Body=buffer.getvalue())


def start(client: Client, sql: str, **more: Any) -> dict[str, Any]:
    arguments = {"WorkGroup": "everloop", "QueryExecutionContext": {"Database": "everloop"}, **more}
    identifier = client.start_query_execution(QueryString=sql, **arguments)["QueryExecutionId"]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        execution: dict[str, Any] = client.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]
        if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
            return execution
    raise TimeoutError(sql)


def rows_of(client: Client, execution: dict[str, Any]) -> list[list[str | None]]:
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    answer = client.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    return [[datum.get("VarCharValue") for datum in line["Data"]] for line in answer["ResultSet"]["Rows"]]


def query(cloud: Cloud, sql: str) -> list[list[str | None]]:
    """The rows of a query, without the header."""
    client = cloud.client("athena")
    return rows_of(client, start(client, sql))[1:]


def test_rows_types_and_the_csv_are_athenas(lake: Cloud) -> None:
    client = lake.client("athena")
    execution = start(
        client,
        'SELECT key, version, "time", delay, "date", delay > 4 AS late, count(*) OVER () AS n '
        "FROM m_predictions WHERE date = '2026-01-03' ORDER BY key",
    )
    assert rows_of(client, execution) == [
        ["key", "version", "time", "delay", "date", "late", "n"],
        ["3-0", "7", "2026-01-03 00:30:00.000", "3.0", "2026-01-03", "false", "4"],
        ["3-1", "7", "2026-01-03 01:30:00.000", "3.25", "2026-01-03", "false", "4"],
        ["3-2", "7", "2026-01-03 02:30:00.000", "3.5", "2026-01-03", "false", "4"],
        ["3-3", "7", "2026-01-03 03:30:00.000", None, "2026-01-03", None, "4"],
    ]
    results = client.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    types = [column["Type"] for column in results["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
    assert types == ["varchar", "integer", "timestamp", "double", "varchar", "boolean", "bigint"]
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://lake/athena-results/{execution['QueryExecutionId']}.csv"
    text = lake.client("s3").get_object(Bucket="lake", Key=location.removeprefix("s3://lake/"))["Body"].read().decode()
    assert text.splitlines()[4] == '"3-3","7","2026-01-03 03:30:00.000",,"2026-01-03",,"4"'


CONDITIONS = [
    ("date BETWEEN '2026-01-01' AND '2026-01-02'", 2),
    ("date >= '2026-01-02' AND delay > -1", 2),
    ("'2026-01-02' < p.date", 1),
    ("p.\"date\" IN ('2026-01-01', '2026-01-03')", 2),
    ("date = '2026-01-04'", 0),
    ("date = '2026-01-01' OR date = '2026-01-02'", 3),
    ("1 = 1", 3),
]


def test_only_the_partitions_asked_for_are_read(lake: Cloud) -> None:
    listed = lake.client("s3").list_objects_v2(Bucket="lake", Prefix="predictions/")["Contents"]
    day_bytes = sum(item["Size"] for item in listed) / 3
    client = lake.client("athena")
    for condition, days in CONDITIONS:
        execution = start(client, f"SELECT count(*) FROM everloop.m_predictions p WHERE {condition}")
        scanned = execution["Statistics"]["DataScannedInBytes"]
        assert scanned == pytest.approx(days * day_bytes, rel=0.02), condition
        expected = 8 if " OR " in condition else 4 * days if "delay" not in condition else 6
        assert rows_of(client, execution)[1:] == [[str(expected)]], condition


def test_partitions_end_with_the_clock(lake: Cloud) -> None:
    put(lake, "predictions/model=m/date=2026-01-06/part-0.parquet", [row(6, 0)])
    assert query(lake, "SELECT count(*) FROM m_predictions WHERE date > '2026-01-03'") == [["0"]]
    lake.advance(days=1)
    assert query(lake, "SELECT count(*) FROM m_predictions WHERE date > '2026-01-03'") == [["1"]]


def test_new_objects_of_a_known_partition_are_seen(lake: Cloud) -> None:
    sql = "SELECT count(*) FROM m_predictions WHERE date = '2026-01-01'"
    assert query(lake, sql) == [["4"]]
    put(lake, "predictions/model=m/date=2026-01-01/part-9.parquet", [row(1, 9)])
    assert query(lake, sql) == [["5"]]
    lake.client("s3").delete_object(Bucket="lake", Key="predictions/model=m/date=2026-01-01/part-9.parquet")
    assert query(lake, sql) == [["4"]]


def test_older_objects_may_lack_a_column_and_have_another_order(lake: Cloud) -> None:
    older = pa.schema([("time", pa.timestamp("ms", "UTC")), ("KEY", pa.string())])
    rows = [{"KEY": "old", "time": datetime(2025, 12, 1)}]
    put(lake, "history/model=m/old.parquet", rows, older)
    assert query(lake, "SELECT key, delay, time FROM m_history ORDER BY key") == [
        ["1-0", "1.0", "2026-01-01 00:30:00.000"],
        ["old", None, "2025-12-01 00:00:00.000"],
    ]


def test_the_hidden_column_is_the_address_of_a_rows_object(lake: Cloud) -> None:
    put(lake, "history/model=m/b.parquet", [row(2, 0)])
    addresses = [["1-0", "s3://lake/history/model=m/a.parquet"], ["2-0", "s3://lake/history/model=m/b.parquet"]]
    assert query(lake, 'SELECT key, "$path" FROM m_history ORDER BY key') == addresses
    # THEN it stands in a partitioned table too, and is hidden from whoever does not name it
    (found,) = query(lake, "SELECT max(\"$path\"), max(p.date) FROM m_predictions p WHERE p.date = '2026-01-02'")
    assert found == ["s3://lake/predictions/model=m/date=2026-01-02/part-1.parquet", "2026-01-02"]
    execution = start(lake.client("athena"), "SELECT * FROM m_history")
    assert rows_of(lake.client("athena"), execution)[0] == ["key", "version", "time", "delay"]


def test_a_column_of_another_type_is_bad_data(lake: Cloud) -> None:
    wrong = pa.schema([("key", pa.string()), ("delay", pa.int64())])
    put(lake, "history/model=m/wrong.parquet", [{"key": "x", "delay": 1}], wrong)
    for reading in (
        "SELECT delay FROM m_history",
        "SELECT key FROM m_history WHERE delay > 2",
        "SELECT * FROM m_history",
    ):
        execution = start(lake.client("athena"), reading)
        assert execution["Status"]["State"] == "FAILED"
        assert execution["Status"]["StateChangeReason"].startswith("HIVE_BAD_DATA: Field delay's type int64 in parquet")
    # AND as in Trino, which looks at the columns that a query reads, others go on
    assert ["x"] in query(lake, "SELECT key FROM m_history")
    assert query(lake, "SELECT count(*) FROM m_history WHERE key = 'x'") == [["1"]]


EXPRESSIONS: list[tuple[str, str | None]] = [
    ("7 / 2", "3"),
    ("7e0 / 2", "3.5"),
    ("1e0 * 12345678.9", "1.23456789E7"),
    ("1e-4", "1.0E-4"),
    ("count_if(delay > 2)", "5"),
    ("sum(version)", "84"),
    ("date_diff('day', TIMESTAMP '2026-01-01 23:00:00', TIMESTAMP '2026-01-02 01:00:00')", "0"),
    ("count_if(time >= from_iso8601_timestamp('2026-01-03T00:30:00Z'))", "4"),
    ("CASE WHEN true THEN 'a' ELSE 'b' END", "a"),
    ("CAST(NULL AS double)", None),
    ("coalesce(nullif(1, 1), 5)", "5"),
    ("max(CASE WHEN delay IS NULL THEN NULL ELSE ln(exp(delay)) END)", "3.5"),
    ("CAST('2013-03-01' AS date)", "2013-03-01"),
    ("width_bucket(0.5e0, ARRAY[1e0, 2e0])", "0"),
    ("width_bucket(1e0, ARRAY[1e0, 2e0])", "1"),
    ("width_bucket(9e0, ARRAY[1e0, 2e0])", "2"),
    ("width_bucket(CAST(NULL AS double), ARRAY[1e0, 2e0])", None),
    ("array_position(ARRAY['a', 'b'], 'b')", "2"),
    ("array_position(ARRAY['a', 'b'], 'c')", "0"),
    ("array_position(ARRAY['a', 'b'], CAST(NULL AS varchar))", None),
    ("to_hex(sha256(to_utf8('a')))", "CA978112CA1BBDCAFAC231B39A23DC4DA786EFF8147C4E72B9807785AFEE48BB"),
    ("to_hex(to_ieee754_64(1.5e0))", "3FF8000000000000"),
    ("to_hex(to_ieee754_64(-0e0 + 0e0))", "0000000000000000"),
    ("from_big_endian_64(from_hex('FFFFFFFFFFFFFFFE'))", "-2"),
    ("sum(CAST(from_big_endian_64(from_hex('7FFFFFFFFFFFFFFF')) AS DECIMAL(38, 0)))", "110680464442257309684"),
    ("regexp_like('1a 2b 14m', '\\d+b')", "true"),
    ("regexp_like('a' || chr(8203), '[\\x{200b}-\\x{200f}]')", "true"),
]


def test_expressions_mean_what_they_mean_in_trino(lake: Cloud) -> None:
    told = [
        (expression, query(lake, f"SELECT {expression} AS x FROM m_predictions").pop()) for expression, _ in EXPRESSIONS
    ]
    assert told == [(expression, [value]) for expression, value in EXPRESSIONS]


def test_joins_common_tables_and_windows(lake: Cloud) -> None:
    sql = """
        WITH ranked AS (
            SELECT key, delay, row_number() OVER (PARTITION BY date ORDER BY time DESC) AS position
            FROM "awsdatacatalog"."everloop"."m_predictions" WHERE date <= '2026-01-02'
        )
        SELECT r.key, h.key AS old FROM ranked r LEFT JOIN m_history h ON h.key = r.key
        WHERE r.position IN (1, 4) ORDER BY r.key
    """
    assert query(lake, sql) == [["1-0", "1-0"], ["1-3", None], ["2-0", None], ["2-3", None]]


NOT_RUN = [
    ("CREATE TABLE x AS SELECT 1", "CREATE statements are not supported"),
    ("DROP TABLE m_history", "DROP statements are not supported"),
    ("SELECT 1; SELECT 2", "Only one sql statement"),
    ("SELEC 1", "SYNTAX_ERROR"),
    ("SELECT * FROM read_parquet('/etc/passwd')", "table function read_parquet does not exist"),
    ("SELECT list_value(1)", "FUNCTION_NOT_FOUND: function list_value"),
    ("SELECT current_date", "pass the time as a literal"),
    ("SELECT * EXCLUDE (key) FROM m_history", "do not exist in Athena"),
    ('SELECT *, "$path" FROM m_history', "name the columns"),
    ("UNLOAD (SELECT 1) TO 's3://lake/x/' WITH (format = 'ORC')", "use PARQUET"),
]


def test_what_the_local_athena_does_not_run_is_refused(lake: Cloud) -> None:
    for sql, message in NOT_RUN:
        with pytest.raises(ClientError) as caught:
            print(sql, start(lake.client("athena"), sql))
        error = caught.value.response["Error"]
        assert (error["Code"], message in error["Message"]) == ("InvalidRequestException", True), (sql, error)


FAILING = [
    ("SELECT * FROM nothing", "TABLE_NOT_FOUND: table everloop.nothing"),
    ("SELECT * FROM elsewhere.t", "TABLE_NOT_FOUND: database elsewhere"),
    ("SELECT nothing FROM m_history", "COLUMN_NOT_FOUND"),
    ("SELECT CAST(key AS bigint) FROM m_history", "INVALID_CAST_ARGUMENT"),
    ("SELECT version / 0 FROM m_history", "DIVISION_BY_ZERO"),
    ("SELECT * FROM '/etc/passwd'", "TABLE_NOT_FOUND"),
    ("SELECT width_bucket(CAST('NaN' AS double), ARRAY[1e0])", "INVALID_FUNCTION_ARGUMENT"),
]


def test_queries_that_fail_say_why(lake: Cloud) -> None:
    client = lake.client("athena")
    for sql, reason in FAILING:
        execution = start(client, sql)
        assert execution["Status"]["State"] == "FAILED", sql
        assert execution["Status"]["StateChangeReason"].startswith(reason), sql
        with pytest.raises(ClientError, match="did not finish successfully"):
            client.get_query_results(QueryExecutionId=execution["QueryExecutionId"])


def test_the_workgroups_limit_stops_a_query(lake: Cloud) -> None:
    client = lake.client("athena")
    client.update_work_group(WorkGroup="everloop", ConfigurationUpdates={"BytesScannedCutoffPerQuery": 10_000_000})
    noise = pa.table({"delay": pc.random(1_400_000, initializer=7)})
    pq.write_table(noise, buffer := io.BytesIO())
    lake.client("s3").put_object(Bucket="lake", Key="history/model=m/large.parquet", Body=buffer.getvalue())
    execution = start(client, "SELECT count(*) FROM m_history")
    assert execution["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in execution["Status"]["StateChangeReason"]


def test_the_caller_needs_the_rights_to_what_is_read(lake: Cloud) -> None:
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "athena:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "glue:GetTable", "Resource": "*"},
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": "arn:aws:s3:::lake"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::lake/athena-results/*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/history/*"},
    ]
    arn = lake.role("reader", "lambda.amazonaws.com", *statements)
    client = lake.role_client("athena", arn, "lambda.amazonaws.com")
    assert start(client, "SELECT count(*) FROM m_history")["Status"]["State"] == "SUCCEEDED"
    denied = start(client, "SELECT count(*) FROM m_predictions")["Status"]
    assert denied["State"] == "FAILED"
    assert "PERMISSION_DENIED" in denied["StateChangeReason"]
    assert "s3:GetObject on resource: arn:aws:s3:::lake/predictions/" in denied["StateChangeReason"]

    for missing, action in ((1, "glue:GetTable"), (2, "s3:ListBucket"), (3, "s3:PutObject")):
        kept = [statement for index, statement in enumerate(statements) if index != missing]
        other = lake.role(f"reader-{missing}", "lambda.amazonaws.com", *kept)
        refused = start(lake.role_client("athena", other, "lambda.amazonaws.com"), "SELECT count(*) FROM m_history")
        assert refused["Status"]["State"] == "FAILED"
        assert f"perform: {action} " in refused["Status"]["StateChangeReason"]


def test_unload_writes_parquet_and_a_manifest(lake: Cloud) -> None:
    client = lake.client("athena")
    sql = (
        "UNLOAD (SELECT key, sum(version) AS n FROM m_predictions GROUP BY key) TO 's3://lake/out/' "
        "WITH (format='PARQUET', compression='SNAPPY')"
    )
    execution = start(client, sql)
    assert execution["Status"]["State"] == "SUCCEEDED"
    manifest = execution["Statistics"]["DataManifestLocation"]
    s3 = lake.client("s3")
    listed = s3.get_object(Bucket="lake", Key=manifest.removeprefix("s3://lake/"))["Body"].read().decode().split()
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="lake", Prefix="out/")["Contents"]]
    assert listed == [f"s3://lake/{key}" for key in keys]
    # THEN the rows are in several files, as Athena's writers leave them
    assert len(keys) > 1
    files = [pq.ParquetFile(io.BytesIO(s3.get_object(Bucket="lake", Key=key)["Body"].read())) for key in keys]
    assert {file.schema_arrow.field("n").type for file in files} == {pa.int64()}
    assert sum(file.metadata.num_rows for file in files) == 12
    again = start(client, sql)
    assert again["Status"]["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS")


def test_unloaded_times_are_written_as_trinos_hive_connector_does(lake: Cloud) -> None:
    client, s3 = lake.client("athena"), lake.client("s3")
    start(client, "UNLOAD (SELECT time FROM m_predictions) TO 's3://lake/times/' WITH (format='PARQUET')")
    key = s3.list_objects_v2(Bucket="lake", Prefix="times/")["Contents"][0]["Key"]
    file = pq.ParquetFile(io.BytesIO(s3.get_object(Bucket="lake", Key=key)["Body"].read()))
    assert file.schema.column(0).physical_type == "INT96"


NOT_UNLOADED = [
    ("SELECT 1 AS a, 2 AS a", "SYNTAX_ERROR: Column name specified more than once"),
    ("SELECT NULL AS a", "SYNTAX_ERROR: Column type is unknown: a"),
    (
        "SELECT from_iso8601_timestamp('2013-01-01T00:00:00Z') AS a",
        "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone: a",
    ),
]


def test_what_unload_does_not_take_leaves_nothing(lake: Cloud) -> None:
    for select, reason in NOT_UNLOADED:
        failed = start(lake.client("athena"), f"UNLOAD ({select}) TO 's3://lake/none/' WITH (format='PARQUET')")
        assert (failed["Status"]["State"], failed["Status"]["StateChangeReason"]) == ("FAILED", reason), select
        assert "Contents" not in lake.client("s3").list_objects_v2(Bucket="lake", Prefix="none/"), select


def test_results_come_in_pages(lake: Cloud) -> None:
    client = lake.client("athena")
    execution = start(client, "SELECT x FROM unnest(ARRAY[1, 2, 3]) AS t(x)")
    first = client.get_query_results(QueryExecutionId=execution["QueryExecutionId"], MaxResults=2)
    second = client.get_query_results(
        QueryExecutionId=execution["QueryExecutionId"], MaxResults=2, NextToken=first["NextToken"]
    )
    values = [line["Data"][0]["VarCharValue"] for page in (first, second) for line in page["ResultSet"]["Rows"]]
    assert values == ["x", "1", "2", "3"]
    assert "NextToken" not in second


def test_the_same_request_token_is_the_same_query(lake: Cloud) -> None:
    client = lake.client("athena")
    token = "0123456789abcdef0123456789abcdef"
    first, second = (start(client, "SELECT 1", ClientRequestToken=token)["QueryExecutionId"] for _ in range(2))
    assert first == second


def test_registered_partitions_and_permissions_for_them(lake: Cloud) -> None:
    create_table(lake, "registered", "s3://lake/registered/", [{"Name": "year", "Type": "int"}])
    for year in (2024, 2025):
        lake.client("glue").create_partition(
            DatabaseName="everloop",
            TableName="registered",
            PartitionInput={
                "Values": [str(year)],
                "StorageDescriptor": {"Location": f"s3://lake/elsewhere/{year}/"},
            },
        )
        put(lake, f"elsewhere/{year}/a.parquet", [row(1, year % 3)])
    assert query(lake, "SELECT key, year FROM registered WHERE year >= 2025") == [["1-0", "2025"]]


def test_awswrangler_reads_by_unload_and_by_csv(lake: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    wr = pytest.importorskip("awswrangler")
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", lake.context.endpoint)
    operator = lake.context.operator
    session = boto3.Session(operator.access_key_id, operator.secret_access_key, region_name="us-east-1")
    sql = "SELECT key, \"time\", delay, version FROM m_predictions WHERE date = '2026-01-02' ORDER BY key"
    arguments = {
        "database": "everloop",
        "ctas_approach": False,
        "workgroup": "everloop",
        "boto3_session": session,
    }
    unloaded = wr.athena.read_sql_query(
        sql,
        unload_approach=True,
        s3_output="s3://lake/athena-results/one/",
        unload_parameters={"file_format": "PARQUET", "compression": "SNAPPY"},
        **arguments,
    )
    plain = wr.athena.read_sql_query(sql, **arguments)
    # The files of an UNLOAD are in no order.
    for frame in (unloaded.sort_values("key"), plain):
        assert frame["key"].tolist() == ["2-0", "2-1", "2-2", "2-3"]
        assert frame["delay"].fillna(-1).tolist() == [2.0, 2.25, 2.5, -1.0]
        assert frame["time"].iloc[1] == datetime(2026, 1, 2, 1, 30)
