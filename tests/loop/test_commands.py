"""The commands, typed one after another as a person does it who brings a model to serve: the bakery's.

Nobody else uses that model on the cloud that these tests share. Every command is a process of its own, with nothing in
its environment but what ``everloop local env`` gives. Most of them start from one that has imported what they import.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.replay.evidence import count_joined
from everloop.prediction_ids import is_captured
from everloop.registry.store import RegistryStore
from localcloud.core.preloaded.preloading import Preloading
from tests.loop.models import BAKERY, FLIGHTS, write_sales
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

DAYS, TEST_DAYS = 30, 5
FIRST_TEST_ROWS = 30
"""Of the days that test a candidate, the first file has fewer rows than the gate asks for."""

BAD_ROW = 7

GROUPS = ("audit", "data", "labels", "predict", "report", "rollout", "runs", "status", "trace", "train")
IMPORTED = ("boto3", "pandas", "pyarrow.parquet", *(f"everloop.cli.commands.{group}" for group in GROUPS))
"""What the commands import: most of a command's time, if each process does it."""


@dataclass(frozen=True)
class Told:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it has to be."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """A person's shell, in a folder that is not the project's."""

    folder: Path
    environment: dict[str, str]
    everloop: list[str]

    @property
    def installed(self) -> Shell:
        """The same with the installed command, which imports all by itself."""
        return replace(self, everloop=[str(Path(sys.executable).parent / "everloop")])

    def type(self, *words: str | Path, given: str = "", **other: str | None) -> Told:
        """Run ``everloop`` with ``words``; ``other`` variables are set, or unset where None."""
        environment = {**self.environment, **other}
        finished = subprocess.run(
            [*self.everloop, *words],
            cwd=self.folder,
            env={name: value for name, value in environment.items() if value is not None},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in finished.stderr, finished.stderr
        return Told(finished.returncode, finished.stdout, finished.stderr)

    def well(self, *words: str | Path, given: str = "") -> Told:
        """Run a command that has to succeed."""
        told = self.type(*words, given=given)
        assert told.status == 0, told.out + told.err
        return told


@dataclass(frozen=True)
class Sales:
    """The bakery's files: all but a few rows of the last days, then those rows, of which one is bad."""

    first: Path
    rest: Path
    rows: pd.DataFrame


@pytest.fixture(scope="module")
def shell(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    with pytest.MonkeyPatch.context() as patched:
        # That command looks for the one cloud of the project's folder; here it finds the tests' cloud in its place.
        patched.setattr("everloop.cli.commands.local.STATE", loop.cloud.running.state_directory)
        printed = CliRunner().invoke(everloop, ["local", "env"])
    assert printed.exit_code == 0, printed.output
    # What another account left in the shell does not stay.
    before = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_PROFILE": "another", "AWS_SESSION_TOKEN": "old"}
    tell = "import json, os; print(json.dumps(dict(os.environ)))"
    after = subprocess.run(
        ["sh", "-c", 'eval "$1"; exec "$2" -c "$3"', "sh", printed.output, sys.executable, tell],
        env=before,
        capture_output=True,
        text=True,
        check=True,
    )
    environment = {**json.loads(after.stdout), "COLUMNS": "250"}
    prepared = Preloading(IMPORTED, environment)
    try:
        with prepared.interpreter() as python:
            yield Shell(folder, environment, [*python, "-m", "everloop.cli.main"])
    finally:
        prepared.close()


@pytest.fixture(scope="module")
def sales(loop: Loop, shell: Shell) -> Sales:
    whole = write_sales(shell.folder / "sales.csv", begin="2013-02-01", days=DAYS)
    rows = pd.read_csv(whole)
    late = rows.index[-TEST_DAYS * 24 * 3 : -FIRST_TEST_ROWS]
    rest = rows.loc[late].copy()
    rest.iloc[BAD_ROW - 1, [*rest.columns].index("price")] = 99.0
    rows.drop(late).to_csv(shell.folder / "first.csv", index=False)
    rest.to_csv(shell.folder / "rest.csv", index=False)
    assert pd.to_datetime(rows["sold_at"]).max() < pd.Timestamp(loop.now())
    return Sales(shell.folder / "first.csv", shell.folder / "rest.csv", rows)


@pytest.fixture(scope="module")
def store(loop: Loop) -> RegistryStore:
    return loop.account.registry(BAKERY)


@pytest.fixture(scope="module")
def without_data(shell: Shell, sales: Sales) -> Told:
    """Training before anything was imported."""
    return shell.installed.type("train", BAKERY)


@pytest.fixture(scope="module")
def importing(shell: Shell, sales: Sales, without_data: Told, models_directory: Path) -> tuple[str | Path, ...]:
    """The words that import the first file, which is in the lake by now."""
    words = ("data", "import", BAKERY, sales.first, "--models-directory", models_directory)
    told = shell.installed.well(*words)
    assert f"{len(pd.read_csv(sales.first)):,} rows imported: s3://" in told.out
    return words


@pytest.fixture(scope="module")
def refused(loop: Loop, shell: Shell, importing: tuple[str | Path, ...]) -> Told:
    """Training with too few rows to test the candidate on."""
    loop.advance(minutes=1)
    return shell.type("train", BAKERY, "--reason", "the first file")


@pytest.fixture(scope="module")
def trained(loop: Loop, shell: Shell, sales: Sales, refused: Told, models_directory: Path) -> Told:
    """Training once the rest is imported, but for its bad row; its candidate bakes for an hour from then on."""
    loop.advance(minutes=1)
    words = ("data", "import", BAKERY, sales.rest, "--models-directory", models_directory)
    told = shell.well(*words, "--skip-refused", "--json")
    assert told.document["rows"] == len(pd.read_csv(sales.rest)) - 1
    assert [(row["row"], row["key"]) for row in told.document["refused"]] == [(BAD_ROW, bad_key(sales))]
    return shell.type("train", BAKERY, "--reason", "all of it", "--logs", "--json")


@pytest.fixture(scope="module")
def answered(shell: Shell, sales: Sales, trained: Told) -> dict[str, Any]:
    """The answer to four rows of tomorrow, asked for with a file."""
    (shell.folder / "tomorrow.json").write_text(json.dumps({"instances": instances(sales)}), encoding="utf-8")
    document: dict[str, Any] = shell.well("predict", BAKERY, "tomorrow.json", "--json").document
    return document


def bad_key(sales: Sales) -> str:
    text: str = pd.read_csv(sales.rest)["sale_id"].iloc[BAD_ROW - 1]
    return text


def instances(sales: Sales) -> list[dict[str, Any]]:
    """Four rows of known outcome under keys that were never asked."""
    rows = sales.rows[sales.rows["rain"].notna()].head(4)
    features = rows[["hour", "price", "rain", "shop"]].to_dict("records")
    return [
        {"sale_id": f"tomorrow-{i}", **{str(name): value for name, value in row.items()}}
        for i, row in enumerate(features)
    ]


def imported_objects(loop: Loop) -> list[str]:
    s3, bucket = loop.account.client("s3"), loop.account.platform.lake_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"history/model={BAKERY}/")
    return [item["Key"] for item in listed["Contents"]]


def test_a_run_without_data_fails_and_says_why(without_data: Told) -> None:
    assert without_data.status == 1
    assert "failed: " in without_data.out
    assert "0 labelled rows; at least 500 are required" in without_data.out


def test_the_same_history_again_changes_nothing(loop: Loop, shell: Shell, importing: tuple[str | Path, ...]) -> None:
    before = imported_objects(loop)
    told = shell.well(*importing, "--json")
    assert told.document["already_there"] is True
    assert told.document["rows"] == len(pd.read_csv(importing[3]))
    assert told.document["uri"].rpartition("/")[2] == before[0].rpartition("/")[2]
    assert "rows were there already: s3://" in shell.well(*importing).out
    assert imported_objects(loop) == before


def test_a_file_with_a_bad_row_is_refused_as_a_whole(
    loop: Loop, shell: Shell, sales: Sales, importing: tuple[str | Path, ...]
) -> None:
    before = imported_objects(loop)
    told = shell.type(*importing[:3], sales.rest, *importing[4:])
    assert told.status == 1
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert f"row {BAD_ROW} ({bad_key(sales)}): price" in told.err
    assert "[out_of_range]" in told.err
    assert "nothing was imported" in told.err
    assert "→" in told.err
    assert "--skip-refused" in told.err
    assert imported_objects(loop) == before


def test_a_candidate_that_the_gate_refuses_ends_with_a_status_of_its_own(store: RegistryStore, refused: Told) -> None:
    assert refused.status == 3, refused.out + refused.err
    assert f"FAILED  minimum_test_rows: There are {FIRST_TEST_ROWS} test rows" in refused.out
    (run,) = [run for run in store.runs.all() if run.trigger["reason"] == "the first file"]
    assert (run.status, run.verdict) == ("rejected", "fail")
    assert f"run {run.run_id}: fail, registered as version {run.version}" in refused.out


def test_a_candidate_that_passes_is_told_with_its_reasons(store: RegistryStore, trained: Told) -> None:
    assert trained.status == 0, trained.out + trained.err
    verdict = trained.document
    assert verdict["verdict"] == "pass"
    assert all(reason["passed"] for reason in verdict["reasons"])
    run = store.runs.get(verdict["run_id"])
    assert (run.version, run.trigger["kind"], run.trigger["reason"]) == (verdict["version"], "manual", "all of it")
    shown = [line for line in trained.err.splitlines() if line.startswith("2013-")]
    steps = [line.split()[2:4] for line in shown if " | " not in line]
    assert ["Train", "started"] in steps
    assert steps[-1] == ["Register", "done"]


def test_what_the_jobs_of_a_run_wrote_is_shown(shell: Shell, trained: Told) -> None:
    run_id = trained.document["run_id"]
    lines = shell.well("runs", "logs", BAKERY, run_id, "--json").document
    # Each of its jobs has written, one after the other.
    assert list(dict.fromkeys(line["purpose"] for line in lines)) == ["training", "evaluation", "refit", "refit check"]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    read = [line.partition(" | ")[2] for line in shell.well("runs", "logs", BAKERY, run_id).out.splitlines()]
    assert read == [line["text"].rstrip() for line in lines]
    # and the command that started the run has shown each of them once, up to the gate's verdict
    shown = [line.partition(" | ")[2] for line in trained.err.splitlines() if " | " in line]
    assert shown == read


def test_a_run_that_is_not_there_has_no_logs(shell: Shell, trained: Told) -> None:
    told = shell.type("runs", "logs", BAKERY, "train-0000000000000000")
    assert (told.status, told.out) == (1, "")
    assert "no pipeline execution" in told.err
    assert "`everloop runs list" in told.err


def test_nobody_trains_beside_a_run_that_is_active(store: RegistryStore, shell: Shell, trained: Told) -> None:
    before = [run.run_id for run in store.runs.all()]
    told = shell.type("train", BAKERY)
    assert told.status == 1
    assert f"the run {trained.document['run_id']} of {BAKERY} has been active since" in told.err
    assert "and its bake lasts until" in told.err
    assert "start again after that" in told.err
    assert [run.run_id for run in store.runs.all()] == before


def test_a_file_of_questions_is_answered(sales: Sales, trained: Told, answered: dict[str, Any]) -> None:
    assert answered["version"] == trained.document["version"]
    given = sales.rows[sales.rows["rain"].notna()]["loaves"].head(4)
    for answer, loaves in zip(answered["predictions"], given, strict=True):
        assert answer["prediction"] == pytest.approx(loaves, abs=25), "the noise is of five loaves"


def test_questions_may_come_from_another_command(shell: Shell, sales: Sales, answered: dict[str, Any]) -> None:
    told = shell.installed.well("predict", BAKERY, given=json.dumps(instances(sales)[0]))
    assert f"{BAKERY}, version {answered['version']}" in told.out
    assert f"{answered['predictions'][0]['prediction']}" in told.out


def test_a_wrong_question_is_named(shell: Shell, sales: Sales, answered: dict[str, Any]) -> None:
    rows = instances(sales)
    rows[2]["shop"] = "airport"
    told = shell.type("predict", BAKERY, given=json.dumps(rows))
    assert told.status == 1
    assert told.out == ""
    assert "the API answered 400: " in told.err
    assert "(shop, row 3 of the request)" in told.err
    no_json = shell.type("predict", BAKERY, given="{")
    assert (no_json.status, no_json.out) == (1, "")
    assert "<stdin> is not JSON in UTF-8: Expecting property name" in no_json.err


def test_outcomes_arrive_at_the_predictions_they_name(
    loop: Loop, shell: Shell, answered: dict[str, Any], models_directory: Path
) -> None:
    # GIVEN a file by prediction, and another by key with a line that is no outcome
    ids = [row["prediction_id"] for row in answered["predictions"]]
    pd.DataFrame({"prediction_id": ids, "label": 20.0}).to_csv(shell.folder / "labels.csv", index=False)
    (shell.folder / "wrong.csv").write_text("key,label\ntomorrow-0,1\ntomorrow-1,many\n", encoding="utf-8")
    # WHEN both are imported, the good one twice
    declared = ("--models-directory", models_directory)
    refused = shell.type("labels", "import", BAKERY, "wrong.csv", *declared)
    told = shell.well("labels", "import", BAKERY, "labels.csv", *declared, "--json")
    again = shell.well("labels", "import", BAKERY, "labels.csv", *declared)
    # THEN the wrong one is refused with its row, and the others are taken
    assert refused.status == 1
    assert "row 2 has 'many', a label that is not a number" in refused.err
    assert "nothing was sent" in refused.err
    assert (told.document["accepted"], told.document["batches"]) == (4, 1)
    assert f"4 labels accepted for {BAKERY}" in again.out
    # AND each joins its prediction, if that is in the sample, once the streams have delivered both
    loop.advance(minutes=20)
    joined = count_joined(loop.account, find_declaration(BAKERY, models_directory))
    assert joined == len([name for name in ids if is_captured(name)])


def test_the_status_tells_what_serves_and_what_runs(shell: Shell, trained: Told) -> None:
    version, run_id = trained.document["version"], trained.document["run_id"]
    told = shell.well("status", BAKERY)
    facts = dict(line.split("│", 1) for line in told.out.splitlines() if line.count("│") == 1)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    assert facts["serves"].startswith(f"version {version} since 2013-03-")
    assert facts["active run"].startswith(f"{run_id} since 2013-03-")
    assert facts["code"] == "the deployed code serves"
    everything = {one["model"]: one for one in shell.installed.well("status", "--json").document}
    assert set(everything) == {BAKERY, FLIGHTS}
    bakery = everything[BAKERY]
    assert bakery["champion"]["version"] == version
    assert bakery["active_run"]["run_id"] == run_id
    assert bakery["deployed"]["predictions_url"] == facts["predictions"]
    assert bakery["code_waits"] is False


def test_every_run_is_listed_with_what_became_of_it(loop: Loop, shell: Shell, trained: Told) -> None:
    # WHEN the candidate has baked, and its run with it
    loop.advance(hours=2)
    runs = shell.well("runs", "list", BAKERY, "--json").document
    # THEN the newest comes first, and each with its end
    assert [(run["status"], run["verdict"]) for run in runs] == [
        ("succeeded", "pass"),
        ("rejected", "fail"),
        ("failed", None),
    ]
    assert runs[0]["run_id"] == trained.document["run_id"]
    assert "labelled rows" in runs[2]["cause"]
    told = shell.well("runs", "list", BAKERY)
    for run in runs:
        assert any(run["run_id"] in line and run["status"] in line for line in told.out.splitlines())


def test_what_serves_is_traced_to_its_files_and_its_data(loop: Loop, shell: Shell, trained: Told) -> None:
    found = shell.well("trace", BAKERY, "--json").document
    version, run_id = found["version"], trained.document["run_id"]
    assert (version["version"], version["run_id"], found["run"]["run_id"]) == (
        trained.document["version"],
        run_id,
        run_id,
    )
    # The hashes are of what lies there.
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    for name, file in version["files"].items():
        body = s3.get_object(Bucket=bucket, Key=version["artifact_prefix"] + name)["Body"].read()
        assert hashlib.sha256(body).hexdigest() == file["sha256"], name
    assert "model.onnx" in version["files"]
    assert "promoted" in [record["action"] for record in found["history"]]
    told = shell.well("trace", BAKERY, "--version", str(version["version"]))
    assert version["snapshot_hash"] in told.out
    assert version["files"]["model.onnx"]["sha256"] in told.out
    assert "all of it" in told.out
    others = shell.well("trace", BAKERY, "--snapshot", version["snapshot_hash"], "--json").document
    assert others == [{"model": BAKERY, "version": version["version"]}]


def test_what_decisions_cost_is_in_the_report_the_record_and_what_is_told(shell: Shell, trained: Told) -> None:
    found = shell.well("report", BAKERY, "--json").document
    money, error = found["report"]["money"], found["report"]["candidate"]["mae"]
    # A loaf too many or too few costs 0.8.
    for end in ("value", "low", "high"):
        assert money["candidate"][end] == pytest.approx(800 * error[end])
    assert money["candidate"]["high"] < money["baseline"]["low"]
    version = shell.well("trace", BAKERY, "--json").document["version"]
    assert version["gate"]["money"] == found["money"]
    told = f"{money['candidate']['value']:,.2f} USD (95%: {money['candidate']['low']:,.2f} to"
    for command in ("report", "trace", "status"):
        assert told in shell.well(command, BAKERY).out, command


def test_what_was_done_is_on_record_as_who_did_it(shell: Shell, trained: Told) -> None:
    records = shell.well("audit", "list", BAKERY, "--json").document
    assert [record["sequence"] for record in records] == list(range(1, len(records) + 1))
    assert shell.well("audit", "verify", BAKERY, "--json").document[0]["intact"] is True
    (rollout,) = shell.well("rollout", "status", BAKERY, "--json").document
    assert rollout["version"] == trained.document["version"]


NOTHING_SET: dict[str, str | None] = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")),
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""A shell in which nothing of AWS is set, on a machine that AWS has nothing to do with."""


@pytest.mark.parametrize(
    ("given", "says", "remedy"),
    [
        ({}, "no region is set (looked in AWS_REGION, AWS_DEFAULT_REGION and the profile)", "AWS_REGION"),
        ({"AWS_REGION": "us-east-1"}, "no credentials found", 'eval "$(everloop local env)"'),
        (
            {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIASOMEBODYELSE", "AWS_SECRET_ACCESS_KEY": "guessed"},
            "the account refuses these credentials",
            'eval "$(everloop local env)"',
        ),
    ],
)
@pytest.mark.parametrize("words", [("status",), ("train", BAKERY)])
def test_without_a_way_into_the_account_it_says_what_to_type(
    shell: Shell, given: dict[str, str], words: tuple[str, ...], says: str, remedy: str
) -> None:
    told = shell.type(*words, given="", **{**NOTHING_SET, **given})
    assert (told.status, told.out) == (1, "")
    message, _, typed = told.err.partition("\n  → ")
    assert message.startswith(f"error: {says}")
    assert remedy in typed


@pytest.mark.parametrize("words", [("runs", "list", BAKERY), ("status",)])
def test_a_region_without_the_platform_is_named(shell: Shell, words: tuple[str, ...]) -> None:
    told = shell.type(*words, AWS_REGION="eu-west-1")
    assert (told.status, told.out) == (1, "")
    assert told.err.startswith("error: no Everloop platform in region eu-west-1")
    assert "AWS_REGION" in told.err.partition("→")[2]


def test_a_region_that_does_not_exist_is_named(shell: Shell) -> None:
    told = shell.type("status", AWS_REGION="eu-wst-1")
    assert (told.status, told.out) == (1, "")
    assert "Credential should be scoped to a valid region" in told.err
    assert "region eu-wst-1" in told.err
    assert "AWS_REGION" in told.err.partition("→")[2]


def test_a_model_that_is_not_deployed_is_named_with_those_that_are(shell: Shell) -> None:
    told = shell.type("status", "train_delay")
    assert (told.status, told.out) == (1, "")
    assert "the model 'train_delay' is not deployed" in told.err
    assert f"{BAKERY}, {FLIGHTS}" in told.err


def test_a_command_typed_wrong_ends_with_status_two(shell: Shell) -> None:
    told = shell.installed.type("train")
    assert (told.status, told.out) == (2, "")
    assert "Missing argument 'MODEL'" in told.err
