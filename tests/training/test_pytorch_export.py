"""The documented PyTorch script: exported by itself, and held to the same proofs as every other model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from everloop.manifest import CONTRACT, MODEL
from everloop.serving.contract import ServingContract
from tests.training.scenes import ROOT, classification
from tests.training.test_own_export import trained

SCRIPT = ROOT / "docs" / "examples" / "pytorch_train.py"


def test_the_page_shows_the_scripts_own_export() -> None:
    text = SCRIPT.read_text()
    shown = text[text.index("def export(") :].rstrip()
    assert f"```python\n{shown}\n```" in (ROOT / "docs" / "add-a-model.md").read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pytorch_network_is_proven_twice_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch has 200 MB, and is not among the pinned packages")
    first, second = (trained(tmp_path / name, SCRIPT.read_text(), classification()) for name in ("a", "b"))
    contract = ServingContract.from_json((first / CONTRACT).read_bytes())
    assert [feature.name for feature in contract.categories] == ["line", "operator"]
    proof = json.loads((first / "parity.json").read_text())
    assert proof["label_flips"] == 0
    assert proof["max_abs_difference"] < 1e-12
    assert proof["probes"]["rows"] > 100
    assert (first / MODEL).read_bytes() == (second / MODEL).read_bytes()
