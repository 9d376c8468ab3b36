"""Functions, versions, aliases and layers as values."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError

LATEST = "$LATEST"


def new_revision() -> str:
    """A revision id."""
    return str(uuid.uuid4())


def lambda_time(at: datetime) -> str:
    """The way Lambda writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"


@dataclass(frozen=True)
class Code:
    """A deployment package, kept on disk under its hash."""

    sha256: str
    size: int
    directory: str


@dataclass(frozen=True)
class LayerVersion:
    """A published layer version, or a managed one of AWS that stands for a pin list.

    Attributes
    ----------
    size, unzipped_bytes : int
        Of its zip file, and of what is in it; both 0 for a managed one.
    """

    arn: str
    size: int
    sha256: str
    directory: str
    unzipped_bytes: int = 0
    description: str = ""
    created: str = ""
    compatible_runtimes: tuple[str, ...] = ()
    compatible_architectures: tuple[str, ...] = ()
    license_info: str = ""

    @property
    def layer_arn(self) -> str:
        """The ARN without the version."""
        return self.arn.rsplit(":", 1)[0]

    @property
    def version(self) -> int:
        """The number of the version."""
        return int(self.arn.rsplit(":", 1)[1])

    def document(self) -> dict[str, Any]:
        """The GetLayerVersionResponse structure of the API."""
        return {
            "Content": {
                "Location": f"file://{self.directory}",
                "CodeSha256": self.sha256,
                "CodeSize": self.size,
            },
            "LayerArn": self.layer_arn,
            "LayerVersionArn": self.arn,
            "Description": self.description,
            "CreatedDate": self.created,
            "Version": self.version,
            "CompatibleRuntimes": list(self.compatible_runtimes),
            "CompatibleArchitectures": list(self.compatible_architectures),
            "LicenseInfo": self.license_info,
        }


@dataclass(frozen=True)
class FunctionVersion:
    """All that an invocation needs to know. A published one never changes."""

    name: str
    arn: str
    version: str
    role: str
    handler: str
    runtime: str
    timeout: int
    memory_size: int
    environment: Mapping[str, str]
    layers: tuple[LayerVersion, ...]
    architectures: tuple[str, ...]
    code: Code
    description: str
    last_modified: str
    revision_id: str
    dead_letter_arn: str | None = None
    kms_key_arn: str | None = None
    tracing_mode: str = "PassThrough"
    ephemeral_storage: int = 512
    log_group: str = ""
    log_format: str = "Text"
    application_log_level: str | None = None
    system_log_level: str | None = None

    @property
    def is_latest(self) -> bool:
        """Whether this is the unpublished version."""
        return self.version == LATEST

    @property
    def behaviour(self) -> tuple[Any, ...]:
        """What publishing compares: code and configuration, without names and dates."""
        return (
            self.role,
            self.handler,
            self.runtime,
            self.timeout,
            self.memory_size,
            tuple(sorted(self.environment.items())),
            tuple(layer.arn for layer in self.layers),
            self.architectures,
            self.code.sha256,
            self.dead_letter_arn,
            self.kms_key_arn,
            self.tracing_mode,
            self.ephemeral_storage,
            self.log_group,
            self.log_format,
            self.application_log_level,
            self.system_log_level,
        )

    def changed(self, at: datetime, **changes: Any) -> FunctionVersion:
        """A copy with changes, a new date and a new revision."""
        return replace(self, last_modified=lambda_time(at), revision_id=new_revision(), **changes)

    def configuration(self, arn: str) -> dict[str, Any]:
        """The FunctionConfiguration structure of the API."""
        logging: dict[str, Any] = {"LogFormat": self.log_format, "LogGroup": self.log_group}
        if self.log_format == "JSON":
            logging["ApplicationLogLevel"] = self.application_log_level or "INFO"
            logging["SystemLogLevel"] = self.system_log_level or "INFO"
        document: dict[str, Any] = {
            "FunctionName": self.name,
            "FunctionArn": arn,
            "Runtime": self.runtime,
            "Role": self.role,
            "Handler": self.handler,
            "CodeSize": self.code.size,
            "Description": self.description,
            "Timeout": self.timeout,
            "MemorySize": self.memory_size,
            "LastModified": self.last_modified,
            "CodeSha256": self.code.sha256,
            "Version": self.version,
            "TracingConfig": {"Mode": self.tracing_mode},
            "RevisionId": self.revision_id,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": list(self.architectures),
            "EphemeralStorage": {"Size": self.ephemeral_storage},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": logging,
        }
        if self.environment:
            document["Environment"] = {"Variables": dict(self.environment)}
        if self.layers:
            document["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.size} for layer in self.layers]
        if self.kms_key_arn:
            document["KMSKeyArn"] = self.kms_key_arn
        if self.dead_letter_arn:
            document["DeadLetterConfig"] = {"TargetArn": self.dead_letter_arn}
        return document


@dataclass(frozen=True)
class Alias:
    """A name for a version, or for two of them by weight."""

    name: str
    function_version: str
    description: str
    weights: Mapping[str, float]
    revision_id: str

    def document(self, function_arn: str) -> dict[str, Any]:
        """The AliasConfiguration structure of the API."""
        document: dict[str, Any] = {
            "AliasArn": f"{function_arn}:{self.name}",
            "Name": self.name,
            "FunctionVersion": self.function_version,
            "Description": self.description,
            "RevisionId": self.revision_id,
        }
        if self.weights:
            document["RoutingConfig"] = {"AdditionalVersionWeights": dict(self.weights)}
        return document

    def choose(self, drawn: float) -> str:
        """The version that gets the request for which ``drawn`` in [0, 1) was drawn."""
        reached = 0.0
        for version, weight in self.weights.items():
            reached += weight
            if drawn < reached:
                return version
        return self.function_version


@dataclass
class Function:
    """A function with everything under its name. Guarded by the store's lock."""

    latest: FunctionVersion
    versions: dict[str, FunctionVersion] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    statements: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    policy_revisions: dict[str, str] = field(default_factory=dict)
    event_configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    published: int = 0

    @property
    def arn(self) -> str:
        """The unqualified ARN."""
        return self.latest.arn


@dataclass(frozen=True)
class Resolved:
    """What a name and a qualifier lead to."""

    version: FunctionVersion
    invoked_arn: str
    qualifier: str | None
    reserved_concurrency: int | None


def split_name(name: str, qualifier: str | None) -> tuple[str, str | None]:
    """The bare function name and the qualifier, from any form of the name that the API takes.

    Raises
    ------
    InvalidParameterValueError
        When the name carries one qualifier and the call another.
    """
    bare, embedded = name, None
    if ":function:" in name:
        bare = name.split(":function:", 1)[1]
    if ":" in bare:
        bare, embedded = bare.split(":", 1)
    if embedded and qualifier and embedded != qualifier:
        raise InvalidParameterValueError(
            f"The derived qualifier from the function name {embedded!r} does not match the specified "
            f"qualifier {qualifier!r}."
        )
    return bare, qualifier or embedded


def frozen(mapping: Mapping[str, str] | None) -> Mapping[str, str]:
    """A read-only copy."""
    return MappingProxyType(dict(mapping or {}))
