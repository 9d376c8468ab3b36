"""What a training records of where it ran, and when the evaluation takes its own place for the same."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from everloop.cli.operations.stories import environment_sentence
from everloop.registry.registration import recorded_environment
from everloop.training.environment import Environment, installed
from everloop.training.exceptions import EnvironmentDiffersError, JobError
from everloop.typed_json import as_json

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def here() -> Environment:
    return Environment.of(ROOT / "training")


def trained(here: Environment, **changes: Any) -> Any:
    """The part of ``training.json`` that is of the environment."""
    parts = {"python": here.python, "platform": here.platform, "packages": here.packages, "lock": here.lock}
    return {**parts, **changes}


def test_everything_installed_is_recorded(here: Environment) -> None:
    assert len(here.packages) > 100
    assert list(here.packages) == sorted(here.packages)
    for name in ("numpy", "scikit-learn", "typing-extensions", "pytest"):
        assert here.packages[name] == metadata.version(name)
    assert here.python == platform.python_version()
    assert here.lock["sha256"] == hashlib.sha256((ROOT / "training" / "requirements.txt").read_bytes()).hexdigest()
    assert here.lock["unmet"] == []
    assert {"numpy", "scipy", "typing-extensions"} <= here.locked
    assert not here.locked & {"pytest", "tzdata"}  # tzdata is for other systems


def test_of_two_of_a_name_the_one_that_is_imported_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in {
        "Type_Ing.extensions-9.0.dist-info": "Metadata-Version: 2.1\nName: Typing_Extensions\nVersion: 9.0\n",
        "umpy-1.0.dist-info": "Metadata-Version: 2.1\n",
    }.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed()["typing-extensions"] == "9.0"


def test_the_same_environment_has_no_differences(here: Environment) -> None:
    facts = here.require_same_lock(trained(here))
    assert facts.differences == ()
    assert facts.packages == len(here.packages)
    assert facts == here.compared_with(trained(here))


DECISIVE: dict[str, tuple[dict[str, str | None], dict[str, Any], str]] = {
    "a locked package": ({"numpy": "2.4.5"}, {}, "numpy 2.4.5 in training, 2."),
    "one that was not there": ({"scipy": None}, {}, "scipy not there in training"),
    "another minor Python": ({}, {"python": "3.9.1"}, "Python 3.9.1 in training"),
    "another lock": ({}, {"lock": {"sha256": "0" * 64, "unmet": []}}, "lock 000000000000 in training"),
}


@pytest.mark.parametrize("case", DECISIVE)
def test_what_decides_scores_has_to_be_the_same(here: Environment, case: str) -> None:
    packages, changes, said = DECISIVE[case]
    then = {n: v for n, v in {**here.packages, **packages}.items() if v is not None}
    record = trained(here, packages=then, **changes)
    with pytest.raises(EnvironmentDiffersError, match=said):
        here.require_same_lock(record)
    # An older version, judged again, was trained where it was trained: that is told.
    assert any(difference.startswith(said) for difference in here.compared_with(record).differences)


def test_what_the_image_alone_brings_is_told(here: Environment) -> None:
    major, minor, _ = here.python.split(".")
    then = {**here.packages, "pytest": "1.0", "image-tool": "3"}
    record = trained(here, packages=then, python=f"{major}.{minor}.99", platform="Linux-riscv64")
    assert here.require_same_lock(record).differences == (
        f"Python {major}.{minor}.99 in training, {here.python} in evaluation",
        f"platform Linux-riscv64 in training, {here.platform} in evaluation",
        "image-tool 3 in training, not there in evaluation",
        f"pytest 1.0 in training, {here.packages['pytest']} in evaluation",
    )


def test_a_refusal_names_a_few_and_counts_the_rest(here: Environment) -> None:
    bare = replace(here, packages={name: v for name, v in here.packages.items() if name not in here.locked})
    with pytest.raises(EnvironmentDiffersError, match=r"annotated-types .*; and \d\d more differences; what one"):
        bare.require_same_lock(trained(here))


def test_a_record_of_an_earlier_release_says_nothing_of_the_packages_that_it_does_not_name(here: Environment) -> None:
    record = trained(here, packages={"numpy": here.packages["numpy"], "scipy": "0.1"})
    del record["lock"]
    (difference,) = here.compared_with(record).differences
    assert difference.startswith("scipy 0.1 in training")


def test_without_a_lock_no_job_begins(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"requirements\.txt.*deploy the model again"):
        Environment.of(tmp_path)


def test_pins_that_are_not_met_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy==0.1 \\\n    --hash=sha256:00\nno-such-package==1\nsix>=1\n")
    assert Environment.of(tmp_path).lock["unmet"] == ["numpy==0.1", "no-such-package==1"]


def test_the_registry_keeps_it_and_a_trace_says_it(here: Environment) -> None:
    record = recorded_environment({"environment": as_json(here.compared_with(trained(here)))})
    assert record is not None
    assert environment_sentence(record) == (
        f"Python {here.python} on {here.platform}, {len(here.packages)} packages, lock {here.lock['sha256'][:12]};"
        " the same for training and evaluation"
    )
    other = environment_sentence({**record, "unmet": ["numpy==0.1"], "differences": ["six 1 in training, 2 in ev"]})
    assert other.endswith(", not as locked: numpy==0.1; two environments: six 1 in training, 2 in ev")
    assert recorded_environment({}) is None
