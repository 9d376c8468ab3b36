"""The most specific route answers."""

from __future__ import annotations

import pytest

from localcloud.services.apigateway.routes import Route, RouteKeyError, RouteTable

KEYS = (
    "$default",
    "ANY /{proxy+}",
    "GET /models",
    "GET /models/{model}",
    "ANY /models/{model}",
    "GET /models/special",
    "POST /models/{model}/predictions",
    "GET /models/{model}/{rest+}",
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/models", "GET /models", {}),
        ("GET", "/models/", "GET /models", {}),
        ("GET", "/models/special", "GET /models/special", {}),
        ("GET", "/models/a%20b", "GET /models/{model}", {"model": "a b"}),
        ("DELETE", "/models/x", "ANY /models/{model}", {"model": "x"}),
        ("POST", "/models/x/predictions", "POST /models/{model}/predictions", {"model": "x"}),
        ("GET", "/models/x/y/z", "GET /models/{model}/{rest+}", {"model": "x", "rest": "y/z"}),
        ("PUT", "/models/x/y", "ANY /{proxy+}", {"proxy": "models/x/y"}),
        ("GET", "/", "$default", {}),
    ],
)
def test_selection(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    table = RouteTable(Route(name, "NONE", "i") for name in KEYS)

    found = table.match(method, path)

    assert found is not None
    assert (found[0].key, found[1]) == (key, parameters)


def test_without_a_default_route_nothing_answers() -> None:
    table = RouteTable([Route("GET /a", "NONE", "i")])

    assert table.match("POST", "/a") is None
    assert table.match("GET", "/a/b") is None


def test_a_malformed_key_is_refused() -> None:
    with pytest.raises(RouteKeyError, match="GET a"):
        RouteTable([Route("GET a", "NONE", "i")])
