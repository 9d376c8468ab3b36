"""Lambda's limit on the size of a function with its layers."""

from __future__ import annotations

from collections.abc import Mapping

from everloop.infra.exceptions import SizeLimitError

UNZIPPED_LIMIT_BYTES = 250 * 1024 * 1024
"""Function code and layers together; see "Lambda quotas" in the AWS Lambda developer guide."""


def check_unzipped_size(function: str, parts: Mapping[str, int]) -> int:
    """The bytes of ``parts`` (by what they are) together.

    Raises
    ------
    SizeLimitError
        When they exceed the limit; with every part's size.
    """
    total = sum(parts.values())
    if total > UNZIPPED_LIMIT_BYTES:
        shown = ", ".join(f"{name} {size / 2**20:.0f} MB" for name, size in parts.items())
        raise SizeLimitError(
            f"{function}: {total / 2**20:.0f} MB unzipped ({shown}); Lambda allows"
            f" {UNZIPPED_LIMIT_BYTES / 2**20:.0f} MB. Remove packages from its requirements.txt"
        )
    return total
