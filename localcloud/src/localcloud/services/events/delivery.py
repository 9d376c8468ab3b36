"""Brings events to targets, as EventBridge and its Scheduler do: later, under the right identity, once.

A target under a role is called with the role's credentials. One without is called in the service's name,
when the target's own policy lets the service in. A delivery that fails goes to the dead-letter queue, or to
the log of the local cloud; it is not tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.core.context import CloudContext
from localcloud.iam.identities import UnknownRoleError
from localcloud.iam.policy import AccessRequest, PolicyError, Principal, decide_for_principal
from localcloud.iam.roles import RoleNotAssumableError, role_credentials

LOG = logging.getLogger(__name__)
_THREADS = 8


class DeliveryError(Exception):
    """A delivery that failed: the service's error code, and what it said."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Sender:
    """Who delivers: ``events.amazonaws.com`` for a rule, ``scheduler.amazonaws.com`` for a schedule.

    A schedule's role also sends to the dead-letter queue (``buries_by_role``); a rule's does not, there the
    queue's policy must let the service in. A role sees ``role_source_arn`` as ``aws:SourceArn`` when it is assumed,
    and ``source_arn`` where nothing else is given.
    """

    principal: str
    source_arn: str
    role_arn: str | None
    dead_letter_arn: str | None
    buries_by_role: bool
    role_source_arn: str | None = None
    dead_letter_attributes: dict[str, str] = field(default_factory=dict)


class Courier:
    """Delivers in threads of its own; each delivery holds an activity token from when it is asked for.

    With one thread, deliveries are made in the order they were asked for.
    """

    def __init__(self, context: CloudContext, threads: int = _THREADS) -> None:
        self._context = context
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="deliver")
        self._operator: dict[str, Any] = {}

    def deliver(self, sender: Sender, target_arn: str, send: Callable[[Sends], None], body: str) -> None:
        """Do ``send`` later; ``body`` is what goes to the dead-letter queue when it fails."""
        label = f"delivery {sender.source_arn.rsplit(':', 1)[-1]}"
        self._context.activity.enter(label)

        def work() -> None:
            try:
                self._attempt(sender, target_arn, send, body)
            except Exception:
                LOG.exception("delivery from %s to %s failed in the local cloud", sender.source_arn, target_arn)
            finally:
                self._context.activity.leave(label)

        self._threads.submit(work)

    def _attempt(self, sender: Sender, target_arn: str, send: Callable[[Sends], None], body: str) -> None:
        try:
            send(Sends(self._context, sender, self._client))
            return
        except DeliveryError as error:
            code, message = error.code, str(error)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        except (UnknownRoleError, RoleNotAssumableError) as error:
            code, message = "AccessDenied", str(error)
        except (BotoCoreError, ValueError) as error:
            code, message = "SDK_CLIENT_ERROR", str(error)
        LOG.warning("%s could not deliver to %s: %s: %s", sender.source_arn, target_arn, code, message)
        if sender.dead_letter_arn:
            self._bury(sender, target_arn, body, code, message)

    def _bury(self, sender: Sender, target_arn: str, body: str, code: str, message: str) -> None:
        attributes = {
            **sender.dead_letter_attributes,
            "TARGET_ARN": target_arn,
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message or code,
        }
        undertaker = sender if sender.buries_by_role else replace(sender, role_arn=None)
        queue = Sends(self._context, undertaker, self._client)
        queue.sqs(
            sender.dead_letter_arn or "",
            body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value[:1024]} for name, value in attributes.items()
            },
        )

    def _client(self, service: str) -> Any:
        if service not in self._operator:
            self._operator[service] = self._context.client(service)
        return self._operator[service]


class Sends:
    """The calls a delivery can make, for one sender."""

    def __init__(self, context: CloudContext, sender: Sender, operator_client: Callable[[str], Any]) -> None:
        self._context = context
        self._sender = sender
        self._operator_client = operator_client

    def require(self, arn: str) -> None:
        """Check that a function, a queue or a topic is there and lets the sender in.

        Raises
        ------
        DeliveryError
        """
        service = arn.split(":")[2]
        try:
            if service == "lambda":
                self._operator_client("lambda").get_function(FunctionName=arn)
                self._require_permission(self._function_policy(arn), "lambda:InvokeFunction", arn)
            elif service == "sqs":
                url = self._operator_client("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
                self._require_permission(self._queue_policy(url), "sqs:SendMessage", arn)
            elif service == "sns":
                self._require_permission(self._topic_policy(arn), "sns:Publish", arn)
            else:
                raise DeliveryError(
                    "NO_PERMISSIONS", f"{service} is not a supported target: use functions, queues or topics"
                )
        except ClientError as error:
            raise DeliveryError(error.response["Error"]["Code"], error.response["Error"].get("Message", "")) from error

    def lambda_function(self, arn: str, payload: str) -> None:
        """Invoke a function asynchronously."""
        client = self._client("lambda", lambda: self._function_policy(arn), "lambda:InvokeFunction", arn)
        client.invoke(FunctionName=arn, InvocationType="Event", Payload=payload.encode())

    def state_machine(self, arn: str, document: str) -> None:
        """Start an execution, which needs a role."""
        if self._sender.role_arn is None:
            raise DeliveryError("NO_PERMISSIONS", f"{arn}: a state machine is started with a role: set RoleArn")
        self._client("stepfunctions").start_execution(stateMachineArn=arn, input=document)

    def sqs(self, arn: str, body: str, **parameters: Any) -> None:
        """Send a message."""
        url = self._operator_client("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        client = self._client("sqs", lambda: self._queue_policy(url), "sqs:SendMessage", arn)
        client.send_message(QueueUrl=url, MessageBody=body, **parameters)

    def sns(self, arn: str, message: str) -> None:
        """Publish a message."""
        client = self._client("sns", lambda: self._topic_policy(arn), "sns:Publish", arn)
        client.publish(TopicArn=arn, Message=message)

    def log_group(self, arn: str, message: str, stream: str) -> None:
        """Write one log event to a stream of its own."""
        group = arn.split(":log-group:", 1)[-1].removesuffix(":*")
        resource = f"{arn.removesuffix(':*')}:*"
        client = self._client("logs", self._log_policies, "logs:PutLogEvents", resource)
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        now = round(self._context.clock.now().timestamp() * 1000)
        events = [{"timestamp": now, "message": message}]
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def event_bus(self, arn: str, source: str, detail_type: str, detail: str) -> None:
        """Put an event on a bus, which needs a role."""
        if self._sender.role_arn is None:
            raise DeliveryError("NO_PERMISSIONS", f"{arn}: a bus gets events with a role: set RoleArn")
        entry = {"EventBusName": arn, "Source": source, "DetailType": detail_type, "Detail": detail}
        answer = self._client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            failed = answer["Entries"][0]
            raise DeliveryError(failed["ErrorCode"], failed["ErrorMessage"])

    def _client(
        self,
        service: str,
        policies: Callable[[], list[str]] | None = None,
        action: str = "",
        resource: str = "",
    ) -> Any:
        if self._sender.role_arn is not None:
            sender, name = self._sender, self._sender.principal.split(".")[0]
            source = sender.role_source_arn or sender.source_arn
            credentials = role_credentials(self._context, self._sender.role_arn, name, sender.principal, source)
            return self._context.client(service, **credentials)
        self._require_permission(policies() if policies else [], action, resource)
        return self._operator_client(service)

    def _require_permission(self, policies: list[str], action: str, resource: str) -> None:
        context = {
            "aws:sourcearn": (self._sender.source_arn,),
            "aws:sourceaccount": (self._context.account_id,),
            "aws:securetransport": ("true",),
        }
        request = AccessRequest(action, resource, context)
        principal = Principal(service=self._sender.principal)
        try:
            decisions = [decide_for_principal(policy, principal, request) for policy in policies]
        except PolicyError as error:
            raise DeliveryError("NO_PERMISSIONS", f"{resource}: its policy can not be read: {error}") from error
        is_denied = any(decision.explicit_deny for decision in decisions)
        if is_denied or not any(decision.allowed for decision in decisions):
            raise DeliveryError(
                "NO_PERMISSIONS",
                f"{self._sender.principal} is not authorized to perform: {action} on resource: {resource} because "
                "its resource-based policy does not allow it",
            )

    def _function_policy(self, arn: str) -> list[str]:
        client = self._operator_client("lambda")
        base, qualifier = _split_function_arn(arn)
        more = {"Qualifier": qualifier} if qualifier else {}
        try:
            return [client.get_policy(FunctionName=base, **more)["Policy"]]
        except ClientError as error:
            # By its code: the client is shared, and threads may each get their own classes from its `exceptions`.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return []

    def _queue_policy(self, url: str) -> list[str]:
        attributes = self._operator_client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        policy = attributes.get("Attributes", {}).get("Policy")
        return [policy] if policy else []

    def _topic_policy(self, arn: str) -> list[str]:
        return [self._operator_client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]]

    def _log_policies(self) -> list[str]:
        policies = self._operator_client("logs").describe_resource_policies()["resourcePolicies"]
        return [policy["policyDocument"] for policy in policies]


def _split_function_arn(arn: str) -> tuple[str, str | None]:
    parts = arn.split(":")
    return ":".join(parts[:7]), parts[7] if len(parts) > 7 else None
