"""Routes of an HTTP API: which one answers a request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

DEFAULT = "$default"
_SEGMENT = re.compile(r"\{([A-Za-z0-9._:-]+)(\+?)\}\Z")


class RouteKeyError(ValueError):
    """A route key is malformed."""


@dataclass(frozen=True)
class Route:
    """One route, ready to match.

    Attributes
    ----------
    key : str
        ``POST /models/{model}``, ``ANY /x/{proxy+}`` or ``$default``.
    authorization : str
        ``NONE``, ``AWS_IAM`` or ``JWT``.
    integration_id : str
    authorizer_id, scopes : str, tuple of str
        Of a ``JWT`` route.
    """

    key: str
    authorization: str
    integration_id: str
    route_id: str = ""
    authorizer_id: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The method, ``ANY``, or empty for the default route."""
        return self.key.partition(" ")[0] if self.key != DEFAULT else ""

    @property
    def path(self) -> str:
        """The path template, or empty for the default route."""
        return self.key.partition(" ")[2]

    def rank(self) -> tuple[int, ...]:
        """Lower is more specific: static before variable segments before greedy ones, a method before ANY."""
        if self.key == DEFAULT:
            return (3,)
        segments = [_SEGMENT.match(segment) for segment in _segments(self.path)]
        greedy = any(match is not None and match[2] for match in segments)
        variables = tuple(0 if match is None else 1 for match in segments)
        return (2 if greedy else 1, -len(segments) if greedy else 0, *variables, 1 if self.method == "ANY" else 0)


class RouteTable:
    """All routes of an API, the most specific first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, _pattern(route)) for route in sorted(routes, key=Route.rank)]

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a request and its path parameters, decoded; None when there is none."""
        for route, pattern in self._routes:
            if route.key == DEFAULT:
                return route, {}
            if route.method not in ("ANY", method):
                continue
            found = pattern.match(path)
            if found is not None:
                names = [name for name, _ in _variables(route.path)]
                values = map(unquote, found.groups())
                return route, dict(zip(names, values, strict=True))
        return None


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/")


def _variables(path: str) -> list[tuple[str, bool]]:
    matches = [_SEGMENT.match(segment) for segment in _segments(path)]
    return [(match[1], bool(match[2])) for match in matches if match is not None]


def _pattern(route: Route) -> re.Pattern[str]:
    if route.key == DEFAULT:
        return re.compile("")
    if not route.path.startswith("/"):
        raise RouteKeyError(f"route key {route.key!r}: expected METHOD /path or $default")
    parts = []
    for segment in _segments(route.path):
        match = _SEGMENT.match(segment)
        if match is None:
            parts.append(re.escape(segment))
        else:
            parts.append("(.+)" if match[2] else "([^/]+)")
    return re.compile("/" + "/".join(parts) + r"/?\Z")
