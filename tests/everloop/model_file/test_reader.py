"""A declaration is read whole, or refused with the line, what was found and what is allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.reader import parse_model_file, read_model_file
from everloop.model_file.worst_case import training_run_usd
from everloop.serving.request import MAX_BODY_BYTES
from tests.helpers.declarations import as_yaml, binary_document, regression_document
from tests.helpers.unfit_declarations import UNFIT, put


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(start))


def mistakes_of(text: str) -> list[Mistake]:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    return refused.value.mistakes


def only_mistake(text: str) -> Mistake:
    (mistake,) = mistakes_of(text)
    return mistake


@pytest.mark.parametrize("document", [binary_document(), regression_document()])
def test_a_valid_declaration_is_read(document: dict[str, Any]) -> None:
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
        (
            "  confidence: 0.95",
            "  rarest_fault: 0",
            "gate.rarest_fault",
            "0",
            "greater than or equal to 0.000001",
        ),
        ("  seed: 7", "  seed: yes", "training.seed", "yes, which YAML reads as True", "valid integer"),
        ("  seed: 7", "  seed: '7'", "training.seed", "'7'", "valid integer"),
        ("  seed: 7", "  seed: -1", "training.seed", "-1", "greater than or equal to 0"),
        ("    - north", '    - "\\u3164"', "data.features[2].values[0]", "'\u3164'", "with a visible character"),
        ("    - north", "    - NO", "data.features[2].values[0]", "NO, which YAML reads as False", "in quotes"),
        ("  email: desk@example.org", "  email: [desk]", "owner.email", "['desk']", "text"),
    ],
)
def test_a_mistake_names_line_found_and_allowed(before: str, after: str, path: str, found: str, allowed: str) -> None:
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
def test_a_missing_section_is_named(section: str) -> None:
    document = binary_document()
    del document[section]
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    assert section in [m.path for m in refused.value.mistakes]


def test_every_mistake_is_told_at_once() -> None:
    document = binary_document(gate={"metric": "accuracy"}, training={"seed": "x"}, serving={"max_rows": 0})
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    assert {m.path for m in refused.value.mistakes} == {"gate.metric", "training.seed", "serving.max_rows"}


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just words", "model: a\nmodel: b\n"])
def test_what_is_no_declaration_is_refused_with_a_place(text: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text, file="model.yaml")
    assert str(refused.value).startswith("model.yaml:")


def test_a_repeated_key_is_a_mistake_at_the_second_place() -> None:
    text = as_yaml(binary_document()) + "training:\n  seed: 8\n"
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    assert refused.value.mistakes[0].line == len(text.splitlines()) - 1


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
    assert mistake.found == "'train.py', the default when the key is left out, which is not there"


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


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (None, "'rule.py', which is not there"),
        ("def rul(features): return 1", "rule.py, which defines no function rule"),
        (
            "def rule(features, target): return 1",
            "rule.py:1, which defines rule with other arguments than",
        ),
        ("def rule(): return 1", "rule.py:1, which defines rule with other arguments"),
        ("def rule(features) return 1", "rule.py:1, which Python"),
    ],
)
def test_a_rule_in_force_that_can_be_none_is_told_before_it_runs(
    tmp_path: Path, script: str | None, found: str
) -> None:
    baseline = {"kind": "rule_in_force", "script": "rule.py"}
    file = in_folder(tmp_path / "late_train", binary_document(problem={"baseline": baseline}))
    (file.parent / "train.py").write_text("def train(features, target, *, seed, parameters): ...")
    if script is not None:
        (file.parent / "rule.py").write_text(script)
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    (mistake,) = refused.value.mistakes
    assert mistake.path == "problem.baseline.script"
    assert mistake.found.startswith(found)
    (file.parent / "rule.py").write_text("def rule(features, limit=3): return features['wind'] > limit")
    assert read_model_file(file).problem.baseline.script == "rule.py"
