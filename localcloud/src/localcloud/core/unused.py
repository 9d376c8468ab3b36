"""moto's tables of EC2 instance types are not loaded: nothing here has use for them, and EC2 is refused.

moto reads them when Systems Manager is imported, 56 MB of small objects. Superfluous once it reads them when asked.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_TABLES = "ec2/resources/instance_type"


def leave_out() -> None:
    """Import moto's EC2 with these tables empty, unless it is imported already."""
    if "moto.ec2.models" in sys.modules:
        return
    utils: Any = importlib.import_module("moto.utilities.utils")
    original = utils.load_resource

    def load_resource(filename: str) -> Any:
        return {} if filename.startswith(_TABLES) else original(filename)

    utils.load_resource = load_resource
    try:
        importlib.import_module("moto.ec2.models")
    finally:
        utils.load_resource = original
