"""What the local Lambda service refuses, with the codes that AWS uses."""

from __future__ import annotations


class LambdaServiceError(Exception):
    """A refusal of the Lambda API; ``code`` is AWS's name of the error."""

    code = "ServiceException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ResourceNotFoundError(LambdaServiceError):
    """No such function, version, alias, layer or configuration."""

    code = "ResourceNotFoundException"


class ResourceConflictError(LambdaServiceError):
    """It exists already, or something still refers to it."""

    code = "ResourceConflictException"


class InvalidParameterValueError(LambdaServiceError):
    """A parameter has a value that Lambda does not take."""

    code = "InvalidParameterValueException"


class InvalidRequestContentError(LambdaServiceError):
    """The payload is not JSON."""

    code = "InvalidRequestContentException"


class PreconditionFailedError(LambdaServiceError):
    """The RevisionId given is not the current one."""

    code = "PreconditionFailedException"


class RequestTooLargeError(LambdaServiceError):
    """The payload is larger than Lambda takes."""

    code = "RequestTooLargeException"


class TooManyRequestsError(LambdaServiceError):
    """Throttled."""

    code = "TooManyRequestsException"


class CodeStorageError(LambdaServiceError):
    """The package is larger than Lambda takes."""

    code = "CodeStorageExceededException"


class NotExecutedLocallyError(LambdaServiceError):
    """AWS would do this; the local cloud does not, and says so."""

    code = "InvalidParameterValueException"


class LayerNotMaterialisedError(RuntimeError):
    """The packages of a layer could not be installed for the local Python."""


class WorkerStartError(RuntimeError):
    """A worker process could not be started."""
