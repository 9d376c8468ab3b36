"""The control plane of Lambda: what exists under which name."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from localcloud.services.lambda_.runtime.configuration import configuration_changes
from localcloud.services.lambda_.runtime.exceptions import (
    InvalidParameterValueError,
    NotExecutedLocallyError,
    PreconditionFailedError,
    ResourceConflictError,
    ResourceNotFoundError,
)
from localcloud.services.lambda_.runtime.functions import (
    LATEST,
    Code,
    Function,
    FunctionVersion,
    LayerVersion,
    Resolved,
    frozen,
    split_name,
)

_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}\Z")


class FunctionStore:
    """Functions and their versions; aliases and policies are kept by the stores built on this one.

    Every method takes the parameters of the API call of its name, and raises the errors of
    :mod:`localcloud.services.lambda_.runtime.exceptions`.
    """

    def __init__(
        self,
        *,
        account_id: str,
        region: str,
        now: Callable[[], datetime],
        layer: Callable[[str], LayerVersion],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._account_id = account_id
        self._region = region
        self.now = now
        self._layer = layer
        self._draw = draw
        self._functions: dict[str, Function] = {}
        self._numbers_used: dict[str, int] = {}
        self.lock = threading.RLock()
        self.on_latest_changed: Callable[[FunctionVersion], None] = lambda version: None
        """Called with a version that no invocation can reach any more."""

    # functions

    def create_function(self, parameters: Mapping[str, Any], code: Code) -> FunctionVersion:
        """Make a function; its ``$LATEST``."""
        name, _ = split_name(parameters["FunctionName"], None)
        if not _NAME.match(name):
            raise InvalidParameterValueError(f"{name!r} is not a function name: use 1 to 64 letters, digits, - and _")
        if parameters.get("PackageType", "Zip") != "Zip":
            raise NotExecutedLocallyError("PackageType Image is not executed by the local cloud: use a zip file")
        arn = f"arn:aws:lambda:{self._region}:{self._account_id}:function:{name}"
        blank = FunctionVersion(
            name=name,
            arn=arn,
            version=LATEST,
            role=parameters["Role"],
            handler="",
            runtime="",
            timeout=3,
            memory_size=128,
            environment=frozen(None),
            layers=(),
            architectures=tuple(parameters.get("Architectures") or ("x86_64",)),
            code=code,
            description="",
            last_modified="",
            revision_id="",
            log_group=f"/aws/lambda/{name}",
        )
        latest = blank.changed(self.now(), **configuration_changes(parameters, self._layer))
        for required in ("runtime", "handler"):
            if not getattr(latest, required):
                raise InvalidParameterValueError(f"{required.capitalize()} is required for zip functions")
        with self.lock:
            if name in self._functions:
                raise ResourceConflictError(f"Function already exist: {name}")
            # Lambda gives no number twice, not even to a function that is made again under its old name:
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
            used = self._numbers_used.get(name, 0)
            function = Function(latest, tags=dict(parameters.get("Tags") or {}), published=used)
            self._functions[name] = function
            return self._publish(function, None) if parameters.get("Publish") else latest

    def update_function_configuration(self, name: str, parameters: Mapping[str, Any]) -> FunctionVersion:
        """Change the configuration of ``$LATEST``."""
        with self.lock:
            function = self.function(name)
            expect_revision(function.latest.revision_id, parameters.get("RevisionId"))
            changes = configuration_changes(parameters, self._layer)
            return self._replace_latest(function, function.latest.changed(self.now(), **changes))

    def update_function_code(self, name: str, parameters: Mapping[str, Any], code: Code) -> FunctionVersion:
        """Change the code of ``$LATEST``."""
        with self.lock:
            function = self.function(name)
            expect_revision(function.latest.revision_id, parameters.get("RevisionId"))
            changes: dict[str, Any] = {"code": code}
            if parameters.get("Architectures"):
                changes["architectures"] = tuple(parameters["Architectures"])
            changed = function.latest.changed(self.now(), **changes)
            if parameters.get("DryRun"):
                return changed
            latest = self._replace_latest(function, changed)
            return self._publish(function, None) if parameters.get("Publish") else latest

    def delete_function(self, name: str, qualifier: str | None) -> None:
        """Delete a function with all of its versions, or the one version that is named."""
        with self.lock:
            function = self.function(name)
            _, qualifier = split_name(name, qualifier)
            if qualifier is None:
                del self._functions[function.latest.name]
                self._numbers_used[function.latest.name] = function.published
                gone = [function.latest, *function.versions.values()]
            else:
                if qualifier == LATEST:
                    raise InvalidParameterValueError("$LATEST version cannot be deleted without deleting the function.")
                version = self.version_of(function, qualifier)
                users = [a.name for a in function.aliases.values() if qualifier in (a.function_version, *a.weights)]
                if users:
                    raise ResourceConflictError(
                        f"Unable to delete version because the following aliases reference it: {users}"
                    )
                del function.versions[qualifier]
                gone = [version]
        for version in gone:
            self.on_latest_changed(version)

    def function(self, name: str) -> Function:
        """A function by its name or ARN; raises `ResourceNotFoundError` when there is none."""
        bare, _ = split_name(name, None)
        with self.lock:
            function = self._functions.get(bare)
        if function is None:
            raise ResourceNotFoundError(f"Function not found: {self._arn(bare)}")
        return function

    def list_functions(self, *, all_versions: bool = False) -> list[FunctionVersion]:
        """``$LATEST`` of every function, or every version of each."""
        with self.lock:
            found = []
            for function in self._functions.values():
                found.append(function.latest)
                if all_versions:
                    found += function.versions.values()
            return found

    def list_versions(self, name: str) -> list[FunctionVersion]:
        """All versions of a function, ``$LATEST`` first."""
        with self.lock:
            function = self.function(name)
            return [function.latest, *function.versions.values()]

    def resolve(self, name: str, qualifier: str | None) -> Resolved:
        """The version that an invocation of ``name`` under ``qualifier`` reaches; an alias draws by weight."""
        bare, qualifier = split_name(name, qualifier)
        with self.lock:
            function = self._functions.get(bare)
            if function is None:
                raise ResourceNotFoundError(f"Function not found: {self._arn(bare, qualifier)}")
            arn = f"{function.arn}:{qualifier}" if qualifier else function.arn
            if qualifier is None or qualifier == LATEST:
                version = function.latest
            elif qualifier in function.aliases:
                version = self.version_of(function, function.aliases[qualifier].choose(self._draw()))
            else:
                version = self.version_of(function, qualifier)
            return Resolved(version, arn, qualifier, function.reserved_concurrency)

    # versions

    def publish_version(
        self, name: str, *, code_sha256: str | None, description: str | None, revision_id: str | None
    ) -> FunctionVersion:
        """Publish what ``$LATEST`` is now; nothing new where it did not change."""
        with self.lock:
            function = self.function(name)
            expect_revision(function.latest.revision_id, revision_id)
            if code_sha256 and code_sha256 != function.latest.code.sha256:
                raise InvalidParameterValueError(
                    f"CodeSHA256 ({code_sha256}) is different from current CodeSHA256 in $LATEST "
                    f"({function.latest.code.sha256}). Please try again with the CodeSHA256 in $LATEST."
                )
            return self._publish(function, description)

    def _publish(self, function: Function, description: str | None) -> FunctionVersion:
        last = function.versions.get(str(function.published))
        if last is not None and last.behaviour == function.latest.behaviour:
            return last
        function.published += 1
        published = function.latest.changed(
            self.now(),
            version=str(function.published),
            description=function.latest.description if description is None else description,
        )
        function.versions[published.version] = published
        return published

    def version_of(self, function: Function, version: str) -> FunctionVersion:
        """A version of a function by its number."""
        if version == LATEST:
            return function.latest
        if version not in function.versions:
            raise ResourceNotFoundError(f"Function not found: {function.arn}:{version}")
        return function.versions[version]

    def reserved_concurrency(self, *, but: str | None = None) -> int:
        """What all functions reserve, ``but`` one of them."""
        with self.lock:
            other = self.function(but) if but else None
            return sum(f.reserved_concurrency or 0 for f in self._functions.values() if f is not other)

    def set_reserved_concurrency(self, name: str, limit: int | None) -> None:
        """How many invocations of a function may run at once; None: no limit."""
        with self.lock:
            self.function(name).reserved_concurrency = limit

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a function, to read and to change."""
        return self.function(arn).tags

    # helpers

    def _replace_latest(self, function: Function, latest: FunctionVersion) -> FunctionVersion:
        before, function.latest = function.latest, latest
        self.on_latest_changed(before)
        return latest

    def _arn(self, name: str, qualifier: str | None = None) -> str:
        arn = f"arn:aws:lambda:{self._region}:{self._account_id}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn


def expect_revision(current: str, expected: str | None) -> None:
    """Check the RevisionId of a call.

    Raises
    ------
    PreconditionFailedError
        When one was given and it is not the current one.
    """
    if expected and expected != current:
        raise PreconditionFailedError(
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API "
            "to retrieve the latest RevisionId"
        )
