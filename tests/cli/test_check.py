"""``everloop check`` ends with a verdict on every declaration, whatever stands in the file."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from moto import mock_aws

from everloop.cli.account import DeployedModel
from everloop.cli.commands.check import check
from everloop.registry.store import RegistryStore
from everloop.serving.contract import ServingContract
from tests.fakes.aws import aws_client
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, regression_document
from tests.helpers.registry_scenes import crown
from tests.helpers.synthesis import write_model


def checked(models: Path, *arguments: str) -> Any:
    return CliRunner().invoke(check, [*arguments, "--models-directory", str(models)])


def test_a_good_declaration_is_told_with_what_it_may_cost(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    found = checked(tmp_path)
    assert found.exit_code == 0
    assert "late_train: good (binary_classification, 4 features, at most $0.460" in found.output
    assert "500 test rows for the gate" in found.output


def test_a_rarer_fault_is_told_with_the_test_rows_that_it_takes(tmp_path: Path) -> None:
    document = binary_document()
    write_model(tmp_path, document | {"gate": document["gate"] | {"rarest_fault": 0.001}})
    found = checked(tmp_path)
    assert found.exit_code == 0
    assert "3,688 test rows for the gate" in found.output


def test_a_model_that_is_not_there_is_told_with_what_to_type(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    found = checked(tmp_path, "nope", "late_train")
    assert found.exit_code == 1
    told, remedy, good = found.output.splitlines()
    assert told == f"nope: no declaration at {tmp_path}/nope/model.yaml (models there: late_train)"
    assert remedy.startswith("  → run the command in the project's folder")
    assert good.startswith("late_train: good")


def test_mistakes_of_every_kind_are_told_with_their_lines(tmp_path: Path) -> None:
    # GIVEN one declaration that is no YAML of ours, one whose parts do not fit, and a good one
    broken = write_model(tmp_path, binary_document(model="broken")) / "model.yaml"
    broken.write_text(broken.read_text().replace("  seed: 7", "  seed: &a [*a]"))
    write_model(tmp_path, regression_document(gate={"metric": "brier"}))
    write_model(tmp_path, binary_document())
    # WHEN all are checked
    found = checked(tmp_path, "--json")
    # THEN each has its verdict
    assert found.exit_code == 1
    results = {result["model"]: result for result in json.loads(found.output)}
    assert {name: result["ok"] for name, result in results.items()} == {
        "broken": False,
        "delay_minutes": False,
        "late_train": True,
    }
    line = (tmp_path / "broken" / "model.yaml").read_text().splitlines().index("  seed: &a [*a]") + 1
    assert [m["line"] for m in results["broken"]["mistakes"]] == [line, line]
    (mistake,) = results["delay_minutes"]["mistakes"]
    assert (mistake["path"], mistake["found"]) == ("gate.metric", "'brier'")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"model: \x00"])
def test_a_file_that_is_no_text_of_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = write_model(tmp_path, binary_document()) / "model.yaml"
    file.write_bytes(content)
    found = checked(tmp_path)
    assert found.exit_code == 1
    assert str(file) in found.output.replace("\n", "")
    assert found.exception is None or isinstance(found.exception, SystemExit)


def test_against_what_is_deployed_each_change_is_told_with_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIVEN a champion that takes a feature which the declaration has as another type."""
    document = binary_document()
    document["data"]["features"][1] = {"name": "wind", "type": "category", "missing": "allow"}
    write_model(tmp_path, document)
    write_model(tmp_path, binary_document(model="not_there_yet"))
    for name, value in {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        deploy_champion(small_contract())
        found = checked(tmp_path, "--deployed", "--json")
        alone = checked(tmp_path, "not_there_yet", "--deployed")
    results = {result["model"]: result for result in json.loads(found.output)}
    assert found.exit_code == 1
    (change,) = [c for c in results["late_train"]["changes"] if c["name"] == "wind"]
    assert change["code"] == "feature_type"
    assert "'wind_text'; import history again with both" in change["sentence"]
    assert not results["late_train"]["ok"]
    # AND a model that is not deployed yet has nothing to fit
    assert results["not_there_yet"]["ok"]
    assert (alone.exit_code, "fits what is deployed" in alone.output) == (0, True)


def test_a_deployed_model_whose_folder_is_gone_is_told_with_how_to_remove_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a deployed model whose folder was renamed
    write_model(tmp_path, binary_document(model="later_train"))
    for name, value in {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        deploy_champion(small_contract())
        # WHEN all models are checked, or the one of that name, THEN it is told
        for names in ((), ("late_train",)):
            found = checked(tmp_path, *names, "--deployed")
            assert found.exit_code == 1
            assert "late_train: is deployed but has no folder models/late_train/" in found.output
            assert "`everloop remove late_train`" in found.output
        as_json = {r["model"]: r["ok"] for r in json.loads(checked(tmp_path, "--deployed", "--json").output)}
        assert as_json == {"later_train": True, "late_train": False}
        # AND not to who asks for another one, nor without the account
        assert checked(tmp_path, "later_train", "--deployed").exit_code == 0
        assert checked(tmp_path).exit_code == 0
        # AND where no folder is left at all
        (tmp_path / "none").mkdir()
        assert "late_train: is deployed but has no" in checked(tmp_path / "none", "--deployed").output


SHARED, OWN = (f"https://{api}.example.com/models/late_train/predictions" for api in ("shared", "own"))
OF_REST = "https://own.example.com/live/models/late_train/predictions"
RATE = {"rate": {"requests_per_second": 5}}


@pytest.mark.parametrize(
    ("url", "serving", "moves"),
    [
        (SHARED, {}, ""),
        (OWN, RATE, ""),
        (SHARED, RATE, "serving.rate gives it an API of its own"),
        (OWN, {}, "without serving.rate it is asked at the API that models share"),
        (OF_REST, {"api": "rest"}, ""),
        (OF_REST, {"api": "rest", **RATE}, ""),
        (SHARED, {"api": "rest"}, "serving.api gives it a REST API of its own"),
        (OWN, {"api": "rest", **RATE}, "serving.api gives it a REST API of its own"),
        (OF_REST, {}, "without serving.api: rest it is asked at the API that models share"),
        (OF_REST, RATE, "without serving.api: rest it has an HTTP API of its own"),
    ],
)
def test_callers_that_will_have_to_ask_elsewhere_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, serving: dict[str, Any], moves: str
) -> None:
    write_model(tmp_path, binary_document(serving=serving))
    for name, value in {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        deploy_champion(small_contract(categories=small_contract().categories[:2]), url=url)
        told, as_json = (checked(tmp_path, "--deployed", *more) for more in ((), ("--json",)))
    (result,) = json.loads(as_json.output)
    assert (told.exit_code, result["ok"], result["changes"]) == (0, True, [])
    if moves:
        assert f"late_train: {moves}: once this is deployed, callers of {url} are not answered" in told.output
        assert "`everloop status late_train`" in result["moved"]
    else:
        assert (result["moved"], "is deployed, callers" in told.output) == (None, False)


def deploy_champion(contract: ServingContract, *, url: str = SHARED) -> None:
    """The platform's parameters, a table and a bucket, and a champion with that contract, which is asked at ``url``."""
    names = {"table": TABLE, "lake_bucket": "lake", "artifact_bucket": "artifacts"}
    others = ("event_bus", "alert_topic_arn", "athena_workgroup", "glue_database")
    names["api_endpoint"] = "https://shared.example.com"
    ssm, s3 = aws_client("ssm"), aws_client("s3")
    model = {field.name: "y" for field in fields(DeployedModel)} | {"predictions_url": url}
    if url == OF_REST:
        model["api"] = "rest"
    else:  # as an earlier release tells it
        del model["api"]
    platform = json.dumps({**names, **dict.fromkeys(others, "x")})
    ssm.put_parameter(Name="/everloop/platform", Type="String", Value=platform)
    ssm.put_parameter(Name="/everloop/models/late_train", Type="String", Value=json.dumps(model))
    for bucket in ("lake", "artifacts"):
        s3.create_bucket(Bucket=bucket)
    content = contract.to_json()
    version = crown(RegistryStore(dynamodb(), TABLE, "late_train"), "train-1", contents={"contract.json": content})
    s3.put_object(Bucket="artifacts", Key=f"{version.artifact_prefix}contract.json", Body=content)


def test_a_model_that_is_not_there_keeps_no_other_from_being_checked(tmp_path: Path) -> None:
    # GIVEN a name without a folder, a folder without a declaration, and a good model
    write_model(tmp_path, binary_document())
    (tmp_path / "misspelt").mkdir()
    (tmp_path / "misspelt" / "modell.yaml").touch()
    # WHEN they are checked by name
    found = checked(tmp_path, "nobody", "misspelt", "late_train", "--json")
    # THEN each has its verdict
    assert found.exit_code == 1
    results = {result["model"]: result["ok"] for result in json.loads(found.output)}
    assert results == {"nobody": False, "misspelt": False, "late_train": True}
    # AND without names, a folder that a deployment would refuse is no good either
    found = checked(tmp_path)
    assert found.exit_code == 1
    assert "no declaration at " in found.output
    assert "late_train: good" in found.output


def test_a_script_that_is_none_is_told_beside_the_other_mistakes(tmp_path: Path) -> None:
    folder = write_model(tmp_path, binary_document(gate={"metric": "mae"}, owner={"email": "nobody"}))
    (folder / "train.py").write_text("def fit(): ...\n")
    found = checked(tmp_path)
    lines = [line for line in found.output.splitlines() if "model.yaml:" in line]
    assert [line.split(": ")[1] for line in lines] == ["owner.email", "training.script", "gate.metric"]
