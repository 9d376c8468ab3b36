"""The page on scale counts what the templates have."""

from __future__ import annotations

import re
from pathlib import Path

from everloop.cost.templates import count_types, resources_of
from tests.helpers.synthesis import MODEL_STACK, Assembly

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
COUNTED = re.compile(r"^\| [^|]+ \| [^|]+ \| `(AWS::[\w:]+)` \| ([\d,]+) \| ", re.MULTILINE)


def test_each_count_of_a_type_is_that_of_a_models_template(assembly: Assembly) -> None:
    found = count_types(resources_of(MODEL_STACK, assembly.templates[MODEL_STACK]))
    told = {kind: int(count.replace(",", "")) for kind, count in COUNTED.findall(PAGE)}
    assert len(told) >= 10
    assert told == {kind: found[kind] for kind in told}


def test_the_count_of_all_is_that_of_a_models_template(assembly: Assembly) -> None:
    (told,) = re.findall(r"\| all of a model's \| (\d+) \|", PAGE)
    assert int(told) == len(assembly.templates[MODEL_STACK]["Resources"])


def test_what_a_quota_allows_is_what_it_divides_by() -> None:
    for quota, per_model, allowed in re.findall(
        r"\| (\d[\d,]*), (?:5,000|no more)[^|]*\| `[^`]+` \| (\d+) \| (\d+)", PAGE
    ):
        assert int(allowed) == int(quota.replace(",", "")) // int(per_model)
