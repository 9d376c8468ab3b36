"""Whose tokens are taken is declared whole, and only where tokens are asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers.declarations import binary_document, declare

JWT = {"issuer": "https://login.example.com/tenant", "audience": ["predictions"]}


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        ({"authorization": "jwt"}, "whose tokens are taken, as authorization is jwt"),
        ({"jwt": JWT}, "no 'jwt' with authorization iam"),
        ({"authorization": "none", "jwt": JWT}, "no 'jwt' with authorization none"),
        ({"authorization": "token"}, "serving.authorization"),
        ({"authorization": "jwt", "jwt": {**JWT, "issuer": "http://login.example.com"}}, "serving.jwt.issuer"),
        ({"authorization": "jwt", "jwt": {**JWT, "issuer": "https://login.example.com?x"}}, "serving.jwt.issuer"),
        ({"authorization": "jwt", "jwt": {**JWT, "issuer": "https://login.example.com/\n"}}, "serving.jwt.issuer"),
        ({"authorization": "jwt", "jwt": {**JWT, "audience": []}}, "serving.jwt.audience"),
        ({"authorization": "jwt", "jwt": {**JWT, "audience": ["a b"]}}, "serving.jwt.audience"),
        ({"authorization": "jwt", "jwt": {**JWT, "audience": ["a", "a"]}}, "each once"),
        ({"authorization": "jwt", "jwt": {**JWT, "scopes": ["predict", "predict"]}}, "each once"),
        ({"authorization": "jwt", "jwt": {**JWT, "scopes": [str(n) for n in range(11)]}}, "serving.jwt.scopes"),
        ({"authorization": "jwt", "jwt": {**JWT, "algorithm": "none"}}, "serving.jwt.algorithm"),
    ],
)
def test_what_lets_nobody_in_or_is_not_asked_for_is_refused(serving: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        declare(binary_document(serving=serving))
    assert message in str(caught.value)


def test_an_issuer_and_an_audience_are_enough() -> None:
    jwt = declare(binary_document(serving={"authorization": "jwt", "jwt": JWT})).serving.jwt
    assert jwt is not None
    assert (jwt.issuer, jwt.audience, jwt.scopes) == (JWT["issuer"], ["predictions"], [])
