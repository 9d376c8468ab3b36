"""What the set-up imports, so that it is compiled: all of our packages, and no program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_leaves_compiled_modules_and_starts_no_program(tmp_path: Path) -> None:
    # GIVEN a package that was never imported, with a program in it
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "own" / "__init__.py").touch()
    (tmp_path / "own" / "__main__.py").write_text("raise SystemExit('it acted')\n")
    (tmp_path / "own" / "deep" / "__init__.py").touch()
    (tmp_path / "own" / "deep" / "inner.py").write_text("import installed\ndef act():\n    import later\n")
    (tmp_path / "installed.py").touch()
    (tmp_path / "later.py").touch()
    (tmp_path / "unused.py").touch()
    # WHEN it is named, THEN its modules are compiled, with what they import. In a process of its own: what imports all
    # of the local cloud changes moto for every later test.
    command = [sys.executable, "tools/first_imports.py", "own"]
    subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, check=True)
    compiled = [str(path.parent.parent / path.name.split(".")[0]) for path in tmp_path.rglob("*.pyc")]
    names = {Path(path).relative_to(tmp_path).as_posix() for path in compiled}
    assert names == {"own/__init__", "own/deep/__init__", "own/deep/inner", "installed", "later"}
