"""What to type after an error that others raised: of AWS's services, of the network, of the registry."""

from __future__ import annotations

import errno

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)

from everloop import __version__
from everloop.cli.exceptions import CREDENTIALS_REMEDY, DEPLOY_REMEDY
from everloop.registry.exceptions import (
    CorruptRecordError,
    RegistryError,
    UnknownRolloutError,
    UnknownRunError,
    UnknownVersionError,
)

UNKNOWN_CREDENTIALS = frozenset(
    {
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "ExpiredToken",
        "ExpiredTokenException",
    }
)
"""What services answer to credentials that they don't know, or know no longer."""

_BUSY = frozenset({"SlowDown", "TooManyRequestsException", "ProvisionedThroughputExceededException", "LimitExceeded"})
_GONE = ("NotFound", "NotExist", "NoSuch")

NETWORK_REMEDY = (
    "check AWS_REGION, AWS_ENDPOINT_URL and the network, then type this again; a local cloud is started with "
    "`everloop local up`"
)
LOCAL_HALF = frozenset({"localcloud", "matplotlib", "onnx", "onnxruntime", "sklearn"})
"""What is imported on this machine alone: to try a model, and for the local cloud."""

PERMISSION_REMEDY = "these credentials lack a permission: ask who gave them for it, or use others (AWS_PROFILE=…)"


def aws_remedy(error: BotoCoreError | ClientError) -> str:
    """What to do about an error of boto3."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound, NoRegionError)):
        return CREDENTIALS_REMEDY
    if isinstance(error, (BotocoreConnectionError, HTTPClientError)):
        return NETWORK_REMEDY
    if not isinstance(error, ClientError):
        return "check AWS_REGION, AWS_ENDPOINT_URL and AWS_PROFILE"
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in UNKNOWN_CREDENTIALS:
        return CREDENTIALS_REMEDY
    if code.startswith("IncompleteSignature"):
        return f"AWS_REGION may be set to nothing; {CREDENTIALS_REMEDY}"
    if code.startswith(("AccessDenied", "Unauthorized")) or code in ("403", "Forbidden"):
        return PERMISSION_REMEDY
    if "Throttl" in code or code in _BUSY or status == 429:
        return "the service is busy: type this again in a minute"
    if isinstance(status, int) and status >= 500:
        return "the service failed, and the request is not at fault: type this again"
    if any(word in code for word in _GONE):
        return f"`everloop status` says what is deployed; deploy what is missing: {DEPLOY_REMEDY}"
    return f"this command may be of another version than what is deployed: {DEPLOY_REMEDY}"


def registry_remedy(error: RegistryError) -> str | None:
    """What to do about a refusal of the registry; None where it says so itself."""
    if isinstance(error, UnknownVersionError):
        return "`everloop status MODEL` and `everloop runs list MODEL` say which versions there are"
    if isinstance(error, UnknownRunError):
        return "`everloop runs list MODEL` says which runs there are"
    if isinstance(error, UnknownRolloutError):
        return "`everloop rollout show MODEL` says which rollouts there are"
    if isinstance(error, CorruptRecordError):
        return "somebody else wrote to the table: `everloop audit verify` says what is not as it was written"
    return None


def system_remedy(error: OSError) -> str:
    """What to do where the system refused a file, a folder or a program."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: make room on it, then type this again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "you may not read or write there: change who may (`ls -ld` shows it), or name another place"
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return "name a file or folder that is there; commands look for models/ in the folder they are typed in"
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return "the machine has no more files, processes or memory to give: end other programs, then type this again"
    return "the system refused it: look at the file or folder that it names, then type this again"


def module_remedy(error: ModuleNotFoundError) -> str:
    """What to install where a package is missing."""
    if str(error.name).partition(".")[0] in LOCAL_HALF:
        return f"`everloop try`, `local` and `replay` need more: pip install 'everloop[local]=={__version__}'"
    return f"this environment is not whole: pip install 'everloop=={__version__}'"


def unforeseen_remedy(kept: str) -> str:
    """What to do about an error that nobody foresaw; ``kept`` is where its traceback is."""
    where = f"; send {kept} with it, and look through it first: it may hold values of your files" if kept else ""
    return f"this is a fault of Everloop's own, and not of what you typed: report it with the command{where}"
