"""What the templates come to for the longest names and texts that a declaration may have."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from everloop.infra.alarms import _alarms
from everloop.names import ARCHIVE_RULE, FUNCTIONS, PROBE_FUNCTION, RECONCILE_SCHEDULE, ModelNames
from everloop.recalibration.written import LONGEST_GROUPED_TEXT
from everloop.rollout.previous import beside
from everloop.rollout.targets import ServedArtifact
from everloop.rollout.targets.lambda_alias import variables
from everloop.serving.standby import STANDBY_VARIABLE, Standby
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present
from tests.helpers.synthesis import Assembly

LONGEST = ModelNames("m" * 31)
TEMPLATE_BYTES = 1_000_000
RESOURCES = 500


def test_the_longest_model_name_gives_names_that_every_service_takes() -> None:
    assert declare(binary_document(model=LONGEST.model)).model == LONGEST.model
    named = [
        LONGEST.function(name)
        for name in (
            *FUNCTIONS,
            PROBE_FUNCTION,
            RECONCILE_SCHEDULE,
            ARCHIVE_RULE,
            "retraining-requested",
            "calibration-learned",
            "probe-due",
            "restore-requested",
        )
    ]
    assert max(map(len, named)) <= 64, "functions, schedules and rules"
    assert max(len(LONGEST.stream("predictions")), len(LONGEST.stream("labels"))) <= 64
    assert len(LONGEST.state_machine) <= 80
    assert len(f"{LONGEST.job_prefix}train-{'0' * 16}") <= 63
    assert len(LONGEST.stack) <= 128


def test_the_longest_owner_leaves_an_alarm_its_description() -> None:
    longest = ("who looks after it " * 14)[:256]
    texts = {"team": longest, "email": "a@example.org", "escalation": longest}
    assert declare(binary_document(owner=texts)).owner.team == texts["team"]
    for name in ("team", "escalation"):
        with pytest.raises(ValueError, match="at most 256"):
            declare(binary_document(owner={**texts, name: longest + "s"}))
    owner = f"Owner: {longest}; escalation: {longest}"
    for alarm in _alarms(LONGEST, "arn:aws:states", "arn:aws:states:probe", "dead-letters"):
        assert len(f"{alarm.meaning} {owner}") <= 1024, alarm.name


def test_a_template_leaves_room_for_the_widest_model(assembly: Assembly) -> None:
    """A feature is a column of two tables, which is all that grows with the declaration."""
    column = len(json.dumps({"Name": "f" * 31, "Type": "double"}, indent=1)) + 60
    for name, template in assembly.templates.items():
        assert len(template["Resources"]) <= RESOURCES, name
        assert len(json.dumps(template, indent=1)) + 2 * 1000 * column <= TEMPLATE_BYTES, name


def test_the_longest_calibration_leaves_the_prediction_function_its_variables(assembly: Assembly) -> None:
    """All variables of a function together may have 4 KB: those of the template, and those a rollout sets."""
    functions = [
        found["Properties"]
        for template in assembly.templates.values()
        for found in template["Resources"].values()
        if found["Type"] == "AWS::Lambda::Function"
        and str(found["Properties"].get("FunctionName")).endswith("-predict")
    ]
    declared: dict[str, object] = {}
    for function in functions:
        declared |= function["Environment"]["Variables"]
    artifact = ServedArtifact(10**9, f"artifacts/{LONGEST.model}/{10**9:06d}/", "f" * 64, "c" * LONGEST_GROUPED_TEXT)
    artifact = replace(artifact, signer="a" * 64)
    stands = Standby(artifact.version, artifact.prefix, artifact.manifest_sha256, calibration="s", signer="a" * 64)
    # The longest of its own leaves none to what stands by. A calibration is published when no rollout lasts.
    standby = present(beside(stands, artifact.calibration)).to_text()
    every = {name: value if isinstance(value, str) else "v" * 64 for name, value in declared.items()}
    every |= {
        "EVERLOOP_MODEL": LONGEST.model,
        "EVERLOOP_PREDICTIONS_STREAM": "s" * 64,
        **variables(artifact),
        STANDBY_VARIABLE: standby,
    }
    assert {"EVERLOOP_MODEL", "EVERLOOP_PREDICTIONS_STREAM", "EVERLOOP_ARTIFACT_BUCKET"} <= declared.keys()
    assert sum(len(name) + len(value) for name, value in every.items()) <= 4096
