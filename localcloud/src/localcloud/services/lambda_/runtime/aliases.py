"""Aliases of functions, and the weights between two versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.services.lambda_.runtime.exceptions import (
    InvalidParameterValueError,
    ResourceConflictError,
    ResourceNotFoundError,
)
from localcloud.services.lambda_.runtime.functions import LATEST, Alias, Function, new_revision
from localcloud.services.lambda_.runtime.store import FunctionStore, expect_revision

_ALIAS = re.compile(r"(?!^[0-9]+$)([a-zA-Z0-9-_]{1,128})\Z")


class AliasStore:
    """Every method takes the parameters of the API call of its name."""

    def __init__(self, functions: FunctionStore) -> None:
        self._functions = functions

    def create_alias(self, function_name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Make an alias; its name must be free."""
        with self._functions.lock:
            function = self._functions.function(function_name)
            name = parameters["Name"]
            if not _ALIAS.match(name):
                raise InvalidParameterValueError(
                    f"{name!r} is not an alias name: use letters, digits, - and _, and not only digits"
                )
            if name in function.aliases:
                raise ResourceConflictError(f"Alias already exists: {function.arn}:{name}")
            weights = self._weights(function, parameters["FunctionVersion"], parameters.get("RoutingConfig"))
            self._functions.version_of(function, parameters["FunctionVersion"])
            alias = Alias(
                name, parameters["FunctionVersion"], parameters.get("Description") or "", weights, new_revision()
            )
            function.aliases[name] = alias
            return alias.document(function.arn)

    def update_alias(self, function_name: str, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is given; weights that are not given stay."""
        with self._functions.lock:
            function = self._functions.function(function_name)
            alias = self._alias(function, name)
            expect_revision(alias.revision_id, parameters.get("RevisionId"))
            target = parameters.get("FunctionVersion") or alias.function_version
            self._functions.version_of(function, target)
            weights = alias.weights
            if parameters.get("RoutingConfig") is not None:
                weights = self._weights(function, target, parameters["RoutingConfig"])
            elif target in weights:
                raise InvalidParameterValueError(f"Version {target} is already in the routing configuration")
            description = parameters.get("Description")
            changed = Alias(
                name, target, alias.description if description is None else description, weights, new_revision()
            )
            function.aliases[name] = changed
            return changed.document(function.arn)

    def delete_alias(self, function_name: str, name: str) -> None:
        """Delete an alias; one that is gone already is fine."""
        with self._functions.lock:
            self._functions.function(function_name).aliases.pop(name, None)

    def get_alias(self, function_name: str, name: str) -> dict[str, Any]:
        """An alias as the API describes it."""
        with self._functions.lock:
            function = self._functions.function(function_name)
            return self._alias(function, name).document(function.arn)

    def list_aliases(self, function_name: str, version: str | None) -> list[dict[str, Any]]:
        """All aliases of a function, or those that lead to one version."""
        with self._functions.lock:
            function = self._functions.function(function_name)
            return [
                alias.document(function.arn)
                for alias in function.aliases.values()
                if version is None or version in (alias.function_version, *alias.weights)
            ]

    def _alias(self, function: Function, name: str) -> Alias:
        if name not in function.aliases:
            raise ResourceNotFoundError(f"Cannot find alias arn: {function.arn}:{name}")
        return function.aliases[name]

    def _weights(self, function: Function, primary: str, routing: Mapping[str, Any] | None) -> Mapping[str, float]:
        weights = dict((routing or {}).get("AdditionalVersionWeights") or {})
        if len(weights) > 1:
            raise InvalidParameterValueError("An alias can have at most one additional version")
        for version, weight in weights.items():
            if not 0.0 <= weight <= 1.0:
                raise InvalidParameterValueError(f"The weight of version {version} is {weight}: must be in 0 to 1")
            if LATEST in (version, primary):
                raise InvalidParameterValueError(
                    "$LATEST is not supported in an alias that points to more than 1 version"
                )
            if version == primary:
                raise InvalidParameterValueError(f"Version {version} is the alias's own version")
            self._functions.version_of(function, version)
        return {version: float(weight) for version, weight in weights.items()}
