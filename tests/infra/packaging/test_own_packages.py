"""A model's own packages come under the jobs' lock, or are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.own_packages import with_own_packages
from everloop.training.packages import pins

HASH = "--hash=sha256:" + "a" * 64
LOCK = f"# made by uv\nnumpy==2.4.6 \\\n    {HASH}\nscipy==1.17.1 ; python_version < '3.12' {HASH}\n".encode()
PLACE = Path("models/late/requirements.txt")


def merged(own: str) -> list[str]:
    content = with_own_packages(LOCK, own.encode(), PLACE)
    assert content.startswith(LOCK.rstrip(b"\n"))
    assert content.count(HASH.encode()) == content.count(b"==")
    return [str(pin) for pin in pins(content.decode().replace(" " + HASH, "").splitlines())]


def test_without_a_file_the_lock_stays_to_the_byte() -> None:
    assert with_own_packages(LOCK, None, PLACE) == LOCK
    assert with_own_packages(LOCK, b"# nothing\n\n", PLACE) == LOCK


def test_own_packages_follow_and_those_of_the_lock_are_not_repeated() -> None:
    own = f"# extra\nlightgbm==4.7.0 \\\n    {HASH} \\\n    {HASH.replace('a' * 64, 'b' * 64)}\nNumPy==2.4.6 {HASH}\n"
    content = with_own_packages(LOCK, own.encode(), PLACE).decode()
    assert content.lower().count("numpy==") == 1
    assert "lightgbm==4.7.0 \\\n" in content
    assert "b" * 64 in content
    assert "lightgbm==4.7.0" in merged(f"lightgbm==4.7.0 {HASH}\n")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("lightgbm\n", r"requirements.txt:1: lightgbm is not one version"),
        (f"\nlightgbm>=4 {HASH}\n", r":2: lightgbm>=4 is not one version"),
        (f"lightgbm==4.* {HASH}\n", "is not one version"),
        ("lightgbm==4.7.0\n", r"has no hash; expected: --hash=sha256"),
        (f"numpy==2.4.5 {HASH}\n", r"numpy==2.4.5 differs from the jobs' lock; expected: numpy==2.4.6"),
        ("-r other.txt\n", "is no requirement"),
        ("--index-url https://example.com\n", "is no requirement"),
        (f"lightgbm @ https://example.com/l.whl {HASH}\n", "is not one version"),
    ],
)
def test_what_is_not_locked_is_refused_with_its_line(own: str, said: str) -> None:
    with pytest.raises(PackagingError, match=said):
        with_own_packages(LOCK, own.encode(), PLACE)
