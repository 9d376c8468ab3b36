"""Whichever two mistakes a declaration has, one reading names both, each at its line."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.reader import parse_model_file, read_model_file
from tests.helpers.declarations import as_yaml, binary_document
from tests.helpers.unfit_declarations import UNFIT, Unfit, put

LONG = {"training.refit", "rollout.bake_minutes", "rollout.steps.1.minutes", "rollout.guardrail", "rollout.steps"}
REST_ON = {
    "problem.baseline": {"data.features.1.name", "data.features.2.name", "data.features.2.type"},
    "data.features.1.name": {"data.features.2.name"},
    "data.features.2.name": {"data.features.1.name"},
    "data.key": {"data.features.1.name"},
    "rollout.bake_minutes": LONG,
    "rollout.steps.1.minutes": LONG,
    "rollout.steps": LONG,
    "rollout.guardrail": LONG,
    "cost.max_training_run_usd": {"training.refit", "training.instance_type", "cost.instance_usd_per_hour"},
    "cost.monthly_budget_usd": {"training.refit", "training.instance_type", "cost.instance_usd_per_hour"},
    "training.instance_type": {"cost.instance_usd_per_hour"},
}
"""What else a mistake at a key comes of: while that is wrong too, nothing can be said of it. The long rollouts are one
mistake, told at the longest part."""


def rests_on(mistake: Unfit, other: Unfit) -> bool:
    if within(mistake.at, other.at) or within(other.at, mistake.at):
        return True
    if mistake.at.startswith("problem.baseline") and other.at.startswith("problem.baseline"):
        return True
    if "labels come" in mistake.allowed and other.at == "data.label_lag_hours":
        return True
    return any(
        within(mistake.at, key) and any(within(other.at, at) for at in others) for key, others in REST_ON.items()
    )


def within(path: str, section: str) -> bool:
    return f"{path}.".startswith(f"{section}.")


def section(mistake: Unfit) -> str:
    return mistake.at.split(".")[0]


PAIRS = [
    (a, b)
    for a, b in itertools.combinations(UNFIT, 2)
    if not rests_on(UNFIT[a], UNFIT[b]) and not rests_on(UNFIT[b], UNFIT[a])
]
OF_ONE_SECTION = [(a, b) for a, b in PAIRS if section(UNFIT[a]) == section(UNFIT[b])]


def mistakes_of(text: str) -> dict[str, Mistake]:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    mistakes = refused.value.mistakes
    assert len({m.path for m in mistakes}) == len(mistakes)
    return {m.path: m for m in mistakes}


def both_are_told(pair: tuple[str, str]) -> None:
    document = binary_document()
    for name in pair:
        document = put(document, UNFIT[name].at, UNFIT[name].value)
    text = as_yaml(document)
    told = mistakes_of(text)
    for name in pair:
        unfit = UNFIT[name]
        mistake = told[re.sub(r"\.(\d+)", r"[\1]", unfit.path or unfit.at)]
        assert text.splitlines()[mistake.line - 1].strip() == unfit.line
        assert mistake.found.startswith(unfit.found)


@pytest.mark.parametrize("pair", OF_ONE_SECTION, ids=" and ".join)
def test_two_mistakes_of_one_section_are_told_together(pair: tuple[str, str]) -> None:
    both_are_told(pair)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PAIRS))
def test_any_two_mistakes_are_told_together(pair: tuple[str, str]) -> None:
    both_are_told(pair)


def test_the_pairs_are_most_of_all() -> None:
    """So that the property is not kept by leaving pairs out."""
    assert len(PAIRS) > 0.9 * len(UNFIT) * (len(UNFIT) - 1) / 2
    assert {section(UNFIT[a]) for a, _ in OF_ONE_SECTION} >= {"data", "gate", "training", "monitoring"}


@pytest.mark.parametrize("line", ["  seed: !x 7", "  seed: &a 7", "  seed: 0x_", "  seed: 7\n  seed: 8", "  7: 8"])
def test_what_yaml_can_not_read_hides_no_wrong_value(line: str, tmp_path: Path) -> None:
    # GIVEN one line that no declaration may have, a wrong metric, no script and a folder of another name
    text = as_yaml(binary_document(gate={"metric": "mae"})).replace("  seed: 7", line)
    file = tmp_path / "other" / "model.yaml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    # THEN all are told, the line once
    lines = [m.line for m in refused.value.mistakes]
    at = text.splitlines().index(line.splitlines()[-1]) + 1
    assert lines.count(at) == 1
    assert {m.path for m in refused.value.mistakes} >= {"gate.metric", "model", "training.script"}


def test_an_alias_is_not_followed() -> None:
    """Nine levels of nine aliases would be 387 million values."""
    levels = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    with pytest.raises(ModelFileError) as refused:
        parse_model_file("\n".join(levels))
    assert [m.found for m in refused.value.mistakes if m.line == 1] == ["the anchor &a0"]


def test_a_file_of_another_encoding_is_told_with_the_line_and_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_bytes("model: a\nowner: Zürich\n".encode("latin-1"))
    with pytest.raises(ModelFileError) as refused:
        read_model_file(file)
    assert str(refused.value) == (f"{file}:2: found the byte 0xfc, which is not UTF-8; allowed: a file saved as UTF-8")
