"""The templates held against the security checks, the linter, and what each role may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from everloop.infra.node import start_node
from everloop.infra.regions import deployable_regions
from everloop.names import ModelNames
from everloop.registry.commands import MAY_SEND
from tests.helpers.synthesis import MODEL_STACK, PLATFORM_STACK, SECOND_STACK, Assembly

UNSCOPED = {
    "xray:PutTraceSegments": "X-Ray has no resource-level permissions for writing traces",
    "xray:PutTelemetryRecords": "the same",
    "xray:GetSamplingRules": "the same",
    "xray:GetSamplingTargets": "the same",
    "cloudwatch:GetMetricData": "CloudWatch has no resource-level permissions for reading metrics",
    "cloudwatch:PutMetricData": "held by a condition on the namespace",
    "cloudtrail:LookupEvents": "CloudTrail has no resource-level permissions for looking events up",
    "lambda:ListFunctions": "Lambda has no resource-level permissions for listing functions",
    "sagemaker:ListEndpoints": "SageMaker has none for listing endpoints",
    "lakeformation:GetDataAccess": "Lake Formation has no resource-level permissions for it",
    "ecr:GetAuthorizationToken": "a registry token is not limited to one repository",
    "logs:CreateLogDelivery": "log deliveries have no resources; see the Step Functions guide",
    "logs:GetLogDelivery": "the same",
    "logs:UpdateLogDelivery": "the same",
    "logs:DeleteLogDelivery": "the same",
    "logs:ListLogDeliveries": "the same",
    "logs:PutResourcePolicy": "the same",
    "logs:DescribeResourcePolicies": "the same",
    "logs:DescribeLogGroups": "the same",
}
"""The only actions that stand with the resource ``*``, and why."""

OF_ANY_NAME = {"sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"}
"""What may be read of others: an endpoint that somebody made by hand for the model's files has any name."""

LINT_IGNORED = {
    "W3005": "The CDK writes DependsOn beside a reference to the role, for the role's policy.",
}


def statements(assembly: Assembly, stack: str = MODEL_STACK) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy of the stack's roles, with the policy's logical id."""
    for name, policy in assembly.of_type(stack, "AWS::IAM::Policy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(assembly: Assembly, part: str) -> set[str]:
    """The actions of the role whose logical id holds ``part``."""
    return {a for name, s in statements(assembly) if part in name for a in listed(s["Action"])}


def resources_of(assembly: Assembly, part: str, action: str) -> str:
    """The resources of ``action`` in the role whose logical id holds ``part``, as text."""
    found = [s["Resource"] for name, s in statements(assembly) if part in name and action in listed(s["Action"])]
    return json.dumps(found)


@pytest.mark.parametrize("pack", ["AwsSolutionsChecks", "ServerlessChecks"])
def test_no_security_finding_is_unexplained(assembly: Assembly, pack: str) -> None:
    import cdk_nag

    report = getattr(cdk_nag, pack)(assembly.app).validate_scope(assembly.app)
    assert [f"{v.rule_name} at {v.violating_resources[0].construct_path}" for v in report.violations or []] == []


def test_the_security_checks_do_look() -> None:
    start_node()
    from aws_cdk import App, Stack
    from aws_cdk import aws_sns as sns
    from cdk_nag import AwsSolutionsChecks

    app = App(builtin_cloud_formation_validation=False)
    sns.Topic(Stack(app, "Careless"), "Topic")
    app.synth()
    assert AwsSolutionsChecks(app).validate_scope(app).violations


def test_the_linter_has_nothing_to_say_in_any_region(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    from cfnlint.api import lint
    from cfnlint.core import get_rules
    from cfnlint.template import Template

    # What a template's resources have to tell is the same each time: it is asked for hundreds of times.
    monkeypatch.setattr(Template, "get_valid_getatts", cache(Template.get_valid_getatts))
    for name, template in assembly.templates.items():
        rules = get_rules([], list(LINT_IGNORED), ["I", "W", "E"], {}, False)
        matches = lint(json.dumps(template), rules, list(deployable_regions()))
        assert [f"{name} {m.rule.id} {m.message}" for m in matches if m.rule.id[0] in "EW"] == []


def test_every_action_has_a_name(assembly: Assembly) -> None:
    assert [(n, a) for n, s in statements(assembly) for a in listed(s["Action"]) if "*" in a] == []


def test_only_what_has_no_resource_is_allowed_on_all(assembly: Assembly) -> None:
    everywhere = {a for _, s in statements(assembly) if "*" in listed(s["Resource"]) for a in listed(s["Action"])}
    assert everywhere <= set(UNSCOPED)


def test_resources_are_the_models_own(assembly: Assembly) -> None:
    shared = ("/athena-results/*", ":log-group:/aws/sagemaker/")
    for name, statement in statements(assembly):
        if set(listed(statement["Action"])) <= OF_ANY_NAME:
            continue
        for resource in listed(statement["Resource"]):
            text = json.dumps(resource)
            if "*" in text and resource != "*" and not any(part in text for part in shared):
                assert "late_train" in text or "late-train" in text, name


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        ("FunctionsPredict", {"s3:GetObject", "firehose:PutRecordBatch"}),
        ("FunctionsLabels", {"firehose:PutRecordBatch"}),
        ("FunctionsStarter", {"states:StartExecution", "dynamodb:GetItem", "sqs:SendMessage"}),
    ],
)
def test_what_the_public_functions_may_do(assembly: Assembly, role: str, actions: set[str]) -> None:
    basics = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    assert allowed(assembly, role) == actions | basics


@pytest.mark.parametrize(("stack", "model"), [(MODEL_STACK, "late_train"), (SECOND_STACK, "delay_minutes")])
def test_the_registry_is_open_to_a_model_in_its_own_partition_alone(assembly: Assembly, stack: str, model: str) -> None:
    found = [s for _, s in statements(assembly, stack) if "dynamodb:" in json.dumps(s["Action"])]
    # Registry three; monitor and snapshot two each; run, register, rollout, starter and the evaluation one each. With
    # probes, their function two, and the monitor one more; with spans, which follow probes, the run function one more.
    assert len(found) == (16 if stack == SECOND_STACK else 12)
    for statement in found:
        ((keys, (partition,)),) = statement["Condition"]["ForAllValues:StringEquals"].items()
        assert list(statement["Condition"]) == ["ForAllValues:StringEquals"]
        assert keys == "dynamodb:LeadingKeys"
        assert partition in {f"MODEL#{model}", f"WINDOWS#{model}", f"SNAPSHOTS#{model}", f"PROBES#{model}"}
        # Without partition keys in the request, as in a scan, the condition would hold for all of the table.
        # Nobody deletes or updates: what was written stays, or is written over by the one who may put it.
        assert set(listed(statement["Action"])) <= {
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
        }
        # An index leads to the versions of every model.
        assert len(listed(statement["Resource"])) == 1
        assert "/index/" not in json.dumps(statement["Resource"])


def test_the_evaluation_reads_what_the_monitor_recorded_and_nothing_else_of_the_registry(assembly: Assembly) -> None:
    """The one job that may: it compares scores as they are served."""
    jobs = [(name, s) for name, s in statements(assembly) if "Jobs" in name and "dynamodb:" in json.dumps(s["Action"])]
    ((name, statement),) = jobs
    assert "JobsEvaluate" in name
    assert listed(statement["Action"]) == ["dynamodb:Query"]
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["WINDOWS#late_train"]}}


def writers(assembly: Assembly, partition: str) -> set[str]:
    """The policies that put items into a partition of the registry."""
    return {
        name.split("Role")[0]
        for name, s in statements(assembly)
        if "dynamodb:PutItem" in listed(s["Action"]) and partition in json.dumps(s["Condition"])
    }


def test_each_partition_of_the_registry_has_one_writer(assembly: Assembly) -> None:
    assert writers(assembly, "MODEL#late_train") == {"FunctionsRegistry"}
    assert writers(assembly, "WINDOWS#late_train") == {"FunctionsMonitor"}
    assert writers(assembly, "SNAPSHOTS#late_train") == {"FunctionsSnapshot"}


def test_each_caller_reaches_the_registry_function_by_its_own_alias(assembly: Assembly) -> None:
    """The function takes the caller from the alias: only the caller's own role may invoke it."""
    reached = {
        (name.split("Role")[0], text.rsplit(":function:", 1)[1])
        for name, s in statements(assembly)
        if "lambda:InvokeFunction" in listed(s["Action"])
        for text in (json.dumps(r).strip('"]}') for r in listed(s["Resource"]))
        if "-registry" in text
    }
    assert reached == {
        (f"Functions{caller.capitalize()}", f"everloop-late_train-registry:{caller}")
        for caller in ("run", "register", "rollout")
    }
    aliases = assembly.of_type(MODEL_STACK, "AWS::Lambda::Alias").values()
    registry = next(
        name
        for name, f in assembly.of_type(MODEL_STACK, "AWS::Lambda::Function").items()
        if f["FunctionName"].endswith("-registry")
    )
    named = {a["Name"] for a in aliases if a["FunctionName"] == {"Ref": registry}}
    assert named == set(MAY_SEND)


def test_nobody_changes_the_registry_function(assembly: Assembly) -> None:
    """Its code, its configuration, its aliases and who may invoke it are the deployment's alone."""
    invoking = {"lambda:InvokeFunction"}
    functions = {
        action
        for _, s in statements(assembly)
        for action in listed(s["Action"])
        if action.startswith("lambda:")
        for resource in listed(s["Resource"])
        if "predict" not in json.dumps(resource)
    }
    assert functions == {*invoking, "lambda:ListFunctions"}
    assert assembly.of_type(MODEL_STACK, "AWS::Lambda::EventInvokeConfig") == {}
    permitted = [p["FunctionName"] for p in assembly.of_type(MODEL_STACK, "AWS::Lambda::Permission").values()]
    assert "Registry" not in json.dumps(permitted)


def test_only_the_rollout_moves_traffic(assembly: Assembly) -> None:
    movers = {n for n, s in statements(assembly) if "lambda:UpdateAlias" in listed(s["Action"])}
    assert len(movers) == 1
    assert movers.pop().startswith("FunctionsRollout")
    # Only with a version's number, so that the function itself can't be deleted.
    deletable = resources_of(assembly, "FunctionsRollout", "lambda:DeleteFunction")
    assert deletable.count("everloop-late_train-predict") == deletable.count("everloop-late_train-predict:*") == 1


def test_no_role_can_lift_the_lock_on_artifacts(assembly: Assembly) -> None:
    dangerous = ("s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention")
    assert [n for n, s in statements(assembly) if set(dangerous) & set(listed(s["Action"]))] == []
    bucket = next(
        b for n, b in assembly.of_type(PLATFORM_STACK, "AWS::S3::Bucket").items() if n.startswith("StorageArtifacts")
    )
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"


def test_training_does_not_see_the_test_labels(assembly: Assembly) -> None:
    readable = resources_of(assembly, "PipelineJobsTrain", "s3:GetObject")
    assert "/datasets/late_train/*/test_features/*" in readable
    assert "/datasets/late_train/*/test/" not in readable
    assert '/datasets/late_train/*"' not in readable
    assert "artifacts/" not in readable


def test_the_refit_alone_learns_from_the_test_labels(assembly: Assembly) -> None:
    readable = resources_of(assembly, "PipelineJobsRefit", "s3:GetObject")
    assert "/datasets/late_train/*/train/*" in readable
    assert "/datasets/late_train/*/test/*" in readable
    for other in ("/runs/", "artifacts/", '/datasets/late_train/*"'):
        assert other not in readable


def test_the_check_of_a_refit_reads_what_it_compares(assembly: Assembly) -> None:
    readable = resources_of(assembly, "PipelineJobsCheckRefit", "s3:GetObject")
    for part in ("/datasets/late_train/*/test/*", "/runs/late_train/*/refit/*", "/runs/late_train/*/evaluation/*"):
        assert part in readable
    assert "artifacts/" not in readable
    assert "/train/" not in readable


def test_no_job_writes_where_another_ones_results_lie(assembly: Assembly) -> None:
    # Training runs the user's code; the gate reads what the evaluation wrote.
    own = {"Train": "train", "Evaluate": "evaluation", "Refit": "refit", "CheckRefit": "refit_check"}
    for part, results in ((f"PipelineJobs{job}", results) for job, results in own.items()):
        for action in ("s3:PutObject", "s3:AbortMultipartUpload"):
            written = resources_of(assembly, part, action)
            assert written.count("/runs/") == written.count(f"/runs/late_train/*/{results}/*") == 1


def test_only_sagemaker_gets_the_job_roles(assembly: Assembly) -> None:
    passing = [s for _, s in statements(assembly) if "iam:PassRole" in listed(s["Action"])]
    assert len(passing) == 1
    assert passing[0]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_buckets_are_closed_and_want_tls(assembly: Assembly) -> None:
    for bucket in assembly.of_type(PLATFORM_STACK, "AWS::S3::Bucket").values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert "BucketEncryption" in bucket
    policies = assembly.of_type(PLATFORM_STACK, "AWS::S3::BucketPolicy").values()
    assert len(policies) == 4
    assert all("aws:SecureTransport" in json.dumps(p) for p in policies)


def test_what_is_written_over_in_the_lake_can_be_brought_back(assembly: Assembly) -> None:
    (lake,) = [b for n, b in assembly.of_type(PLATFORM_STACK, "AWS::S3::Bucket").items() if n.startswith("StorageLake")]
    assert lake["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Prefix"]: rule for rule in lake["LifecycleConfiguration"]["Rules"] if "Prefix" in rule}
    later = {prefix: rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for prefix, rule in rules.items()}
    names = ModelNames("late_train")
    kept = [names.lake_prefix(kind) for kind in ("history", "predictions", "labels")]
    for prefix in (*kept, names.runs_prefix, names.probes_prefix):
        assert later[f"{prefix.partition('/')[0]}/"] == 30, "versions of every prefix come to an end"
    assert later["datasets/"] == 365
    assert {later[prefix] for prefix in ("athena-results/", "unloaded/", "errors/")} == {1}


def test_nobody_deletes_a_version_of_a_training_set(assembly: Assembly) -> None:
    (policy,) = [
        p["PolicyDocument"]["Statement"]
        for n, p in assembly.of_type(PLATFORM_STACK, "AWS::S3::BucketPolicy").items()
        if n.startswith("StorageLake")
    ]
    (denied,) = [s for s in policy if s.get("Sid") == "NobodyDeletesTrainingSets"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == (
        "Deny",
        {"AWS": "*"},
        "s3:DeleteObjectVersion",
    )
    assert "/datasets/*" in json.dumps(denied["Resource"])


def test_audit_records_are_put_once_and_stay(assembly: Assembly) -> None:
    (bucket,) = [
        b for n, b in assembly.of_type(PLATFORM_STACK, "AWS::S3::Bucket").items() if n.startswith("StorageAudit")
    ]
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Days": 2555, "Mode": "GOVERNANCE"}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (policy,) = [
        p["PolicyDocument"]["Statement"]
        for n, p in assembly.of_type(PLATFORM_STACK, "AWS::S3::BucketPolicy").items()
        if n.startswith("StorageAudit")
    ]
    denied = {s["Sid"]: s for s in policy if "Sid" in s}
    assert all(s["Effect"] == "Deny" and s["Principal"] == {"AWS": "*"} for s in denied.values())
    once = denied["NobodyWritesOver"]
    assert (once["Action"], once["Condition"]) == ("s3:PutObject", {"Null": {"s3:if-none-match": "true"}})
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"} <= set(
        denied["NobodyDeletes"]["Action"]
    )


def test_the_registry_function_alone_puts_audit_records_and_only_its_models(assembly: Assembly) -> None:
    for stack, model in ((MODEL_STACK, "late_train"), (SECOND_STACK, "delay_minutes")):
        reaching = [
            (name.split("Role")[0], action, s)
            for name, s in statements(assembly, stack)
            if "StorageAudit" in json.dumps(s["Resource"])
            for action in listed(s["Action"])
        ]
        # The rollout function asks whether a version without a signature was registered so.
        assert {(who, action) for who, action, _ in reaching} == {
            ("FunctionsRollout", "s3:GetObject"),
            *(("FunctionsRegistry", action) for action in ("s3:GetObject", "s3:ListBucket", "s3:PutObject")),
        }
        assert all(f"/{model}/*" in json.dumps(s["Resource"]) for _, a, s in reaching if a != "s3:ListBucket")
        (put,) = [s for _, action, s in reaching if action == "s3:PutObject"]
        assert put["Condition"] == {"Null": {"s3:if-none-match": "false"}}


def test_the_register_function_alone_signs_and_with_the_platforms_key(assembly: Assembly) -> None:
    for stack in (MODEL_STACK, SECOND_STACK):
        reaching = {
            (name.split("Role")[0], action, json.dumps(s["Resource"]))
            for name, s in statements(assembly, stack)
            for action in listed(s["Action"])
            if action.startswith("kms:")
        }
        assert {(who, action) for who, action, _ in reaching} == {
            ("FunctionsRegister", "kms:GetPublicKey"),
            ("FunctionsRegister", "kms:Sign"),
            ("FunctionsRollout", "kms:GetPublicKey"),
        }
        (resource,) = {found for _, _, found in reaching}
        assert "SigningKey" in resource
        assert "*" not in resource


def test_the_signing_key_outlives_the_stack(assembly: Assembly) -> None:
    resources = assembly.templates[PLATFORM_STACK]["Resources"]
    (key,) = [one for name, one in resources.items() if one["Type"] == "AWS::KMS::Key" and "Signing" in name]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = key["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("RSA_3072", "SIGN_VERIFY")
    assert "EnableKeyRotation" not in properties
    (alias,) = assembly.of_type(PLATFORM_STACK, "AWS::KMS::Alias").values()
    assert alias["AliasName"] == "alias/everloop/signing"
