"""Drawing leaves nothing outside the clone, and draws every text as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd

from everloop.cli.replay.picture import Mark, draw_quality

ROOT = Path(__file__).parents[3]
DRAWN = """
import sys
from everloop.cli.replay import picture
figure, axes = picture.plt.subplots()
axes.set_title("drawn")
figure.savefig(sys.argv[1])
"""


def test_the_home_directory_stays_as_it_was(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "picture.png"
    home.mkdir()
    elsewhere = {"MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere} | {"HOME": str(home)}
    subprocess.run([sys.executable, "-c", DRAWN, str(file)], cwd=ROOT, env=environment, check=True)
    assert file.stat().st_size > 0
    assert list(home.iterdir()) == []


def test_a_text_is_drawn_and_not_set_as_a_formula(tmp_path: Path) -> None:
    # GIVEN texts that would be no formula
    days = pd.date_range("2013-01-01", periods=3)
    daily = pd.DataFrame({"date": days, "loop": [0.6, 0.7, 0.8], "raw": 0.65, "frozen": [0.6, 0.6, 0.6], "rows": 10})
    saved = pd.DataFrame({"date": days, "loop": [1.0, 2.0, 3.0], "raw": [1.0, 1.5, 1.0]})
    text = "$\\frac{$ _a^ $x$\x07\nb"
    mark = Mark(datetime(2013, 1, 2), "promoted", text)
    # WHEN they are drawn; THEN they are, without a complaint
    file = tmp_path / "quality.png"
    words = {"metric": text, "better": "higher", "loss": text, "title": text, "subtitle": text}
    draw_quality(daily, saved, [mark], money=None, file=file, **words)
    assert file.stat().st_size > 0
