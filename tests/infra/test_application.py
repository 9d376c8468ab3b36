"""What the app synthesizes, and what a later deployment leaves alone."""

from __future__ import annotations

import itertools
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template

from everloop.cli.operations.preflight.needs import EndpointNeeds, needs_of
from everloop.cli.operations.preflight.quotas import NEW_ACCOUNT_MB
from everloop.dataset.frozen import Place
from everloop.infra.exceptions import LayerUnavailableError
from everloop.infra.packaging.sizes import UNZIPPED_LIMIT_BYTES
from everloop.infra.platform_stack import PlatformStack
from everloop.infra.regions import deployable_regions
from everloop.infra.settings import Settings
from everloop.names import FUNCTIONS
from localcloud.services.registry import handlers
from tests.helpers.declarations import ENDPOINT, binary_document
from tests.helpers.synthesis import (
    MODEL_STACK,
    PLATFORM_STACK,
    SECOND_STACK,
    Assembly,
    synthesize,
    write_model,
)

ALIAS = "AWS::Lambda::Alias"


def test_a_folder_more_is_a_stack_more(assembly: Assembly, later_assembly: Assembly) -> None:
    assert set(assembly.templates) == {PLATFORM_STACK, MODEL_STACK, SECOND_STACK}
    assert set(later_assembly.templates) == {PLATFORM_STACK, MODEL_STACK}


def test_a_model_more_changes_no_other_stack(assembly: Assembly, later_assembly: Assembly) -> None:
    assert assembly.templates[PLATFORM_STACK] == later_assembly.templates[PLATFORM_STACK]


def test_a_models_stack_holds_nothing_that_has_to_outlive_it(assembly: Assembly) -> None:
    """Removing a model deletes its stack: rows, artefacts and records are the platform's, which keeps them."""
    keeping = {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"}
    for stack in (MODEL_STACK, SECOND_STACK):
        assert not keeping & {r["Type"] for r in assembly.templates[stack]["Resources"].values()}
    platform = assembly.templates[PLATFORM_STACK]["Resources"].values()
    kept = [r for r in platform if r["Type"] in keeping]
    assert len(kept) == 5
    assert {(r["DeletionPolicy"], r["UpdateReplacePolicy"]) for r in kept} == {("Retain", "Retain")}


def test_the_templates_name_the_regions_that_have_what_they_need(assembly: Assembly) -> None:
    named = {stack: template["Metadata"]["everloop:regions"] for stack, template in assembly.templates.items()}
    # The second model's endpoint has its image in one region.
    assert named.pop(SECOND_STACK) == ["us-east-1"]
    assert set(map(tuple, named.values())) == {deployable_regions()}
    images = [m for n, m in assembly.templates[MODEL_STACK]["Mappings"].items() if "Images" in n]
    assert [list(image) for image in images] == [list(deployable_regions())]


def test_no_template_reads_a_parameter_that_a_region_may_lack(assembly: Assembly) -> None:
    """Every layer is one of the stack's own, and no function has AWS's."""
    for name, template in assembly.templates.items():
        given = template.get("Parameters", {})
        assert [n for n, p in given.items() if p["Type"].startswith("AWS::SSM::Parameter::Value")] == []
        layers = assembly.of_type(name, "AWS::Lambda::LayerVersion")
        for function in assembly.of_type(name, "AWS::Lambda::Function").values():
            assert {layer["Ref"] for layer in function.get("Layers", [])} <= set(layers)


def test_what_a_deployment_needs_is_read_from_the_templates(assembly: Assembly) -> None:
    needs = needs_of(assembly.folder)
    assert needs.regions == ["us-east-1"]
    assert needs.endpoints == [EndpointNeeds(SECOND_STACK, ENDPOINT["image"], "ml.m5.large", 2)]
    assert needs.bootstrap_version == 6
    models = sorted([MODEL_STACK, SECOND_STACK])
    assert {name: sorted(stacks) for name, stacks in needs.instances.items()} == {
        "ml.m5.large for training job usage": models,
        "ml.m5.large for processing job usage": models,
    }
    assert needs.loops == 2
    assert len(needs.memory_mb) == 2 * len(FUNCTIONS) + 1, "the second model has probes"
    assert max(needs.memory_mb.values()) <= NEW_ACCOUNT_MB, "a new account has no larger functions"


def test_the_same_inputs_give_the_same_assembly(assembly: Assembly, other_process: Path) -> None:
    """Also in another process, where sets of text have another order."""
    first, second = _documents(assembly.folder), _documents(other_process / "out")
    assert f"{MODEL_STACK}.template.json" in first
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def _documents(folder: Path) -> dict[str, bytes]:
    no_templates = ("tree", "validation-report")
    return {p.name: p.read_bytes() for p in folder.glob("*.json") if not p.name.startswith(no_templates)}


def test_the_assembly_holds_its_assets_and_nothing_beside_them(assembly: Assembly) -> None:
    """Functions' folders are written to where the CDK looks for them: it would leave a second copy elsewhere."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in assembly.folder.glob("*.assets.json")]
    named = {file["source"]["path"] for document in documents for file in document["files"].values()}
    written = {name for name in named if (assembly.folder / name).is_dir()}
    assert len(written) >= len(FUNCTIONS)
    assert {path.name for path in assembly.folder.glob("asset.*")} == {name for name in named if "asset." in name}


def test_layers_are_those_of_the_cache_and_no_copies(assembly: Assembly, settings: Settings) -> None:
    """The CDK takes a link for the copy that it would make: some 100 MB for each model."""
    if assembly.folder.stat().st_dev != settings.cache.stat().st_dev:
        pytest.skip("the assembly is on another file system than the cache: no link can lead there")
    layers = assembly.of_type(MODEL_STACK, "AWS::Lambda::LayerVersion").values()
    archives = [assembly.folder / f"{_asset(layer['Content']['S3Key'])}.zip" for layer in layers]
    kept = {path.stat().st_ino for path in settings.cache.rglob("layer.zip")}
    assert len(archives) > 2
    assert [path for path in archives if path.stat().st_ino not in kept] == []


def test_the_cdk_itself_finds_nothing_in_the_templates(other_process: Path) -> None:
    ours, careless = (
        json.loads((other_process / app / "validation-report.json").read_text(encoding="utf-8"))["pluginReports"]
        for app in ("out", "careless")
    )
    assert ours == []
    assert "DelaySeconds" in json.dumps(careless), "it does look"


def test_nothing_is_made_by_functions_of_the_cdk(assembly: Assembly) -> None:
    kinds = {resource["Type"] for _, _, resource in assembly.resources()}
    assert [k for k in kinds if k.startswith(("Custom::", "AWS::CloudFormation", "AWS::CDK"))] == []
    functions = assembly.of_type(MODEL_STACK, "AWS::Lambda::Function").values()
    assert {f["FunctionName"] for f in functions} == {f"everloop-late_train-{name}" for name in FUNCTIONS}


class TestALaterDeployment:
    """GIVEN a model that serves, with an alias that rollouts have moved; WHEN anything is deployed."""

    def test_does_not_touch_the_alias(self, assembly: Assembly, later_assembly: Assembly) -> None:
        before = {n: r for s, n, r in assembly.resources() if s == MODEL_STACK and r["Type"] == ALIAS}
        after = {n: r for s, n, r in later_assembly.resources() if s == MODEL_STACK and r["Type"] == ALIAS}
        registry = {name for name in before if name.startswith("FunctionsRegistryFor")}
        assert set(before) == {"PredictAliasLive"} | registry
        assert before == after
        for alias in before.values():
            properties = alias["Properties"]
            assert properties["FunctionVersion"] == "$LATEST"
            assert set(properties) == {"FunctionName", "FunctionVersion", "Name", "Description"}

    def test_does_not_replace_the_function_behind_it(self, assembly: Assembly, later_assembly: Assembly) -> None:
        alias = assembly.of_type(MODEL_STACK, ALIAS)["PredictAliasLive"]
        logical_id = alias["FunctionName"]["Ref"]
        before = assembly.of_type(MODEL_STACK, "AWS::Lambda::Function")[logical_id]
        after = later_assembly.of_type(MODEL_STACK, "AWS::Lambda::Function")[logical_id]
        assert before["FunctionName"] == after["FunctionName"] == "everloop-late_train-predict"
        assert before["Code"] != after["Code"]

    def test_replaces_nothing(self, assembly: Assembly, later_assembly: Assembly) -> None:
        """Features added, removed and of another type, code, schedules and sizes: all of it is updated in place."""
        kinds = handlers()
        before, after = (a.templates[MODEL_STACK]["Resources"] for a in (assembly, later_assembly))
        assert set(before) == set(after), "what has another logical id is deleted, and made anew"
        changed = {name for name in before if before[name] != after[name]}
        assert {"AWS::Glue::Table", "AWS::Lambda::Function", "AWS::Scheduler::Schedule"} <= {
            before[name]["Type"] for name in changed
        }
        for name in changed:
            kind, old, new = before[name]["Type"], before[name]["Properties"], after[name]["Properties"]
            assert after[name]["Type"] == kind
            assert not kinds[kind].must_replace(old, new), f"{name} ({kind}) would be replaced"

    def test_of_a_model_under_another_name_takes_no_name_that_is_in_use(self, assembly: Assembly) -> None:
        """A renamed model is another one: the old one serves on beside it until it is removed."""
        kinds, within_another = handlers(), {"AWS::Lambda::Alias", "AWS::Logs::LogStream"}
        names = [
            {
                json.dumps(resource["Properties"][kinds[resource["Type"]].name_property])
                for resource in assembly.templates[stack]["Resources"].values()
                if kinds[resource["Type"]].name_property in resource["Properties"]
                and resource["Type"] not in within_another
            }
            for stack in (MODEL_STACK, SECOND_STACK)
        ]
        assert min(len(found) for found in names) > 20
        assert names[0] & names[1] == set()

    def test_publishes_no_version(self, assembly: Assembly, later_assembly: Assembly) -> None:
        for synthesized in (assembly, later_assembly):
            kinds = {resource["Type"] for _, _, resource in synthesized.resources()}
            assert "AWS::Lambda::Version" not in kinds

    def test_keeps_data(self, assembly: Assembly) -> None:
        kept = {"AWS::S3::Bucket", "AWS::DynamoDB::Table"}
        policies = {
            (r.get("DeletionPolicy"), r.get("UpdateReplacePolicy"))
            for _, _, r in assembly.resources()
            if r["Type"] in kept
        }
        assert policies == {("Retain", "Retain")}


def test_the_stacks_share_few_exports(assembly: Assembly) -> None:
    """Exports can't change while they are used: only what CloudFormation names itself crosses."""
    exports = {
        output["Value"]["Fn::GetAtt"][1] if "Fn::GetAtt" in output["Value"] else "Ref"
        for output in assembly.templates[PLATFORM_STACK]["Outputs"].values()
        if "Export" in output
    }
    assert exports <= {"Arn", "Ref", "ApiEndpoint"}
    imported = json.dumps(assembly.templates[MODEL_STACK]).count("Fn::ImportValue")
    assert imported
    assert "Fn::ImportValue" not in json.dumps(assembly.templates[PLATFORM_STACK])


def test_the_shared_api_is_exported_whether_or_not_a_model_is_asked_there(assembly: Assembly) -> None:
    """GIVEN the last model asked there, WHEN it gets an API of its own, THEN no export goes that it still uses."""

    def of_the_api(template: Any) -> dict[str, Any]:
        return {
            name: found
            for name, found in template["Outputs"].items()
            if "Export" in found and "HttpApi" in json.dumps(found["Value"])
        }

    alone = Template.from_stack(PlatformStack(App(), PLATFORM_STACK, audit_lock="governance")).to_json()
    assert len(of_the_api(alone)) == 2
    assert of_the_api(alone) == of_the_api(assembly.templates[PLATFORM_STACK])


def test_a_model_can_not_be_had_without_its_monitoring(assembly: Assembly) -> None:
    schedules = {s["Name"]: s for s in assembly.of_type(MODEL_STACK, "AWS::Scheduler::Schedule").values()}
    schedule, reconciles = (schedules[f"everloop-late_train-{name}"] for name in ("monitor", "reconcile"))
    assert reconciles["ScheduleExpression"] == "rate(1 day)"
    assert json.loads(reconciles["Target"]["Input"])["action"] == "reconcile"
    assert schedule["ScheduleExpression"] == "cron(0 6 * * ? *)"
    # Monitors of a thousand models are not all due in the same second; the window is that of the time they are due.
    assert schedule["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60}
    assert "<aws.scheduler.scheduled-time>" in schedule["Target"]["Input"]
    assert json.loads(schedule["Target"]["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}
    rules = {r["Name"]: r for r in assembly.of_type(MODEL_STACK, "AWS::Events::Rule").values()}
    for name, kind in (
        ("retraining-requested", "Retraining Requested"),
        ("calibration-learned", "Calibration Learned"),
    ):
        rule = rules[f"everloop-late_train-{name}"]
        assert rule["EventPattern"] == {
            "source": ["everloop.monitoring"],
            "detail-type": [kind],
            "detail": {"model": ["late_train"]},
        }
        assert rule["Targets"][0]["DeadLetterConfig"]
    archives = rules["everloop-late_train-serving-changed"]["EventPattern"]
    assert archives["source"] == ["everloop.registry"]
    assert archives["detail-type"] == ["Champion Promoted", "Version Rolled Back", "Champion Calibrated"]
    alarms = assembly.of_type(MODEL_STACK, "AWS::CloudWatch::Alarm").values()
    assert all(alarm["AlarmActions"] for alarm in alarms)
    (faults,) = (a for a in alarms if a["MetricName"] == "Faults")
    for metric in (
        "ArtifactRefused",
        "CaptureFallback",
        "DeploymentDiffers",
        "FallbackAnswers",
        "LabelsNotStored",
        "UnusableScores",
    ):
        assert metric in faults["AlarmDescription"]
    # A failed event is in the dead-letter queue, which one alarm watches for all that take events.
    functions = {d["Value"] for a in alarms if a["MetricName"] == "Errors" for d in a["Dimensions"]}
    assert functions == {"everloop-late_train-predict", "everloop-late_train-labels"}
    watched = [a for a in alarms if a["MetricName"] == "ApproximateNumberOfMessagesVisible"]
    assert len(watched) == 1
    taking = assembly.of_type(MODEL_STACK, "AWS::Lambda::Function").values()
    queued = {f["FunctionName"] for f in taking if f.get("DeadLetterConfig")}
    assert queued == {f"everloop-late_train-{name}" for name in ("monitor", "rollout", "starter")}
    ends = {a["MetricName"]: a for a in alarms if a["MetricName"].startswith("Executions")}
    assert set(ends) == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}
    for name in ("ExecutionsTimedOut", "ExecutionsAborted"):
        assert "`everloop runs release late_train RUN" in ends[name]["AlarmDescription"]


@pytest.mark.parametrize(("stack", "kind"), [(MODEL_STACK, "AWS_IAM"), (SECOND_STACK, "NONE")])
def test_the_declaration_says_who_may_call(assembly: Assembly, stack: str, kind: str) -> None:
    routes = assembly.of_type(stack, "AWS::ApiGatewayV2::Route").values()
    model = stack.removeprefix("EverloopModel-").replace("-", "_")
    assert {r["RouteKey"] for r in routes} >= {f"POST /models/{model}/labels", f"ANY /models/{model}/{{proxy+}}"}
    assert {r["AuthorizationType"] for r in routes} == {kind}


def test_a_model_with_a_rate_tells_the_address_of_its_own_api(assembly: Assembly) -> None:
    def addresses(stack: str) -> list[Any]:
        """What stands before the paths of predictions and of labels."""
        (parameter,) = assembly.of_type(stack, "AWS::SSM::Parameter").values()
        parts = parameter["Value"]["Fn::Join"][1]
        return [before for before, part in itertools.pairwise(parts) if str(part).startswith("/models/")]

    (own,) = assembly.of_type(SECOND_STACK, "AWS::ApiGatewayV2::Api")
    endpoint = {"Fn::GetAtt": [own, "ApiEndpoint"]}
    assert addresses(SECOND_STACK) == [endpoint, endpoint]
    assert assembly.templates[SECOND_STACK]["Outputs"]["ApiEndpoint"]["Value"] == endpoint
    # One without it is asked at the platform's API, as ever.
    assert [list(address) for address in addresses(MODEL_STACK)] == [["Fn::ImportValue"], ["Fn::ImportValue"]]
    assert assembly.of_type(MODEL_STACK, "AWS::ApiGatewayV2::Api") == {}
    assert "Outputs" not in assembly.templates[MODEL_STACK]


def test_lake_tables_have_the_declared_columns(assembly: Assembly) -> None:
    tables = {
        p["TableInput"]["Name"]: p["TableInput"] for p in assembly.of_type(MODEL_STACK, "AWS::Glue::Table").values()
    }
    assert set(tables) == {f"late_train_{kind}" for kind in ("history", "predictions", "labels", "frozen")}
    columns = {c["Name"]: c["Type"] for c in tables["late_train_predictions"]["StorageDescriptor"]["Columns"]}
    assert columns["latency_ms"] == "double"
    assert [columns[n] for n in ("distance", "wind", "line", "operator")] == ["double", "double", "string", "string"]
    assert tables["late_train_labels"]["PartitionKeys"] == [{"Name": "date", "Type": "string"}]
    assert "PartitionKeys" not in tables["late_train_history"]
    # Rows that were unloaded are found by what a query names.
    frozen = tables["late_train_frozen"]
    assert frozen["PartitionKeys"] == [{"Name": "u", "Type": "string"}]
    assert frozen["Parameters"]["projection.u.type"] == "injected"
    place = Place("lake", "late_train", "${u}")
    assert json.dumps(frozen["Parameters"]["storage.location.template"]).endswith(f'/{place.prefix()}"]]}}')


def test_training_sets_move_to_a_cheaper_class_and_none_is_deleted(assembly: Assembly) -> None:
    rules = [
        rule
        for bucket in assembly.of_type(PLATFORM_STACK, "AWS::S3::Bucket").values()
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        if rule.get("Prefix", "").startswith("datasets/")
    ]
    moves = [{"StorageClass": "GLACIER_IR", "TransitionInDays": 90}]
    (rule,) = rules
    assert rule.pop("NoncurrentVersionExpiration") == {"NoncurrentDays": 365}, "of what was written over alone"
    assert rule == {"Id": "training-sets", "Prefix": "datasets/", "Status": "Enabled", "Transitions": moves}


@pytest.fixture(scope="module")
def arm64_assembly(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """A model for the other processor. Its layers come from the cache, or are built without Docker."""
    folder = tmp_path_factory.mktemp("arm64")
    write_model(folder / "models", binary_document())
    try:
        return synthesize(replace(settings, architecture="arm64", models=folder / "models"), folder / "out")
    except LayerUnavailableError as error:
        pytest.skip(str(error))


def test_every_function_with_its_layers_fits_lambda_on_x86_64(assembly: Assembly) -> None:
    assert _too_large(assembly) == {}


def test_every_function_with_its_layers_fits_lambda_on_arm64(arm64_assembly: Assembly) -> None:
    assert _too_large(arm64_assembly) == {}
    functions = arm64_assembly.of_type(MODEL_STACK, "AWS::Lambda::Function").values()
    assert {tuple(f["Architectures"]) for f in functions} == {("arm64",)}
    # Compiled modules carry the processor in their names: none is of the other one.
    names = " ".join(name for p in arm64_assembly.folder.glob("asset.*.zip") for name in zipfile.ZipFile(p).namelist())
    assert "-aarch64-linux-gnu.so" in names
    assert "-x86_64-linux-gnu.so" not in names


def _too_large(assembly: Assembly) -> dict[str, int]:
    """The functions of the model's stack that Lambda would refuse, with their unzipped sizes."""
    functions = assembly.of_type(MODEL_STACK, "AWS::Lambda::Function")
    layers = assembly.of_type(MODEL_STACK, "AWS::Lambda::LayerVersion")
    sizes = {}
    for function in functions.values():
        code = assembly.folder / _asset(function["Code"]["S3Key"])
        total = sum(p.stat().st_size for p in code.rglob("*") if p.is_file())
        for layer in function["Layers"]:
            total += _unzipped(assembly.folder / _asset(layers[layer["Ref"]]["Content"]["S3Key"]))
        sizes[function["FunctionName"]] = total
    assert len(sizes) == len(FUNCTIONS)
    return {name: size for name, size in sizes.items() if size > UNZIPPED_LIMIT_BYTES}


def _asset(key: str) -> str:
    """The staged file or folder of an asset's object key: folders are zipped on their way to S3."""
    return f"asset.{key.removesuffix('.zip')}"


def _unzipped(archive: Path) -> int:
    with zipfile.ZipFile(archive.with_name(f"{archive.name}.zip")) as content:
        return sum(entry.file_size for entry in content.infolist())
