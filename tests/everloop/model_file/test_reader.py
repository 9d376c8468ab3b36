"""A declaration is read whole, or refused with the line, what was found and what is allowed."""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from everloop.model_file import Mistake, ModelFileError, parse_model_file, read_model_file, training_run_usd
from everloop.serving.request import MAX_BODY_BYTES
from tests.helpers.declarations import as_yaml, binary_document, regression_document


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(start))


def mistakes_of(text: str) -> list[Mistake]:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    return refused.value.mistakes


def only_mistake(text: str) -> Mistake:
    (mistake,) = mistakes_of(text)
    return mistake


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with ``value`` at a path like ``data.features.1.name``."""
    changed = copy.deepcopy(document)
    *sections, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    place: Any = changed
    for part in sections:
        place = place[part]
    place[last] = value
    return changed


@pytest.mark.parametrize("document", [binary_document(), regression_document()])
def test_a_valid_declaration_is_read(document):
    declaration = parse_model_file(as_yaml(document))
    assert declaration.model == document["model"]
    assert [f.name for f in declaration.data.numbers] == ["distance", "wind"]
    assert [f.name for f in declaration.data.categories] == ["line", "operator"]


@pytest.mark.parametrize(
    ("before", "after", "path", "found", "allowed"),
    [
        ("  policy: better", "  policy: best", "gate.policy", "'best'", "'better' or 'not_worse'"),
        ("  max_rows: 100", "  max_rosw: 100", "serving.max_rosw", "unknown key", "did you mean 'max_rows'?"),
        ("  seed: 7", "  seed: seven", "training.seed", "'seven'", "valid integer"),
        ("  email: desk@example.org", "  email: desk", "owner.email", "'desk'", "@"),
        ("  - name: wind", "  - name: Wind", "data.features[1].name", "'Wind'", "^[a-z]"),
        ("  confidence: 0.95", "  confidence: 95", "gate.confidence", "95", "less than 1"),
        ("  confidence: 0.95", "  confidence: 0.49", "gate.confidence", "0.49", "greater than or equal to 0.5"),
        ("  seed: 7", "  seed: yes", "training.seed", "yes, which YAML reads as True", "valid integer"),
        ("  seed: 7", "  seed: '7'", "training.seed", "'7'", "valid integer"),
        ("  seed: 7", "  seed: -1", "training.seed", "-1", "greater than or equal to 0"),
        ("    - north", "    - NO", "data.features[2].values[0]", "NO, which YAML reads as False", "in quotes"),
        ("  email: desk@example.org", "  email: [desk]", "owner.email", "['desk']", "text"),
    ],
)
def test_a_mistake_names_line_found_and_allowed(before, after, path, found, allowed):
    # GIVEN a declaration with one mistake
    text = as_yaml(binary_document())
    assert before in text
    broken = text.replace(before, after)
    # WHEN it is read
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(broken, file="models/late_train/model.yaml")
    # THEN the one mistake is told precisely
    (mistake,) = refused.value.mistakes
    assert mistake.path == path
    assert mistake.line == line_of(broken, after.strip())
    assert found in mistake.found
    assert allowed in mistake.allowed
    assert str(refused.value).startswith(f"models/late_train/model.yaml:{mistake.line}: {path}: found ")


@pytest.mark.parametrize("section", sorted(binary_document()))
def test_a_missing_section_is_named(section):
    document = binary_document()
    del document[section]
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    assert section in [m.path for m in refused.value.mistakes]


def test_every_mistake_is_told_at_once():
    document = binary_document(gate={"metric": "accuracy"}, training={"seed": "x"}, serving={"max_rows": 0})
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    assert {m.path for m in refused.value.mistakes} == {"gate.metric", "training.seed", "serving.max_rows"}


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just words", "model: a\nmodel: b\n"])
def test_what_is_no_declaration_is_refused_with_a_place(text):
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text, file="model.yaml")
    assert str(refused.value).startswith("model.yaml:")


def test_a_repeated_key_is_a_mistake_at_the_second_place():
    text = as_yaml(binary_document()) + "training:\n  seed: 8\n"
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    assert refused.value.mistakes[0].line == len(text.splitlines()) - 1


@dataclass(frozen=True)
class Unfit:
    """A value put at a path of a good declaration, and the mistake that has to come of it.

    ``line`` is the text of the line it is told at, at its last occurrence; without a ``path`` it is told at ``at``.
    """

    at: str
    value: Any
    line: str
    found: str
    allowed: str
    path: str = ""


NAMES = "data.features.{}.name"
UNFIT = {
    "a metric of the other kind": Unfit("gate.metric", "mae", "metric: mae", "'mae'", "'log_loss' or 'brier'"),
    "a threshold of the other kind": Unfit(
        "gate.absolute",
        [{"metric": "roc_auc", "min": 0.5}, {"metric": "rmse", "max": 3}],
        "- metric: rmse",
        "'rmse'",
        "'roc_auc'",
        "gate.absolute[1].metric",
    ),
    "a baseline by no feature": Unfit(
        "problem.baseline",
        {"kind": "group_mean", "by": "lnie"},
        "by: lnie",
        "'lnie'",
        "line, operator",
        "problem.baseline.by",
    ),
    "a baseline by a number": Unfit(
        "problem.baseline",
        {"kind": "group_mean", "by": "wind"},
        "by: wind",
        "'wind'",
        "line, operator",
        "problem.baseline.by",
    ),
    "a baseline by nothing": Unfit(
        "problem.baseline.kind", "group_mean", "baseline:", "nothing", "group_mean", "problem.baseline.by"
    ),
    "a prior by something": Unfit("problem.baseline.by", "line", "by: line", "'line'", "prior"),
    "a repeated feature": Unfit(NAMES.format(2), "wind", "- name: wind", "'wind'", "data.features[1]"),
    "a feature called as the key": Unfit("data.key", "wind", "- name: wind", "'wind'", "data.key", NAMES.format(1)),
    "a target called as the time": Unfit("data.target", "departure", "target: departure", "'departure'", "data.time"),
    "a reserved feature": Unfit(NAMES.format(1), "version", "- name: version", "'version'", "own tables"),
    "a number with values": Unfit("data.features.1.values", [], "values: []", "an empty list", "number"),
    "a category with limits": Unfit("data.features.3.min", -7, "min: -7", "-7", "category"),
    "no values": Unfit("data.features.2.values", [], "values: []", "an empty list", "one value"),
    "an empty value": Unfit(
        "data.features.2.values", ["a", ""], "- ''", "''", "1 to 64 characters", "data.features.2.values.1"
    ),
    "a value that no request may hold": Unfit(
        "data.features.2.values",
        ["north", "so\tuth"],
        '- "so\\tuth"',
        "'so\\tuth'",
        "control characters",
        "data.features.2.values.1",
    ),
    "a value twice": Unfit("data.features.2.values", ["a", "a"], "- a", "'a'", "once", "data.features.2.values.1"),
    "limits the wrong way round": Unfit("data.features.0.max", -1, "max: -1", "-1", "at least 0"),
    "rates the wrong way round": Unfit("data.positive_rate", [0.6, 0.1], "positive_rate:", "[0.6, 0.1]", "lower"),
    "the same rate twice": Unfit("data.positive_rate", [0.5, 0.5], "positive_rate:", "[0.5, 0.5]", "lower"),
    "half of the rates": Unfit(
        "data.positive_rate", [0.1], "positive_rate:", "nothing", "a value more", "data.positive_rate.1"
    ),
    "three rates": Unfit("data.positive_rate", [0.1, 0.2, 0.3], "positive_rate:", "[0.1", "at most 2"),
    "a window that is all test": Unfit("data.training_window_days", 7, "training_window_days: 7", "7", "more than 7"),
    "a range of ones and zeros": Unfit("data.target_max", 1, "target_max: 1", "1", "0 or 1"),
    "a lag without end": Unfit("data.label_lag_hours", math.inf, "label_lag_hours: .inf", ".inf, which", "finite"),
    "a lag of ages": Unfit("data.label_lag_hours", 1e300, "label_lag_hours: 1.0e+300", "1.0e+300", "less than"),
    "a refit at another time": Unfit("training.refit", "always", "refit: always", "'always'", "after_gate"),
    "a refit that may not differ": Unfit(
        "training.refit_max_difference", 0, "refit_max_difference: 0", "0", "greater than 0"
    ),
    "a refit that may be anything": Unfit(
        "training.refit_max_difference", math.inf, "refit_max_difference: .inf", ".inf", "finite"
    ),
    "a script outside": Unfit("training.script", "../../x.py", "script: ../../x.py", "'../../x.py'", "inside"),
    "an absolute script": Unfit("training.script", "/x.py", "script: /x.py", "'/x.py'", "inside"),
    "a script by the way out": Unfit("training.script", "a/../../x.py", "script: a/../../x.py", "'a/..", "inside"),
    "a hidden script": Unfit("training.script", ".x/x.py", "script: .x/x.py", "'.x/x.py'", "inside"),
    "no Python": Unfit("training.script", "train.sh", "script: train.sh", "'train.sh'", "inside"),
    "a parameter that is a list": Unfit(
        "training.parameters", {"rate": [1]}, "rate:", "[1]", "a finite number", "training.parameters.rate"
    ),
    "a parameter without end": Unfit(
        "training.parameters", {"rate": math.inf}, "rate: .inf", ".inf", "a finite number", "training.parameters.rate"
    ),
    "an instance without a price": Unfit(
        "training.instance_type",
        "ml.g5.xlarge",
        "instance_type: ml.g5.xlarge",
        "'ml.g5.xlarge'",
        "cost.instance_usd_per_hour",
    ),
    "a threshold without a bound": Unfit(
        "gate.absolute", [{"metric": "brier"}], "- metric: brier", "this section", "'min' or 'max'", "gate.absolute.0"
    ),
    "a threshold the wrong way round": Unfit(
        "gate.absolute",
        [{"metric": "brier", "min": 0.3, "max": 0.2}],
        "max: 0.2",
        "0.2",
        "at least 0.3",
        "gate.absolute.0.max",
    ),
    "an area above one": Unfit(
        "gate.absolute", [{"metric": "roc_auc", "min": 55}], "min: 55", "55", "at most 1", "gate.absolute.0.min"
    ),
    "a loss below zero": Unfit(
        "gate.absolute",
        [{"metric": "log_loss", "max": -0.1}],
        "max: -0.1",
        "-0.1",
        "at least 0",
        "gate.absolute.0.max",
    ),
    "a canary without steps": Unfit("rollout.steps", [], "steps: []", "an empty list", "canary"),
    "steps of all at once": Unfit(
        "rollout.strategy", "all_at_once", "steps:", "this list", "all_at_once", "rollout.steps"
    ),
    "steps that do not rise": Unfit("rollout.steps.1.percent", 10, "- percent: 10", "10", "more than 10"),
    "a bake of two years": Unfit("rollout.bake_minutes", 1_051_200, "bake_minutes: 1051200", "1051200", "after 365"),
    "a step of two years": Unfit("rollout.steps.1.minutes", 1_051_200, "minutes: 1051200", "1051200", "after 365"),
    "a hold of half a year, three times": Unfit(
        "rollout.guardrail",
        {"max_error_rate": 0.1, "max_p99_latency_ms": 9, "max_hold_minutes": 262_800},
        "max_hold_minutes: 262800",
        "262800",
        "Step Functions",
        "rollout.guardrail.max_hold_minutes",
    ),
    "more looks than a history holds": Unfit(
        "rollout.steps",
        [{"percent": 10, "minutes": 1}, {"percent": 20, "minutes": 1}],
        "guardrail:",
        "1440, which is meant where the key is left out",
        "2,882 looks",
        "rollout.guardrail.max_hold_minutes",
    ),
    "a latency that is no number": Unfit(
        "rollout.guardrail.max_p99_latency_ms", math.nan, "max_p99_latency_ms: .nan", ".nan", "finite"
    ),
    "more rows than a body holds": Unfit("serving.max_rows", 15_000, "max_rows: 15000", "15000", "less than"),
    "no schedule": Unfit(
        "monitoring.schedule", "rate(banana)", "schedule: rate(banana)", "'rate(banana)'", "rate(1 day)"
    ),
    "a schedule of crontab": Unfit(
        "monitoring.schedule", "cron(0 11 * * *)", "schedule: cron(0 11 * * *)", "'cron(0 11 * * *)'", "six fields"
    ),
    "a schedule that leaves days out": Unfit(
        "monitoring.schedule", "rate(7 days)", "schedule: rate(7 days)", "'rate(7 days)'", "never be watched"
    ),
    "a window longer than the schedule": Unfit(
        "monitoring",
        {"window_hours": 48, "drift_days": 8},
        "monitoring:",
        "'cron(0 6 * * ? *)', which is meant where the key is left out",
        "watched twice",
        "monitoring.schedule",
    ),
    "days that hold no whole window": Unfit(
        "monitoring",
        {"window_hours": 48, "schedule": "rate(2 days)"},
        "monitoring:",
        "7, which is meant where the key is left out",
        "a multiple of 2",
        "monitoring.drift_days",
    ),
    "quality of a single window": Unfit(
        "monitoring",
        {"window_hours": 168, "schedule": "rate(7 days)"},
        "days: 7",
        "7",
        "more days than a window has",
        "retraining.quality.days",
    ),
    "an effect without end": Unfit("monitoring.minimum_effect", math.inf, "minimum_effect: .inf", ".inf", "finite"),
    "less confidence than a coin": Unfit(
        "retraining.quality.confidence", 0.49, "confidence: 0.49", "0.49", "greater than or equal to 0.5"
    ),
    "a price beyond all prices": Unfit(
        "cost.instance_usd_per_hour",
        1e305,
        "instance_usd_per_hour: 1.0e+305",
        "1.0e+305",
        "less than or equal to 10000",
    ),
    "a run above its ceiling": Unfit(
        "cost.max_training_run_usd",
        0.2,
        "max_training_run_usd: 0.2",
        "0.2",
        "at least $0.460, which one run can cost: 4 jobs of 30 minutes and up to 30 to start, on ml.m5.large at $0.115",
    ),
    "a month above its budget": Unfit(
        "cost.monthly_budget_usd",
        0.9,
        "monthly_budget_usd: 0.9",
        "0.9",
        "at least $1.84, which training can cost in a month: with 4 runs in any 60 days",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_parts_that_do_not_fit_each_other_are_refused(case: str) -> None:
    """One mistake each, told where it is to be put right and not at the section that noticed it."""
    unfit = UNFIT[case]
    # GIVEN a good declaration with one value changed
    text = as_yaml(put(binary_document(), unfit.at, unfit.value))
    # WHEN it is read
    mistake = only_mistake(text)
    # THEN key, line, found and allowed are those of the value, or of the section that lacks it
    assert mistake.path == re.sub(r"\.(\d+)", r"[\1]", unfit.path or unfit.at)
    assert mistake.line == max(n for n, line in enumerate(text.splitlines(), 1) if line.strip() == unfit.line)
    assert mistake.found.startswith(unfit.found)
    assert unfit.allowed in mistake.allowed


def test_more_rows_than_a_request_has_room_for_are_refused() -> None:
    """What the longest rows leave no room for; one row less is taken."""
    # GIVEN features with names of 31 characters, so that few rows fill a megabyte
    features = [{"name": f"f{'x' * 27}{index:03}", "type": "number"} for index in range(40)]
    document = binary_document(data={"features": features}, serving={"max_rows": 5000})
    mistake = only_mistake(as_yaml(document))
    # THEN as many are allowed as really fit
    (most,) = re.findall(r"at most (\d+):", mistake.allowed)
    values = {"train_id": "k" * 4 * 256, **{f["name"]: -1.2345678901234567e-300 for f in features}}
    row = json.dumps(values, separators=(",", ":"))
    assert len(f'{{"instances":[{",".join([row] * int(most))}]}}') <= MAX_BODY_BYTES
    assert len(f'{{"instances":[{",".join([row] * (int(most) + 1))}]}}') > MAX_BODY_BYTES
    assert parse_model_file(as_yaml(put(document, "serving.max_rows", int(most)))).serving.max_rows == int(most)
    assert (mistake.path, mistake.found) == ("serving.max_rows", "5000")


def test_a_declared_price_makes_any_instance_known() -> None:
    document = put(binary_document(training={"instance_type": "ml.g5.xlarge"}), "cost.instance_usd_per_hour", 0.5)
    assert training_run_usd(parse_model_file(as_yaml(document))) == pytest.approx(2.0)
    # GIVEN a higher one; THEN the ceiling holds it back as it would a known one
    mistake = only_mistake(as_yaml(put(document, "cost.instance_usd_per_hour", 1.5)))
    assert (mistake.path, mistake.found) == ("cost.max_training_run_usd", "2")
    assert "at least $6.00" in mistake.allowed
    assert "$1.5 an hour as declared" in mistake.allowed


def in_folder(folder: Path, document: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "model.yaml"
    file.write_text(f"# Trains that are late.\n{as_yaml(document)}")
    return file


def test_a_folder_of_another_name_and_a_missing_script_are_refused_at_their_lines(tmp_path: Path) -> None:
    file = in_folder(tmp_path / "late_train", binary_document(model="other", training={"script": "fit.py"}))
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    lines = file.read_text().splitlines()
    found = [(m.path, lines[m.line - 1].strip(), m.found) for m in refused.value.mistakes]
    assert found == [
        ("model", "model: other", "'other'"),
        ("training.script", "script: fit.py", "'fit.py', which is not there"),
    ]
    in_folder(tmp_path / "late_train", binary_document(training={"script": "fit.py"}))
    (tmp_path / "late_train" / "fit.py").write_text(SCRIPT)
    assert read_model_file(file).model == "late_train"


def test_a_script_that_is_left_out_is_missing_from_the_section(tmp_path: Path) -> None:
    file = in_folder(tmp_path / "late_train", binary_document())
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    (mistake,) = refused.value.mistakes
    assert file.read_text().splitlines()[mistake.line - 1] == "training:"
    assert mistake.found == "'train.py', which is meant where the key is left out, which is not there"


def test_a_link_that_leads_out_of_the_folder_is_no_script_of_it(tmp_path: Path) -> None:
    file = in_folder(tmp_path / "late_train", binary_document())
    (tmp_path / "elsewhere.py").touch()
    (tmp_path / "late_train" / "train.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(ModelFileError, match=r"training\.script: found 'train\.py'.* leads out of the folder"):
        read_model_file(file)
    # GIVEN the folder itself reached by a link; THEN its script lies in it
    (tmp_path / "late_train" / "train.py").unlink()
    (tmp_path / "late_train" / "train.py").write_text(SCRIPT)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "late_train").symlink_to(tmp_path / "late_train")
    assert read_model_file(tmp_path / "linked" / "late_train" / "model.yaml").model == "late_train"


SCRIPT = "def train(features, target, *, seed, parameters):\n    return None\n"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("", "train.py, which defines no function train"),
        ("def fit(features, target): ...\n", "train.py, which defines no function train"),
        ("x = 1\ndef train(features\n", "train.py:2, which Python "),
        (
            "\n\ndef train(): ...\n",
            "train.py:3, which defines train without features and target as its first arguments",
        ),
        ("def train(features, target): ...\n", "train.py:1, which defines train without seed and parameters"),
        ("def train(features, target, seed): ...\n", "train.py:1, which defines train without parameters"),
        ("def train(x, y, z, seed, /, parameters): ...\n", "train.py:1, which defines train without seed"),
        ("a = '\x00'\n", "train.py"),
        ("(" * 100_000, "train.py"),
    ],
)
def test_a_script_that_can_be_none_is_told_before_it_runs(tmp_path: Path, script: str, found: str) -> None:
    file = in_folder(tmp_path / "late_train", binary_document())
    (tmp_path / "late_train" / "train.py").write_text(script)
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    (mistake,) = refused.value.mistakes
    assert mistake.found.startswith(found)
    assert mistake.allowed == "a Python file that defines train(features, target, *, seed, parameters)"


@pytest.mark.parametrize(
    "script",
    [
        SCRIPT,
        "def train(*args, **kwargs): ...\n",
        "def train(x, y, seed=0, parameters=None): ...\n",
        "def train(x, y, **settings): ...\n",
        "from fitting import train\n",
        "from fitting import fit as train\n",
        "from fitting import *\n",
        "import functools, fitting\ntrain = functools.partial(fitting.fit)\n",
        "try:\n    from fast import train\nexcept ImportError:\n    def train(x, y, *, seed, parameters): ...\n",
        "if True:\n    def train(x, y, *, seed, parameters): ...\nelse:\n    train = None\n",
        "class train:\n    def __new__(cls, x, y, *, seed, parameters): ...\n",
        "# coding: latin-1\ndef train(x, y, *, seed, parameters): return '\xe9'\n",
    ],
)
def test_a_script_that_may_be_one_is_taken(tmp_path: Path, script: str) -> None:
    file = in_folder(tmp_path / "late_train", binary_document())
    (tmp_path / "late_train" / "train.py").write_bytes(script.encode("latin-1"))
    assert read_model_file(file).model == "late_train"


def test_mistakes_of_every_kind_are_told_in_one_go(tmp_path: Path) -> None:
    # GIVEN a wrong value in one section, two sections that do not fit, a folder of another name and no script
    document = binary_document(gate={"metric": "mae"}, training={"max_minutes": 1440}, owner={"email": "nobody"})
    file = in_folder(tmp_path / "other", document)
    # WHEN it is read
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    # THEN all are told at once, in the order of the lines
    assert [m.path for m in refused.value.mistakes] == [
        "model",
        "owner.email",
        "training.script",
        "gate.metric",
        "cost.max_training_run_usd",
    ]


def test_a_section_that_is_wrong_keeps_the_others_from_being_held_against_it(tmp_path: Path) -> None:
    # GIVEN a metric for a type that is none; THEN nothing is said of the metric
    document = binary_document(gate={"metric": "mae"}, problem={"type": "ranking"})
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    assert [m.path for m in refused.value.mistakes] == ["problem.type"]
