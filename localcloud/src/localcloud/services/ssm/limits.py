"""What Parameter Store refuses for its size: values of the standard tier above 4,096 characters.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from typing import Any

from moto.ssm.exceptions import ValidationException
from moto.ssm.models import SimpleSystemManagerBackend

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

LARGEST_PARAMETER = 4096


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    wrap(SimpleSystemManagerBackend, "put_parameter", _limited_parameter)


def _limited_parameter(original: Any) -> Any:
    def put_parameter(self: Any, name: str, description: str, value: str, *rest: Any, **more: Any) -> Any:
        if value and len(value) > LARGEST_PARAMETER and "Advanced" not in (more.get("tier"), *rest):
            raise ValidationException(
                f"Standard tier parameters support a maximum parameter value of {LARGEST_PARAMETER} characters. To "
                "create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
            )
        return original(self, name, description, value, *rest, **more)

    return put_parameter
