"""Writes the registry: no other function may. Callers are told apart by the alias they invoke."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from everloop.environment import required_setting
from everloop.registry.store import RegistryStore
from everloop.registry.writer import answer, caller_of

logger = Logger(service="registry")


@cache
def store_for(caller: str) -> RegistryStore:
    """The store that writes what ``caller`` asks for, from this process's environment; made at its first command."""
    table = required_setting(os.environ, "EVERLOOP_TABLE")
    model = required_setting(os.environ, "EVERLOOP_MODEL")
    return RegistryStore(boto3.client("dynamodb"), table, model, via=caller)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Carry out one command. A refusal is an answer; whatever is raised here is a failure."""
    caller = caller_of(context.invoked_function_arn)
    answered = answer(event, caller, store_for)
    logger.info("registry", caller=caller, command=event, answer=answered)
    return answered
