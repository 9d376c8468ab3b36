"""A declaration is read whole, or refused with the line, what was found and what is allowed."""

from __future__ import annotations

import pytest

from everloop.model_file import ModelFileError, parse_model_file, read_model_file
from tests.helpers.declarations import as_yaml, binary_document, regression_document


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(start))


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


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gate": {"metric": "mae"}}, "gate.metric 'mae'"),
        ({"rollout": {"steps": []}}, "a canary rollout has steps"),
        ({"rollout": {"steps": [{"percent": 50, "minutes": 1}, {"percent": 10, "minutes": 1}]}}, "rise"),
        ({"data": {"key": "wind"}}, "'wind' is declared 2 times"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(changes, says):
    with pytest.raises(ModelFileError, match=says):
        parse_model_file(as_yaml(binary_document(**changes)))


def test_a_folder_of_another_name_and_a_missing_script_are_refused(tmp_path):
    folder = tmp_path / "late_train"
    folder.mkdir()
    file = folder / "model.yaml"
    file.write_text(as_yaml(binary_document()))
    with pytest.raises(ModelFileError, match=r"training\.script"):
        read_model_file(file)
    (folder / "train.py").touch()
    assert read_model_file(file).model == "late_train"
    file.write_text(as_yaml(binary_document(model="other")))
    with pytest.raises(ModelFileError, match="the folder's name"):
        read_model_file(file)
