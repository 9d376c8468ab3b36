from __future__ import annotations

from pathlib import Path

import pytest

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.requirements import Line, Target, lock_lines, plain_pins, read_lines

ARM = Target("3.13", "arm64")


def lines(tmp_path: Path, text: str) -> list[Line]:
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    return read_lines(file)


def test_markers_are_judged_for_the_runtime_not_for_this_python(tmp_path: Path) -> None:
    text = (
        "scipy==1.17.1 ; python_full_version < '3.12'\n"
        "scipy==1.18.1 ; python_full_version >= '3.12'\n"
        "pywin32==312 ; sys_platform == 'win32'\n"
        "armour==1 ; platform_machine == 'aarch64'\n"
    )
    assert plain_pins(lines(tmp_path, text), ARM) == ["scipy==1.18.1", "armour==1"]


def test_the_lock_keeps_every_variant(tmp_path: Path) -> None:
    """The same layer is installed for another Python by its lock."""
    constraints = lines(tmp_path, "scipy==1.17.1 ; python_version < '3.12'\nscipy==1.18.1 ; python_version >= '3.12'\n")
    assert lock_lines({"scipy": "1.18.1", "extra": "2"}, constraints) == [
        "extra==2",
        "scipy==1.17.1 ; python_version < '3.12'",
        "scipy==1.18.1 ; python_version >= '3.12'",
    ]


def test_comments_are_skipped(tmp_path: Path) -> None:
    assert [line.text for line in lines(tmp_path, "# all\n\nnumpy==2 # fast\n")] == ["numpy==2"]


def test_options_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"requirements\.txt:2: '-r other\.txt'"):
        lines(tmp_path, "numpy\n-r other.txt\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="no such file"):
        read_lines(tmp_path / "requirements.txt")
