"""What ends a command besides its own errors, told; it knows the errors of every library, and so imports them all."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from everloop.cli.output import keep_traceback
from everloop.cli.remedies import aws_remedy, module_remedy, registry_remedy, system_remedy, unforeseen_remedy
from everloop.dataset.exceptions import DatasetError
from everloop.model_file.exceptions import ModelFileError
from everloop.registry.exceptions import RegistryError


def message_and_remedy(error: Exception) -> tuple[str, str | None]:
    """What to tell of an error that is no command's own, and what to do about it; None where it says so itself."""
    if isinstance(error, RegistryError):
        return str(error), registry_remedy(error)
    if isinstance(error, (ModelFileError, DatasetError)):
        return str(error), None
    if isinstance(error, (BotoCoreError, ClientError)):
        return str(error), aws_remedy(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package {error.name} is not installed", module_remedy(error)
    if isinstance(error, OSError):
        return str(error), system_remedy(error)
    return f"{type(error).__name__}: {error}", unforeseen_remedy(keep_traceback(error))
