"""What a rollout tells a container of an endpoint, by the variables of its process."""

from __future__ import annotations

import os

from everloop.rollout.container_place import CALIBRATION_VARIABLE, DECLARED_VARIABLE
from everloop.serving.standby import STANDBY_VARIABLE


def container_variables() -> dict[str, str]:
    """The variables of this process that belong to the version it serves; none elsewhere."""
    own = (CALIBRATION_VARIABLE, DECLARED_VARIABLE, STANDBY_VARIABLE)
    return {name: value for name, value in os.environ.items() if name.startswith(own)}
