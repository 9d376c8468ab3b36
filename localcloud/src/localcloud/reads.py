"""Reads that moto fails on where AWS answers that there is nothing of that name, or that the request is not right."""

from __future__ import annotations

import re
from functools import cache
from types import TracebackType
from typing import cast

import botocore.session
from botocore.model import OperationModel, StructureShape

_READS = re.compile(r"(Get|List|Describe|BatchGet|Search|Lookup|Query|Scan|Head)[A-Z]|(GET|HEAD) ")
_NOTHING = re.compile(r"NotFound|NotExist|NoSuch|Unknown(?!Operation)")
_CLIENTS = {"states": "stepfunctions", "monitoring": "cloudwatch"}
"""What botocore calls services that are signed for under another name."""

FAILURES = (LookupError, AttributeError, TypeError, ValueError)
"""What code raises that looks for what is not there, or takes apart what is no ARN."""


def is_left_unanswered(action: str, error: BaseException) -> bool:
    """Whether an error is moto's own, in a request that only reads. What this project raises is its fault, and told."""
    return bool(_READS.match(action)) and isinstance(error, FAILURES) and _raised_in_moto(error.__traceback__)


def code_of_nothing(service: str, action: str) -> str:
    """The error by which an action says that what it was asked for is not there: the first one that it declares."""
    operation = _operation(_CLIENTS.get(service, service), action)
    declared = [] if operation is None else operation.error_shapes
    found = next((shape for shape in declared if _NOTHING.search(shape.name)), None)
    return str(cast(StructureShape, found).error_code) if found is not None else "ValidationException"


@cache
def _operation(service: str, action: str) -> OperationModel | None:
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return None
    model = session.get_service_model(service)
    return model.operation_model(action) if action in model.operation_names else None


def _raised_in_moto(traceback: TracebackType | None) -> bool:
    """Whether moto's code, and none of this project's below it, was under way."""
    deepest = ""
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__"))
        if name.partition(".")[0] in ("moto", "localcloud"):
            deepest = name
        traceback = traceback.tb_next
    return deepest.startswith("moto.")
