"""No name leads out of its directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.core.containment import EscapingPathError, inside


@pytest.mark.parametrize("name", ["a", "a/b.csv", "..a/b..", "a b/č", "x" * 255])
def test_plain_names_are_paths_below(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a", r"'\.\.'"),
        ("a/../../b", r"'\.\.'"),
        ("..", r"'\.\.'"),
        ("/etc/passwd", "absolute"),
        ("//a", "absolute"),
        ("", "empty"),
        ("a//b", "empty part"),
        ("a/./b", "empty part"),
        ("a/", "empty part"),
        ("a\\..\\b", "backslash"),
        ("C:\\a", "backslash"),
        ("a/\ud800", "a lone surrogate"),
        ("a\0b", "NUL"),
        ("x" * 256, "255"),
        ("č" * 128, "255"),
    ],
)
def test_anything_else_is_refused_with_its_name(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(EscapingPathError, match=reason) as refused:
        inside(tmp_path, name)
    assert repr(name) in str(refused.value)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    (tmp_path / "in" / "there").mkdir()
    (tmp_path / "in" / "here").symlink_to(tmp_path / "in" / "there")

    assert inside(tmp_path / "in", "here/a")
    with pytest.raises(EscapingPathError, match="link"):
        inside(tmp_path / "in", "out/a")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.text(st.sampled_from("a./\\\0~ "), max_size=12))
def test_whatever_is_accepted_lies_below(tmp_path: Path, name: str) -> None:
    try:
        path = inside(tmp_path, name)
    except EscapingPathError:
        return
    assert path.resolve() != tmp_path.resolve()
    assert path.resolve().is_relative_to(tmp_path.resolve())
