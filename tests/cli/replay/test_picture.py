"""Drawing leaves nothing outside the clone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DRAWN = """
import sys
from cli.replay import picture
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
