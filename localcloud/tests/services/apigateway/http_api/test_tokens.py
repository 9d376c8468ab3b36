"""Which tokens pass a JWT authorizer."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from localcloud.core.settings import Settings, SettingsError
from localcloud.services.apigateway.http_api.tokens import (
    Authorizer,
    IssuerError,
    Issuers,
    TokenGate,
    TokenRefusedError,
    claims_as_text,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUER = "https://login.example.com"
AUTHORIZER = Authorizer(ISSUER, ("predictions", "labels"))
SECONDS = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": "predictions", "sub": "ann", "exp": SECONDS + 60}


@cache
def key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name})


def token(
    claims: dict[str, Any], *, signed_by: str = "ours", named: str | None = "ours", algorithm: str = "RS256"
) -> str:
    header = {"alg": algorithm} | ({"kid": named} if named else {})
    return jwt.encode(header, claims, key(signed_by), algorithms=[algorithm])


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> TokenGate:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    file.write_text(json.dumps({"keys": [key("ours").as_dict(private=False)]}))
    return TokenGate(Issuers({ISSUER: file}), lambda: (NOW,))


def test_a_right_token_passes_with_and_without_its_prefix(gate: TokenGate) -> None:
    text = token(CLAIMS)
    for header in (text, f"Bearer {text}", f"bearer  {text} "):
        assert gate.admit(header, AUTHORIZER, ()).claims == CLAIMS
    for algorithm in ("RS384", "RS512"):
        assert gate.admit(token(CLAIMS, algorithm=algorithm), AUTHORIZER, ()).claims["sub"] == "ann"


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (lambda: "", ""),
        (lambda: "Bearer ", ""),
        (lambda: "a.b.c", "signature verification failed"),
        (lambda: "é\u0000", "signature verification failed"),
        (lambda: token(CLAIMS, signed_by="other"), "signature verification failed"),
        (lambda: token(CLAIMS, named="other", signed_by="other"), "signature verification failed"),
        (lambda: token(CLAIMS, algorithm="PS256"), "signature verification failed"),
        (lambda: token(CLAIMS)[:-4] + "AAAA", "signature verification failed"),
        (lambda: token(CLAIMS, named=None), "the token does not have a kid"),
        (lambda: token({**CLAIMS, "iss": ISSUER + "/"}), "the token does not have a valid issuer"),
        (lambda: token({**CLAIMS, "aud": "others"}), "the token does not have a valid audience"),
        (lambda: token({**CLAIMS, "aud": "others", "client_id": "labels"}), "the token does not have a valid audience"),
        (lambda: token({**CLAIMS, "aud": None}), "the token does not have a valid audience"),
        (lambda: token({**CLAIMS, "exp": SECONDS}), "the token has expired, or is not valid yet"),
        (lambda: token({**CLAIMS, "nbf": SECONDS + 1}), "the token has expired, or is not valid yet"),
        (lambda: token({**CLAIMS, "iat": SECONDS + 1}), "the token has expired, or is not valid yet"),
        (lambda: token({name: CLAIMS[name] for name in ("iss", "aud")}), "the token has no valid time"),
        (lambda: token({**CLAIMS, "exp": "tomorrow"}), "the token has no valid time"),
    ],
)
def test_any_other_is_refused_and_told_why(gate: TokenGate, text: Callable[[], str], description: str) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        gate.admit(text(), AUTHORIZER, ())
    assert refused.value.status == 401
    told = f' scope="" error="invalid_token" error_description="{description}"' if description else ""
    assert refused.value.challenge == f"Bearer{told}"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(gate: TokenGate) -> None:
    parts = [{"alg": "HS256", "kid": "ours"}, CLAIMS]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    digest = hmac.digest(key("ours").as_pem(private=False), head.encode(), "sha256")
    forged = f"{head}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    unsigned = head.replace(head.split(".")[0], base64.urlsafe_b64encode(b'{"alg":"none","kid":"ours"}').decode()) + "."
    for text in (forged, unsigned):
        with pytest.raises(TokenRefusedError, match="signature"):
            gate.admit(text, AUTHORIZER, ())


def test_the_client_counts_as_audience_where_a_token_has_none(gate: TokenGate) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != "aud"} | {"client_id": "labels"}
    assert gate.admit(token(claims), AUTHORIZER, ()).claims["client_id"] == "labels"
    assert gate.admit(token({**CLAIMS, "aud": ["x", "labels"]}), AUTHORIZER, ()).claims["sub"] == "ann"


@pytest.mark.parametrize("held", [{"scope": "a write"}, {"scp": ["write"]}, {"scp": "read write"}])
def test_one_of_the_routes_scopes_is_enough(gate: TokenGate, held: dict[str, Any]) -> None:
    found = gate.admit(token({**CLAIMS, **held}), AUTHORIZER, ("write", "admin"))
    assert found.scopes == ("write",)


@pytest.mark.parametrize("held", [{}, {"scope": "writes"}, {"scp": 7}])
def test_a_token_without_any_is_forbidden(gate: TokenGate, held: dict[str, Any]) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        gate.admit(token({**CLAIMS, **held}), AUTHORIZER, ("write", "admin"))
    assert refused.value.status == 403
    assert 'scope="write admin" error="insufficient_scope"' in refused.value.challenge


def test_a_token_may_hold_by_either_clock(gate: TokenGate) -> None:
    later = TokenGate(gate.issuers, lambda: (NOW + timedelta(days=900), NOW))
    assert later.admit(token(CLAIMS), AUTHORIZER, ()).claims["sub"] == "ann"


def test_an_issuer_is_asked_where_its_keys_are_and_they_are_kept() -> None:
    pages = {
        f"{ISSUER}/.well-known/openid-configuration": {"jwks_uri": f"{ISSUER}/keys"},
        f"{ISSUER}/keys": {"keys": [key("ours").as_dict(private=False)]},
    }
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps(pages[url]).encode()

    issuers = Issuers({}, fetch)
    assert [one.kid for one in issuers.keys(ISSUER).keys] == ["ours"]
    issuers.keys(ISSUER)
    assert asked == list(pages)


@pytest.mark.parametrize(
    ("issuer", "pages", "message"),
    [
        ("http://login.example.com", {}, "must begin with https://"),
        ("file:///etc/passwd", {}, "must begin with https://"),
        (ISSUER, {}, r"\[apigatewayv2.issuers\] in the settings"),
        (ISSUER, {"/.well-known/openid-configuration": "[]"}, "for issuer"),
        (ISSUER, {"/.well-known/openid-configuration": '{"jwks_uri": "http://x"}'}, "for issuer"),
        (ISSUER, {"/.well-known/openid-configuration": '{"jwks_uri": "https://x"}', "x": "{}"}, "no JSON Web Key Set"),
        (
            ISSUER,
            {"/.well-known/openid-configuration": '{"jwks_uri": "https://x"}', "x": '{"keys": []}'},
            "No keys to import",
        ),
    ],
)
def test_an_issuer_without_keys_is_told_of(issuer: str, pages: dict[str, str], message: str) -> None:
    def fetch(url: str) -> bytes:
        name = url.removeprefix(ISSUER).removeprefix("https://")
        if name not in pages:
            raise OSError("no route to host")
        return pages[name].encode()

    with pytest.raises(IssuerError, match=message):
        Issuers({}, fetch).keys(issuer)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"keys": {}}, "has no 'keys'"),
        ({"issuers": {ISSUER: 7}}, "needs lines like"),
        ({"issuers": [ISSUER]}, "needs lines like"),
        ({"issuers": {ISSUER: "missing.json"}}, "no JSON Web Key Set"),
    ],
)
def test_settings_that_name_no_keys_are_refused(tmp_path: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Issuers.of(Settings(tmp_path / "localcloud.toml", {"apigatewayv2": table}))


def test_claims_are_texts_in_an_event() -> None:
    found = claims_as_text({"sub": "ann", "exp": 7, "aud": ["a", "b"], "admin": True, "none": None})
    assert found == {"sub": "ann", "exp": "7", "aud": "[a b]", "admin": "true", "none": "null"}
