"""The registry function in this process: the real handler's work, behind an Invoke that carries JSON and may fail."""

from __future__ import annotations

import io
import json
from typing import Any

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from everloop.registry.commands import COMMANDS, MAY_SEND, CommandDocument
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.refusals import WriterAnswer
from everloop.registry.remote import RemoteRegistry, Send, invoking
from everloop.registry.store import RegistryStore
from everloop.registry.writer import answer, caller_of
from tests.fakes.audit_bucket import BUCKET, FakeAuditBucket
from tests.fakes.lambda_function import refusal
from tests.fakes.registry_table import TABLE

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"


class FakeRegistryFunction:
    """The part of the Lambda API that sends commands: ``invoke``, of one model's registry function.

    Attributes
    ----------
    client
        The function's DynamoDB client.
    audit_bucket
        Where it locks audit records.
    faults : list of str
        What happens to the next invocations: ``before`` (not sent), ``after`` (carried out, the answer lost),
        ``twice`` (carried out twice, the second answer counts), ``ended`` (carried out, ended before it answers),
        ``crashed`` (raises), ``throttled`` (not run), ``fine``.
    """

    def __init__(self, client: Any, model: str) -> None:
        self.client, self.model, self.audit_bucket = client, model, FakeAuditBucket()
        self.faults: list[str] = []
        self.invocations: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        fault = self.faults.pop(0) if self.faults else "fine"
        if fault == "before":
            raise EndpointConnectionError(endpoint_url="https://lambda")
        if fault == "throttled":
            raise refusal("TooManyRequestsException", "Rate Exceeded.", "Invoke")
        if fault == "crashed":
            return _failure({"errorType": "KeyError", "errorMessage": "'pk'"})
        for _ in range(2 if fault == "twice" else 1):
            answered = self._handle(ARN + FunctionName, json.loads(Payload))
        if fault == "after":
            raise ReadTimeoutError(endpoint_url="https://lambda")
        if fault == "ended":
            return _failure({"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 45.00 seconds"})
        return {"Payload": io.BytesIO(json.dumps(answered).encode())}

    def _handle(self, arn: str, event: dict[str, Any]) -> WriterAnswer:
        self.invocations.append((arn, event))

        def store_for(caller: str) -> RegistryStore:
            return RegistryStore(self.client, TABLE, self.model, via=caller, pause=lambda _: None)

        return answer(event, caller_of(arn), store_for, LockedAudit(self.audit_bucket, BUCKET, self.model))


def _failure(document: dict[str, str]) -> dict[str, Any]:
    return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(document).encode())}


def remote_registry(client: Any, model: str, *, function: FakeRegistryFunction | None = None) -> RemoteRegistry:
    """The registry as callers see it; each command goes by the alias of a caller that may send it."""
    function = function or FakeRegistryFunction(client, model)
    return RemoteRegistry(client, TABLE, model, send=by_its_caller(function))


def by_its_caller(function: FakeRegistryFunction) -> Send:
    """Sends each command to the alias of the caller that may send it, as if all of them were here."""

    def send(document: CommandDocument) -> WriterAnswer:
        kind = COMMANDS[str(document["command"])]
        caller = next(caller for caller, kinds in MAY_SEND.items() if kind in kinds)
        return invoking(function, f"everloop-{function.model}-registry:{caller}")(document)

    return send
