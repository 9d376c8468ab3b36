"""A Lambda alias as the place where versions serve.

What serves a version is a *published* function version: code, layers and an environment that names the
artefact with its hash, all frozen. The alias says which of them answers, and shares out requests between two.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

from botocore.exceptions import ClientError

from everloop.instants import to_epoch_ms
from everloop.names import UNSEEN, ModelNames
from everloop.rollout.container_place import serves
from everloop.rollout.exceptions import AliasContendedError, AliasNotPinnedError, FunctionNotReadyError
from everloop.rollout.targets import (
    AskedAnswer,
    Published,
    Question,
    RolloutTarget,
    ServedArtifact,
    TargetKind,
    TargetPlace,
    TrafficState,
)
from everloop.serving.standby import STANDBY_VARIABLE
from everloop.typed_json import JsonObject

LATEST = "$LATEST"
MARK = "everloop "
"""How descriptions of the function versions begin that a rollout published."""

VERSION_VARIABLE = "EVERLOOP_VERSION"
PREFIX_VARIABLE = "EVERLOOP_ARTIFACT_PREFIX"
MANIFEST_VARIABLE = "EVERLOOP_MANIFEST_SHA256"
CALIBRATION_VARIABLE = "EVERLOOP_CALIBRATION"
SIGNER_VARIABLE = "EVERLOOP_SIGNER"
ENDPOINT_VARIABLE = "EVERLOOP_ENDPOINT"
"""Names the SageMaker endpoint that a function version passes its requests to, where it does."""

_FROZEN = (
    "CodeSha256",
    "Runtime",
    "Handler",
    "Role",
    "MemorySize",
    "Timeout",
    "Architectures",
    "EphemeralStorage",
    "TracingConfig",
    "VpcConfig",
    "KMSKeyArn",
)
"""What besides environment and layers makes two function versions the same."""

_STATES = {"State", "LastUpdateStatus"}
_ATTEMPTS = 5
_READY_POLLS = 240
_POLL_SECONDS = 0.5
_CONTENDED = frozenset({"PreconditionFailedException", "ResourceConflictException"})


def variables(artifact: ServedArtifact) -> dict[str, str]:
    """The environment variables that make the function serve an artifact."""
    return {
        VERSION_VARIABLE: str(artifact.version),
        PREFIX_VARIABLE: artifact.prefix,
        MANIFEST_VARIABLE: artifact.manifest_sha256,
        CALIBRATION_VARIABLE: artifact.calibration,
        **({SIGNER_VARIABLE: artifact.signer} if artifact.signer else {}),
    }


NO_ARTIFACT = {VERSION_VARIABLE: "", PREFIX_VARIABLE: "", MANIFEST_VARIABLE: "", CALIBRATION_VARIABLE: ""}
"""The environment of a function that has nothing to serve and says so."""

_OF_VERSION = frozenset({*NO_ARTIFACT, SIGNER_VARIABLE, STANDBY_VARIABLE, ENDPOINT_VARIABLE})
"""What differs between function versions of the same code."""


class LambdaAliasTarget:
    """One function behind one alias. Every method may be repeated.

    Parameters
    ----------
    client
        A boto3 ``lambda`` client.
    function, alias : str
        Their names.
    pause : callable
        Waits the given seconds between polls.
    """

    def __init__(self, client: Any, *, function: str, alias: str, pause: Callable[[float], None] = time.sleep) -> None:
        self.client = client
        self.function = function
        self.alias = alias
        self._pause = pause

    def current(self) -> TrafficState:
        """Where the alias points."""
        answer = self.client.get_alias(FunctionName=self.function, Name=self.alias)
        weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        candidate, weight = next(iter(weights.items()), (None, 0.0))
        primary, percent = answer["FunctionVersion"], round(float(weight) * 100, 6)
        return TrafficState(primary, candidate, percent, primary != LATEST, answer.get("RevisionId"))

    def idle(self) -> str:
        """Point the alias at a published version that has nothing to serve; return which.

        A fresh alias points at ``$LATEST``, which would serve a candidate the moment its environment is set, and
        takes no weights.
        """
        latest = self._ready(LATEST)
        empty = self._publish({**NO_ARTIFACT, **_left(latest)}, f"{MARK}without a champion", latest)
        self.settle(empty.lambda_version)
        return empty.lambda_version

    def passing_on(self, endpoint: str) -> str:
        """A published version that passes requests on to that endpoint, or, without a name, serves nothing; its number.

        It reaches nobody yet, and changes nothing for whoever asks the alias.

        Raises
        ------
        FunctionNotReadyError
            When the function does not become ready.
        """
        return self.publish_passing_on(endpoint).lambda_version

    def publish_passing_on(self, endpoint: str) -> Published:
        """As :meth:`passing_on`, with the function version's code and layers."""
        where = f"{MARK}for endpoint {endpoint}" if endpoint else f"{MARK}without a champion"
        latest = self._ready(LATEST)
        named = {**NO_ARTIFACT, **_left(latest), ENDPOINT_VARIABLE: endpoint}
        return self._publish(named, where, latest)

    def passes_on_to(self, lambda_version: str) -> str:
        """The endpoint that a published version passes requests on to; empty for none."""
        found = self._find(lambda_version)
        return _passed_on_to(found) if found else ""

    def endpoints_passed_on_to(self) -> set[str]:
        """The endpoints that any published version passes requests on to."""
        return {endpoint for found in self._published() if (endpoint := _passed_on_to(found))}

    def publish(self, artifact: ServedArtifact) -> Published:
        """Publish a function version that serves ``artifact`` with the code and layers of ``$LATEST``.

        An existing version that is the same in every frozen respect is used again.

        Raises
        ------
        AliasNotPinnedError
            While the alias points at ``$LATEST``: it would serve the candidate at once.
        FunctionNotReadyError
            When the function does not become ready.
        """
        if not self.current().pinned:
            raise AliasNotPinnedError(f"{self.function}:{self.alias} points at {LATEST}; call idle() first")
        return self._publish_artifact(artifact, self._ready(LATEST))

    def publish_like(self, artifact: ServedArtifact, lambda_version: str) -> Published | None:
        """As :meth:`publish`, if ``$LATEST`` has the code, layers and settings of that version; else None.

        ``$LATEST`` is asked for once: an account may make few calls a second to Lambda's API, for all of its models.
        """
        if not self.current().pinned:
            return None
        latest = self._like(lambda_version)
        return None if latest is None else self._publish_artifact(artifact, latest)

    def shift(self, *, primary: str, candidate: str, percent: float) -> None:
        """Send ``percent`` of the requests to ``candidate``, the rest to ``primary``."""
        self._point(primary, {candidate: percent / 100})

    def holds(self, lambda_version: str, artifact: ServedArtifact | None = None) -> bool:
        """Whether there is that published version, and whether it serves ``artifact`` where one is named.

        One that passes requests on to an endpoint of one version serves what that does: the endpoint's name says it.
        """
        found = self._find(lambda_version)
        if found is None:
            return False
        if artifact is None:
            return True
        own = _variables(found)
        if endpoint := _passed_on_to(found):
            return serves(endpoint, artifact)
        # A function version of before there were calibrations has no variable for one.
        wanted = {SIGNER_VARIABLE: "", **variables(artifact)}
        return all(own.get(name, "") == value for name, value in wanted.items())

    def settle(self, lambda_version: str, *, only_if: Callable[[], bool] | None = None) -> bool:
        """Send every request to one version; return whether that changed anything.

        ``only_if`` is asked after the alias was read, and the alias's revision makes sure that it is moved as it was
        read: so nobody's move in between is undone.
        """
        return self._point(lambda_version, {}, only_if)

    def unchanged_since(self, lambda_version: str) -> bool:
        """Whether ``$LATEST`` has the code, layers and settings of that version, but for the artefact.

        One that passes requests on to an endpoint is another: only a rollout moves a model.
        """
        return self._like(lambda_version) is not None

    def code_unchanged_since(self, lambda_version: str) -> bool:
        """Whether ``$LATEST`` has the code, layers and settings of that version, whatever it serves or passes on to."""
        return self._like(lambda_version, passing_on=True) is not None

    def delete(self, lambda_version: str) -> bool:
        """Delete a published version; return whether there was one."""
        try:
            self.client.delete_function(FunctionName=self.function, Qualifier=lambda_version)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return False
        return True

    def prune(self, keep: set[str]) -> list[str]:
        """Delete the versions rollouts published that are neither in ``keep`` nor behind the alias."""
        state = self.current()
        kept = keep | {state.primary, state.candidate, LATEST}
        published = [v for v in self._published() if v.get("Description", "").startswith(MARK)]
        unused = [v["Version"] for v in published if v["Version"] not in kept]
        return [number for number in unused if self.delete(number)]

    def release(self, lambda_version: str) -> None:
        """Nothing to do: a function version that nobody asks costs nothing."""

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        """Invoke one function version as the HTTP API would, with the mark that nothing is captured or counted."""
        path = ModelNames(question.model).path("predictions")
        event = {
            "version": "2.0",
            "routeKey": f"POST {path}",
            "rawPath": path,
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "requestId": question.request_id,
                "timeEpoch": to_epoch_ms(question.at),
                "http": {"method": "POST", "path": path},
            },
            "body": question.body,
            "isBase64Encoded": False,
            UNSEEN: True,
        }
        answer = self.client.invoke(
            FunctionName=self.function, Qualifier=lambda_version, Payload=json.dumps(event).encode()
        )
        payload = answer["Payload"].read()
        reply = json.loads(payload)
        if answer.get("FunctionError"):  # it crashed, or took longer than it may: what the service says of that
            return AskedAnswer(500, {"error": {"code": reply.get("errorType"), "message": reply.get("errorMessage")}})
        body = base64.b64decode(reply["body"]) if reply.get("isBase64Encoded") else reply["body"]
        return AskedAnswer(int(reply["statusCode"]), json.loads(body))

    def describe(self, published: Published) -> dict[str, str]:
        """Function, alias and function version."""
        return {
            "kind": "lambda_alias",
            "function": self.function,
            "alias": self.alias,
            "lambda_version": published.lambda_version,
            "code_sha256": published.code_sha256,
        }

    def _like(self, lambda_version: str, *, passing_on: bool = False) -> _Configuration | None:
        """``$LATEST``, if it differs from that version in nothing but the artefact."""
        published = self._find(lambda_version)
        if published is None or (_passed_on_to(published) and not passing_on):
            return None
        latest = self._ready(LATEST)
        alike = _identity(latest, _beside_artifact(latest)) == _identity(published, _beside_artifact(published))
        return latest if alike else None

    def _publish_artifact(self, artifact: ServedArtifact, latest: _Configuration) -> Published:
        unsigned = {name: "" for name in (SIGNER_VARIABLE,) if name in _variables(latest)}
        named = {**unsigned, **variables(artifact), **_standing_by(artifact, latest)}
        return self._publish(named, f"{MARK}version {artifact.version}", latest)

    def _publish(self, variables: dict[str, str], description: str, latest: _Configuration) -> Published:
        environment = {**(latest.get("Environment") or {}).get("Variables", {}), **variables}
        wanted = _identity(latest, environment)
        for existing in self._published():
            if _identity(existing) == wanted:
                return _published(self._ready(existing["Version"]))
        if (latest.get("Environment") or {}).get("Variables", {}) != environment:
            changed = self._change(
                self.client.update_function_configuration, Environment={"Variables": environment}, **_revision(latest)
            )
            latest = self._ready(LATEST, changed)
        # Code hash and revision make sure that what is published is what was just configured.
        answer = self._change(
            self.client.publish_version,
            CodeSha256=latest["CodeSha256"],
            Description=description,
            **_revision(latest),
        )
        published = self._ready(answer["Version"], answer)
        if _identity(published) != wanted:
            raise FunctionNotReadyError(
                f"{self.function}:{published['Version']} is not the version to publish: someone changed the"
                " function meanwhile; start the rollout again"
            )
        return _published(published)

    def _change(self, call: Callable[..., _Configuration], **parameters: Any) -> _Configuration:
        """Change the function, unless somebody else does so at this moment: a deployment, or an earlier try."""
        try:
            return call(FunctionName=self.function, **parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CONTENDED:
                raise
            raise FunctionNotReadyError(
                f"{self.function} is being changed by someone else: {error}; start the rollout again"
            ) from error

    def _point(self, primary: str, weights: dict[str, float], only_if: Callable[[], bool] | None = None) -> bool:
        for attempt in range(_ATTEMPTS):
            state = self.current()
            if only_if is not None and not only_if():
                return False
            standing = {state.candidate: state.percent / 100} if state.candidate else {}
            if state.primary == primary and standing == weights:
                return attempt > 0
            try:
                self.client.update_alias(
                    FunctionName=self.function,
                    Name=self.alias,
                    FunctionVersion=primary,
                    RoutingConfig={"AdditionalVersionWeights": weights},
                    **({"RevisionId": state.revision} if state.revision else {}),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _CONTENDED:
                    raise
                self._pause(_POLL_SECONDS)
                continue
            return True
        raise AliasContendedError(
            f"{self.function}:{self.alias} was changed by someone else {_ATTEMPTS} times in a row; find out who"
            " changes it, then try again"
        )

    def _find(self, lambda_version: str) -> _Configuration | None:
        """The configuration of a published version; None when there is none."""
        try:
            return self._configuration(lambda_version)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None

    def _configuration(self, qualifier: str) -> _Configuration:
        found: _Configuration = self.client.get_function_configuration(FunctionName=self.function, Qualifier=qualifier)
        return found

    def _ready(self, qualifier: str, told: _Configuration | None = None) -> _Configuration:
        """The configuration of ``$LATEST`` or a version, once it is active and its last update is through.

        ``told`` is what an answer just said of it, which is not asked for again where that says so.
        """
        reason = ""
        told = told if told and told.keys() >= _STATES else None
        for _ in range(_READY_POLLS):
            found, told = told or self._configuration(qualifier), None
            state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
            if state in ("Active", "Inactive") and update == "Successful":
                return found
            reason = f"{state}, last update {update}: {found.get('LastUpdateStatusReason', 'no reason given')}"
            if "Failed" in (state, update):
                break
            self._pause(_POLL_SECONDS)
        raise FunctionNotReadyError(f"{self.function}:{qualifier} is {reason}")

    def _published(self) -> Iterator[_Configuration]:
        pages = self.client.get_paginator("list_versions_by_function").paginate(FunctionName=self.function)
        for page in pages:
            yield from (v for v in page["Versions"] if v["Version"] != LATEST)


class _Variables(TypedDict, total=False):
    Variables: dict[str, str]


class _Layer(TypedDict):
    Arn: str


class _Configuration(TypedDict, total=False):
    """What is read of the configuration of a function version."""

    Version: str
    CodeSha256: str
    RevisionId: str
    Description: str
    State: str
    LastUpdateStatus: str
    LastUpdateStatusReason: str
    Environment: _Variables | None
    Layers: list[_Layer] | None


def _variables(configuration: _Configuration) -> dict[str, str]:
    environment = configuration.get("Environment")
    return environment.get("Variables", {}) if environment else {}


def _passed_on_to(configuration: _Configuration) -> str:
    own = _variables(configuration)
    return "" if own.get(VERSION_VARIABLE) else own.get(ENDPOINT_VARIABLE, "")


def _identity(configuration: _Configuration, environment: dict[str, str] | None = None) -> JsonObject:
    own = _variables(configuration)
    layers = [layer["Arn"] for layer in configuration.get("Layers") or []]
    frozen = {name: configuration.get(name) or None for name in _FROZEN}
    return {**frozen, "layers": layers, "environment": own if environment is None else environment}


def _beside_artifact(configuration: _Configuration) -> dict[str, str]:
    own = _variables(configuration)
    return {name: value for name, value in own.items() if name not in _OF_VERSION}


def _standing_by(artifact: ServedArtifact, latest: _Configuration) -> dict[str, str]:
    """The variable of what stands by: where there is such a thing, or the function still has that of another."""
    if artifact.standby is not None:
        return {STANDBY_VARIABLE: artifact.standby.to_text()}
    return {STANDBY_VARIABLE: ""} if STANDBY_VARIABLE in _variables(latest) else {}


def _left(latest: _Configuration) -> dict[str, str]:
    """What the code still knows of an endpoint where the model was, of a signer and of what stood by, emptied."""
    emptied = (ENDPOINT_VARIABLE, SIGNER_VARIABLE, STANDBY_VARIABLE)
    return {name: "" for name in emptied if name in _variables(latest)}


def _published(configuration: _Configuration) -> Published:
    layers = tuple(layer["Arn"] for layer in configuration.get("Layers") or [])
    return Published(configuration["Version"], configuration["CodeSha256"], layers)


def _revision(configuration: _Configuration) -> dict[str, str]:
    revision = configuration.get("RevisionId")
    return {"RevisionId": revision} if revision else {}


class LambdaAliases:
    """Makes the target of a Lambda alias."""

    def open(self, client: Callable[..., Any], place: TargetPlace) -> RolloutTarget:
        """The alias of the place's function."""
        return LambdaAliasTarget(client("lambda"), function=place.function, alias=place.alias)


TARGET: TargetKind = LambdaAliases()
