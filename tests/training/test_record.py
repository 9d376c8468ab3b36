from __future__ import annotations

from pathlib import Path

from everloop.training.packages import unmet
from everloop.training.record import code_hash

ROOT = Path(__file__).parents[2]


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_the_hash_is_of_names_and_bytes_alone(tmp_path: Path) -> None:
    code = {"a.py": "1", "b/c.py": "2"}
    one = code_hash(tree(tmp_path / "one", code))
    assert one == code_hash(tree(tmp_path / "two", {**code, "b/__pycache__/c.pyc": "x"}))
    assert one != code_hash(tree(tmp_path / "three", {"a.py": "1", "b/d.py": "2"}))
    assert one != code_hash(tree(tmp_path / "four", {"a.py": "12", "b/c.py": ""}))


def test_pins_that_are_not_met_are_named() -> None:
    lines = ["# comment", "", "numpy==0.1 \\", "    --hash=sha256:00", "no-such-package==1", "onnx>=1"]
    lines += ['scipy==0.1; python_version < "3"']
    assert unmet(lines) == ["numpy==0.1", "no-such-package==1"]
