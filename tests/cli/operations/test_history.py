"""An import is the newest of its rows, also when they had been imported before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from moto import mock_aws

from everloop.cli.exceptions import RefusedDataError
from everloop.cli.operations.history import import_history, import_rows
from everloop.serving.contract import NumberField
from tests.fakes.aws import aws_client
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START, history_table

DECLARATION = declare(binary_document())


class Puts:
    """S3 of one bucket, which remembers in what order objects were written."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.written: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def put_object(self, **arguments: Any) -> Any:
        self.written.append(arguments["Key"])
        return self.client.put_object(**arguments)


@pytest.fixture
def s3() -> Iterator[Puts]:
    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket="lake")
        yield Puts(client)


def account_of(s3: Puts, versions: Any = None) -> Any:
    """An account, in it the versions of one model; none has served yet."""
    return SimpleNamespace(
        platform=SimpleNamespace(lake_bucket="lake", artifact_bucket="artifacts"),
        client=lambda _service: s3,
        now=lambda: START + timedelta(days=30),
        registry=lambda _model: SimpleNamespace(versions=versions or SimpleNamespace(champion=lambda: None)),
    )


def test_the_first_rows_again_after_a_correction_are_written_last(s3: Puts) -> None:
    account = account_of(s3)

    def imported(table: pd.DataFrame) -> tuple[str, bool]:
        result = import_rows(account, DECLARATION, table, place="trains.csv")
        return result.uri.removeprefix("s3://lake/"), result.already_there

    first, corrected = history_table(8), history_table(8, late=[1.0] * 8)
    # WHEN rows, their correction, and the first rows once more are imported
    (a, _), (b, _), (again, already_there) = imported(first), imported(corrected), imported(first)
    # THEN there are two objects, and the one that counts is the first again
    assert (again, already_there) == (a, True)
    assert a != b
    assert s3.written == [a, b, a]


def test_a_column_that_lies_in_the_lake_as_another_type_is_not_written_beside_it(s3: Puts) -> None:
    account = account_of(s3)
    import_rows(account, DECLARATION, history_table(8), place="trains.csv")
    document = binary_document()
    document["data"]["features"][1] = {"name": "wind", "type": "category", "missing": "allow"}
    with pytest.raises(RefusedDataError, match="'wind' is declared as a category, and the lake has it as a number"):
        import_rows(account, declare(document), history_table(8, wind=["calm"] * 8), place="trains.csv")
    assert len(s3.written) == 1
    # AND under another name it is taken, beside the old one
    document["data"]["features"][1] = {"name": "wind", "type": "number", "missing": "allow"}
    document["data"]["features"].append({"name": "wind_text", "type": "category", "missing": "allow"})
    both = history_table(8, wind_text=["calm"] * 8)
    assert import_rows(account, declare(document), both, place="trains.csv").rows == 8


@pytest.mark.parametrize(("what", "renamed"), [("key", "train_id"), ("target", "late")])
def test_rows_under_another_key_or_target_are_not_taken_beside_imported_ones(s3: Puts, what: str, renamed: str) -> None:
    account = account_of(s3)
    import_rows(account, DECLARATION, history_table(8), place="trains.csv")
    # WHEN nothing serves yet, and the declaration names another key (or target)
    other, table = (
        declare(binary_document(data={what: "another"})),
        history_table(8).rename(columns={renamed: "another"}),
    )
    with pytest.raises(RefusedDataError) as refused:
        import_rows(account, other, table, place="trains.csv")
    assert f"rows in the lake were imported with the {what} '{renamed}'" in refused.value.message
    # THEN it is taken once the first import was set aside, as the message says
    (first,) = s3.written
    assert f"`aws s3 mv s3://lake/{first} s3://lake/set-aside/{first}`" in refused.value.message
    s3.client.delete_object(Bucket="lake", Key=first)
    assert import_rows(account, other, table, place="trains.csv").rows == 8


@pytest.mark.parametrize(("what", "renamed"), [("key", "train_id"), ("target", "late")])
def test_rows_under_another_key_or_target_than_the_champions_are_not_taken(s3: Puts, what: str, renamed: str) -> None:
    # GIVEN a champion, and a declaration of which the key (or the target) is another one
    contract = small_contract(numbers=(NumberField("distance"),)).to_json()
    s3.client.create_bucket(Bucket="artifacts")
    s3.client.put_object(Bucket="artifacts", Key="v1/contract.json", Body=contract)
    files = {"contract.json": {"sha256": hashlib.sha256(contract).hexdigest()}}
    version = SimpleNamespace(version=1, artifact_prefix="v1/", files=files)
    versions = SimpleNamespace(champion=lambda: version, get=lambda _number: version)
    declaration = declare(binary_document(data={what: "another"}))
    # WHEN its rows are imported, THEN nothing is, and the way is told
    table = history_table(8).rename(columns={renamed: "another"})
    with pytest.raises(RefusedDataError) as refused:
        import_rows(account_of(s3, versions), declaration, table, place="trains.csv")
    assert f"data.{what} is 'another', and '{renamed}' for the champion" in refused.value.message
    assert "make another model under a new name" in refused.value.message
    assert s3.written == []


@pytest.mark.parametrize(
    ("table", "skip_refused", "remedy"),
    [
        (
            history_table(8, distance=[-1.0] + [5.0] * 7),
            False,
            "fix the file, or leave out the bad rows: --skip-refused",
        ),
        (history_table(8, distance=[-1.0] * 8), False, "fix the file: it has no good row"),
        (
            history_table(8, distance=[-1.0] * 8),
            True,
            "fix the file: it has no good row, so --skip-refused would leave no row",
        ),
        (
            history_table(8).drop(columns=["wind"]),
            True,
            "use the columns that models/late_train/model.yaml declares, or declare those of the file",
        ),
    ],
)
def test_leaving_rows_out_is_offered_where_it_helps(table: pd.DataFrame, skip_refused: bool, remedy: str) -> None:
    account: Any = SimpleNamespace(now=lambda: START + timedelta(days=30))
    with pytest.raises(RefusedDataError) as refused:
        import_rows(account, DECLARATION, table, place="trains.csv", skip_refused=skip_refused)
    assert refused.value.remedy == remedy


def test_other_columns_are_to_be_called_as_declared(tmp_path: Path) -> None:
    history_table(8).rename(columns={"wind": "Wind speed"}).to_csv(tmp_path / "trains.csv", index=False)
    account: Any = SimpleNamespace(now=lambda: START + timedelta(days=30), model=lambda _name: None)
    with pytest.raises(RefusedDataError) as refused:
        import_history(account, DECLARATION, tmp_path / "trains.csv")
    assert "'Wind speed'" in refused.value.message
    assert refused.value.remedy.startswith("rename the file's columns as in models/late_train/model.yaml, or declare")
