"""What moto imports and nothing here has use for is left out: EC2 and OpenAPI documents are refused.

moto reads tables of EC2 instance types when Systems Manager is imported, 56 MB of small objects, and botocore's model
of EC2 three times for a list of regions. API Gateway imports a validator of OpenAPI documents, which imports JSON
schemas and more. That is two fifths of a start. Obsolete once moto does so when asked.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3

_TABLES = "ec2/resources/instance_type"
_VALIDATOR = "openapi_spec_validator"


def leave_out() -> None:
    """Import moto's EC2 and API Gateway without these, unless they are imported already."""
    if "moto.ec2.models" not in sys.modules:
        with _empty_tables(), _regions_of_a_small_service():
            importlib.import_module("moto.ec2.models")
    if "moto.apigateway.models" not in sys.modules and _VALIDATOR not in sys.modules:
        with _no_validator():
            importlib.import_module("moto.apigateway.models")


@contextlib.contextmanager
def _empty_tables() -> Iterator[None]:
    utils: Any = importlib.import_module("moto.utilities.utils")
    original = utils.load_resource

    def load_resource(filename: str) -> Any:
        return {} if filename.startswith(_TABLES) else original(filename)

    utils.load_resource = load_resource
    try:
        yield
    finally:
        utils.load_resource = original


@contextlib.contextmanager
def _regions_of_a_small_service() -> Iterator[None]:
    """The regions of EC2 are those of STS, whose model is small."""
    session: Any = boto3.Session
    original = session.get_available_regions

    def get_available_regions(self: Any, service_name: str, *more: Any, **named: Any) -> list[str]:
        regions: list[str] = original(self, "sts" if service_name == "ec2" else service_name, *more, **named)
        return regions

    session.get_available_regions = get_available_regions
    try:
        yield
    finally:
        session.get_available_regions = original


@contextlib.contextmanager
def _no_validator() -> Iterator[None]:
    """Modules of the validator's names, with what API Gateway takes from them; afterwards they are as before."""
    names = (_VALIDATOR, f"{_VALIDATOR}.validation", f"{_VALIDATOR}.validation.exceptions")
    stood_in = {name: ModuleType(name) for name in names}
    vars(stood_in[_VALIDATOR])["validate"] = _refuse
    vars(stood_in[names[-1]])["OpenAPIValidationError"] = ValueError
    sys.modules.update(stood_in)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _refuse(*_: object) -> None:
    raise NotImplementedError("OpenAPI documents are not executed")
