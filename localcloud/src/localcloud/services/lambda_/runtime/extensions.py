"""The Lambda Extensions API (version 2020-01-01) of one worker, for internal extensions.

An internal extension is a thread of the runtime's process. It registers while the function initialises, asks for its
next event, and so says that it has done with the last one: an environment is not frozen, and gets no other event,
before the runtime and every extension that wants events of this kind have asked. External extensions are programs of a
layer's ``extensions`` folder, which are not started here.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html; the errors are those of AWS's own
Runtime Interface Emulator.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

PREFIX = "/2020-01-01/extension"
MOST = 10
"""Extensions of one environment."""

_CALLS = {
    ("POST", f"{PREFIX}/register"): "register",
    ("GET", f"{PREFIX}/event/next"): "next",
    ("POST", f"{PREFIX}/init/error"): "init_error",
    ("POST", f"{PREFIX}/exit/error"): "exit_error",
}
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Connection = TypeVar("Connection")
"""What an answer goes back by."""

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


class ExtensionFailedError(RuntimeError):
    """An extension said that it can't go on; ``kind`` is Lambda's type of the error."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


@dataclass
class _Extension(Generic[Connection]):
    name: str
    events: tuple[str, ...]
    waiting: Connection | None = None
    asked: bool = False


def call_of(method: str, path: str) -> str | None:
    """Which call of this API a request is; None where it is none."""
    return _CALLS.get((method, path.partition("?")[0]))


class Extensions(Generic[Connection]):
    """The extensions of one environment, between their calls.

    Parameters
    ----------
    facts : mapping
        What a registration is told: ``functionName``, ``functionVersion``, ``handler``.
    """

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._facts = dict(facts)
        self._registered: dict[str, _Extension[Connection]] = {}
        self._open = True

    @property
    def want_invocations(self) -> bool:
        """Whether any is told of invocations, so that each of these lasts until it has done."""
        return any("INVOKE" in extension.events for extension in self._registered.values())

    @property
    def are_ready(self) -> bool:
        """Whether all have asked for their next event: the environment has done with the last one."""
        return all(extension.asked for extension in self._registered.values())

    def close_registration(self) -> None:
        """The runtime has asked for its first event: it is too late for another extension."""
        self._open = False

    def take(self, call: str, headers: Mapping[str, str], body: bytes, connection: Connection) -> Answer | None:
        """Take a call; None where the answer comes with an event.

        Raises
        ------
        ExtensionFailedError
            After ``init/error`` and ``exit/error``; the call is to be answered with :data:`OK` first.
        """
        if call == "register":
            return self._register(headers, body)
        identifier = headers.get("lambda-extension-identifier", "")
        if not identifier:
            return _refused("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        if not _IDENTIFIER.fullmatch(identifier):
            return _refused("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        extension = self._registered.get(identifier.lower())
        if extension is None:
            return _refused("Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")
        if call == "next":
            extension.waiting, extension.asked = connection, True
            return None
        kind = headers.get("lambda-extension-function-error-type", "")
        if not kind:
            return _refused("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        raise ExtensionFailedError(kind, f"{extension.name}: {kind}")

    def invoke(self, send: Callable[[Connection, Answer], None], event: Mapping[str, Any]) -> None:
        """Tell those that want to know of an invocation; ``event`` is what ``INVOKE`` carries beside its name."""
        document = json.dumps({"eventType": "INVOKE", **event}).encode()
        for extension in self._registered.values():
            if "INVOKE" in extension.events and extension.waiting is not None:
                connection, extension.waiting, extension.asked = extension.waiting, None, False
                send(connection, (200, {"Lambda-Extension-Event-Identifier": str(uuid.uuid4())}, document))

    def _register(self, headers: Mapping[str, str], body: bytes) -> Answer:
        name = headers.get("lambda-extension-name", "")
        if not name:
            return _refused("Extension.InvalidExtensionName", "Empty extension name")
        try:
            document = json.loads(body)
            events = tuple(document.get("events") or ())
        except (ValueError, AttributeError, TypeError) as error:
            return _refused("InvalidRequestFormat", str(error))
        for event in events:
            if event == "SHUTDOWN":
                message = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
                return _refused("Extension.InvalidEventType", message)
            if event != "INVOKE":
                return _refused("Extension.InvalidEventType", f"{event}: InvalidEventType")
        if not self._open:
            return _refused("Extension.RegistrationClosed", "Extension registration closed already")
        if any(extension.name == name for extension in self._registered.values()):
            return _refused("Extension.InvalidExtensionState", "Extension with this name already registered")
        if len(self._registered) >= MOST:
            return _refused("Extension.TooManyExtensions", f"Extension limit ({MOST}) reached")
        identifier = str(uuid.uuid4())
        self._registered[identifier] = _Extension(name, events)
        return 200, {"Lambda-Extension-Identifier": identifier}, json.dumps(self._facts).encode()


def _refused(kind: str, message: str) -> Answer:
    return 403, {}, json.dumps({"errorMessage": message, "errorType": kind}).encode()


OK: Answer = (202, {}, b'{"status":"OK"}\n')
