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
    LockedRecordDiffersError,
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
    "check AWS_REGION, AWS_ENDPOINT_URL and the network, then repeat this command; `everloop local up` starts a"
    " local cloud"
)
LOCAL_HALF = frozenset({"awswrangler", "localcloud", "matplotlib", "onnx", "onnxruntime", "sklearn"})
"""What is imported on this machine alone: to try a model, and for the local cloud."""

PERMISSION_REMEDY = "these credentials lack a permission: request it, or use other credentials (AWS_PROFILE=…)"


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
        return f"AWS_REGION may be empty; {CREDENTIALS_REMEDY}"
    if code.startswith(("AccessDenied", "Unauthorized")) or code in ("403", "Forbidden"):
        return PERMISSION_REMEDY
    if "Throttl" in code or code in _BUSY or status == 429:
        return "the service is busy: repeat this command in a minute"
    if isinstance(status, int) and status >= 500:
        return "the service failed, and the request is not the cause: repeat this command"
    if any(word in code for word in _GONE):
        return f"`everloop status` says what is deployed; deploy what is missing: {DEPLOY_REMEDY}"
    return f"this command may have another version than the deployment: {DEPLOY_REMEDY}"


def registry_remedy(error: RegistryError) -> str | None:
    """What to do about a refusal of the registry; None where it says so itself."""
    if isinstance(error, UnknownVersionError):
        return "`everloop status MODEL` and `everloop runs list MODEL` list the versions"
    if isinstance(error, UnknownRunError):
        return "`everloop runs list MODEL` lists the runs"
    if isinstance(error, UnknownRolloutError):
        return "`everloop rollout status MODEL` lists the rollouts"
    if isinstance(error, CorruptRecordError | LockedRecordDiffersError):
        return "somebody else wrote to the table: `everloop audit verify` reports what was changed"
    return None


def system_remedy(error: OSError) -> str:
    """What to do where the system refused a file, a folder or a program."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space, then repeat this command"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "you may not read or write there: change the permissions (`ls -ld` shows them), or use another place"
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return "give an existing file or folder; commands look for models/ in the current folder"
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return "the machine is out of files, processes or memory: end other programs, then repeat this command"
    return "the operating system refused it: check the file or folder named in the error, then repeat this command"


def module_remedy(error: ModuleNotFoundError) -> str:
    """What to install where a package is missing."""
    if str(error.name).partition(".")[0] in LOCAL_HALF:
        return f"`everloop try`, `local` and `replay` need more: pip install 'everloop[local]=={__version__}'"
    return f"this environment is incomplete: pip install 'everloop=={__version__}'"


def unforeseen_remedy(kept: str) -> str:
    """What to do about an error that nobody foresaw; ``kept`` is where its traceback is."""
    where = f"; attach {kept}, and read it first: it may contain values from your files" if kept else ""
    return f"this is a bug in Everloop, not in your input: report it with the command{where}"
