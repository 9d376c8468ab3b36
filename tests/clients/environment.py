"""The environment of the clients: made when a test first asks for it, kept in ``.cache/clients``.

Their packages (0.4 GB) can't stand beside the project's pins, and no set-up but this one waits for them.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
FOLDER = ROOT / ".cache" / "clients"


def clients_python() -> Path:
    """The Python that has the clients, of the pins in ``requirements.txt``."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = FOLDER / wanted
    python, done = environment / "bin" / "python", environment / "done"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
            subprocess.run([*_installer(python), "--requirement", REQUIREMENTS], check=True, stdout=subprocess.DEVNULL)
            done.touch()
    return python


def _installer(python: Path) -> list[str]:
    uv = Path(sys.executable).parent / "uv"
    if uv.exists():
        return [str(uv), "pip", "install", "--quiet", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
