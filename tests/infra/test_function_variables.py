"""A function gets the variables it reads, and no others."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields

import pytest

from everloop.environment import Settings, variable
from everloop.infra.function_catalogue import functions_of
from everloop.names import FUNCTIONS, PROBE_FUNCTION
from tests.helpers.declarations import binary_document, declare, with_endpoint
from tests.helpers.synthesis import ROOT

SET_BY_ROLLOUT = {"version", "artifact_prefix", "manifest_sha256", "calibration", "endpoint", "standby", "signer"}
"""Of the prediction function; each published version has its own."""

OF_THE_PLATFORM = {"AWS_REGION", "_X_AMZN_TRACE_ID"}
"""What Lambda itself sets, and a handler may ask for by name."""


def read_by_the_handler(name: str) -> set[str]:
    """The fields of the settings that a handler reads, whether the class is its own or shared with another handler."""
    handler = importlib.import_module(f"functions.{name}.handler")
    (settings,) = re.findall(r"(\w+)\.read\(os\.environ\)", inspect.getsource(handler))
    return {field.name for field in fields(getattr(handler, settings))} - {field.name for field in fields(Settings)}


@pytest.mark.parametrize("name", [*FUNCTIONS, PROBE_FUNCTION])
def test_the_catalogue_agrees_with_the_handler(name: str) -> None:
    read = read_by_the_handler(name)
    assert (read & SET_BY_ROLLOUT == SET_BY_ROLLOUT) is (name == "predict")
    document = binary_document()
    document["retraining"]["investment"] = {}
    document = with_endpoint(document)
    document["rollout"]["shadow"] = {"minutes": 60, "max_score_shift": 0.1}
    facts = functions_of(declare(document))[name]
    assert {variable(field) for field in read - SET_BY_ROLLOUT} == {f"EVERLOOP_{v}" for v in facts.variables}


@pytest.mark.parametrize("name", [*FUNCTIONS, PROBE_FUNCTION])
def test_a_handler_reads_its_environment_and_nothing_beside_it(name: str) -> None:
    code = (ROOT / "functions" / name / "handler.py").read_text(encoding="utf-8")
    whole = re.findall(r"\b(?:Environment|LakeSettings)\.read\(os\.environ\)", code)
    assert len(whole) == 1
    assert "EVERLOOP_" not in code
    assert set(re.findall(r"""os\.environ(?:\.get\(|\[)["'](\w+)""", code)) <= OF_THE_PLATFORM
