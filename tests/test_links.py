"""Every relative link of a page leads to a file and, where it names one, to a heading; images too."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """The pages that are part of the project."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def headings(page: Path) -> set[str]:
    """The anchors that a forge and the docs' site give the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        led_to = (page.parent / path).resolve() if path else page
        if not led_to.exists() or (anchor and anchor not in headings(led_to)):
            dead.append(target)
    assert dead == []


COMMAND = re.compile(r"python (?:-m benchmarks\.|benchmarks/)([a-z_]+)(\.py)?")


def commands() -> list[tuple[str, bool]]:
    """The benchmarks that pages and modules say how to run, and whether by their file."""
    listed = subprocess.run(["git", "ls-files", "*.md", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = ((ROOT / name).read_text(encoding="utf-8") for name in listed.stdout.splitlines() if (ROOT / name).exists())
    return sorted({(found[1], found[2] is not None) for text in texts for found in COMMAND.finditer(text)})


@pytest.mark.parametrize(("name", "by_file"), commands())
def test_benchmarks_run_as_it_is_written(name: str, by_file: bool) -> None:
    text = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
    needs_root = re.search(r"^from (?:tests|benchmarks)\b", text, re.MULTILINE) is not None
    # By its file a module finds its own folder alone, unless it says where the root is.
    assert not (by_file and needs_root) or "sys.path.insert(0, str(ROOT))" in text
