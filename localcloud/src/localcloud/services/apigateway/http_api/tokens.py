"""JWT authorizers of HTTP APIs: whether a request's token is one of the issuer's, for this audience, and still holds.

What is checked, and in which order, is what API Gateway says of itself
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html), and so is the header that
tells a caller what was wrong
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html).
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from localcloud.core.settings import Settings, SettingsError

ALGORITHMS = ("RS256", "RS384", "RS512")
"""API Gateway takes RSA signatures alone."""

KEPT_SECONDS = 7200
"""How long API Gateway may keep an issuer's keys."""

ASKING_SECONDS = 1.5
MOST_KEY_BYTES = 150_000
"""How long API Gateway waits for an issuer, and how much of it it takes
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Authorizer:
    """A JWT authorizer: tokens of ``issuer`` for one of ``audience`` pass."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True)
class Token:
    """What a right token says, and the scopes that its route asked for."""

    claims: Mapping[str, Any]
    scopes: tuple[str, ...] = ()


class IssuerError(ValueError):
    """An issuer whose keys can't be had."""


class TokenRefusedError(PermissionError):
    """A token that does not pass.

    Attributes
    ----------
    status : int
        401, or 403 for a right token that lacks the route's scopes.
    challenge : str
        The header ``www-authenticate`` of the answer.
    """

    def __init__(self, description: str, *, status: int = 401, scopes: Iterable[str] = ()) -> None:
        super().__init__(description or "no token")
        self.status = status
        error = "invalid_token" if status == 401 else "insufficient_scope"
        told = f' scope="{" ".join(scopes)}" error="{error}" error_description="{description}"' if description else ""
        self.challenge = f"Bearer{told}"


class Issuers:
    """The public keys of issuers: those of a file that the settings name, or what the issuer itself publishes.

    Parameters
    ----------
    files : mapping of str to Path
        By the issuer, a file with its JSON Web Key Set.
    fetch : callable
        Reads a URL.
    """

    def __init__(self, files: Mapping[str, Path], fetch: Callable[[str], bytes] | None = None) -> None:
        self._files = files
        self._fetch = fetch or _read
        self._kept: dict[str, tuple[float, KeySet]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Issuers:
        """Those of the table ``[apigatewayv2.issuers]``: by the issuer's URL, a file.

        Raises
        ------
        SettingsError
            When it is not such a table, or a file is no key set.
        """
        table = settings.of("apigatewayv2")
        unknown = sorted(set(table) - {"issuers"})
        if unknown:
            raise SettingsError(f"{settings.file}: [apigatewayv2] has no {unknown[0]!r}; it has 'issuers'")
        given = table.get("issuers", {})
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given.values()):
            raise SettingsError(
                f"{settings.file}: [apigatewayv2.issuers] needs lines like"
                ' "https://login.example.com" = "keys.json", a file with the issuer\'s JSON Web Key Set'
            )
        issuers = cls({issuer: settings.path(name) for issuer, name in given.items()})
        for issuer in given:
            try:
                issuers.keys(issuer)
            except IssuerError as error:
                raise SettingsError(f"{settings.file}: [apigatewayv2.issuers]: {error}") from error
        return issuers

    def keys(self, issuer: str) -> KeySet:
        """The issuer's keys.

        Raises
        ------
        IssuerError
            When there are none.
        """
        file = self._files.get(issuer)
        if file is not None:
            return self._parsed(str(file), lambda: file.read_bytes())
        with self._lock:
            until, kept = self._kept.get(issuer, (0.0, None))
            if kept is None or time.monotonic() > until:
                kept = self._published(issuer)
                self._kept[issuer] = time.monotonic() + KEPT_SECONDS, kept
            return kept

    def _published(self, issuer: str) -> KeySet:
        url = f"{issuer.rstrip('/')}{_DISCOVERY}"
        if not issuer.startswith("https://"):
            raise IssuerError(f"Invalid issuer: {issuer}. Issuer must begin with https://")
        try:
            document = json.loads(self._fetch(url))
            address = document["jwks_uri"]
            if not str(address).startswith("https://"):
                raise ValueError(f"jwks_uri is {address!r}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IssuerError(
                f"Caught exception when connecting to {url} for issuer {issuer}: {error!r}. Without a network, name a"
                " file with its keys under [apigatewayv2.issuers] in the settings of the local cloud"
            ) from error
        return self._parsed(address, lambda: self._fetch(address))

    def _parsed(self, place: str, read: Callable[[], bytes]) -> KeySet:
        try:
            keys = KeySet.import_key_set(json.loads(read()))
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise IssuerError(f"{place} is no JSON Web Key Set: {error!r}") from error
        return keys


@dataclass(frozen=True)
class TokenGate:
    """Decides whether a token passes; ``now`` gives the instants by any of which it may hold."""

    issuers: Issuers
    now: Callable[[], tuple[datetime, ...]] = field(compare=False)

    def admit(self, header: str | None, authorizer: Authorizer, scopes: tuple[str, ...]) -> Token:
        """What the token in the header ``Authorization`` says.

        Raises
        ------
        TokenRefusedError
            When there is none, or it does not pass.
        """
        scheme, _, rest = (header or "").strip().partition(" ")
        text = rest.strip() if scheme.lower() == "bearer" else f"{scheme} {rest}".strip()
        if not text:
            raise TokenRefusedError("")
        claims = self._signed(text, authorizer)
        if claims.get("iss") != authorizer.issuer:
            raise TokenRefusedError("the token does not have a valid issuer")
        audience = claims["aud"] if "aud" in claims else claims.get("client_id")
        if not set(_texts(audience)) & set(authorizer.audience):
            raise TokenRefusedError("the token does not have a valid audience")
        self._require_time(claims)
        held = {scope for name in ("scope", "scp") for scope in _scopes(claims.get(name))}
        if scopes and not held & set(scopes):
            raise TokenRefusedError("the token does not have a valid scope", status=403, scopes=scopes)
        return Token(claims, tuple(scope for scope in scopes if scope in held))

    def _signed(self, text: str, authorizer: Authorizer) -> Mapping[str, Any]:
        try:
            token = jwt.decode(text, self.issuers.keys(authorizer.issuer), algorithms=list(ALGORITHMS))
            if "kid" not in token.header:
                raise TokenRefusedError("the token does not have a kid")
        except (JoseError, IssuerError, ValueError, TypeError) as error:
            raise TokenRefusedError("signature verification failed") from error
        return token.claims

    def _require_time(self, claims: Mapping[str, Any]) -> None:
        times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
        if "exp" not in times or any(type(each) not in (int, float) for each in times.values()):
            raise TokenRefusedError("the token has no valid time")
        held = [
            instant.timestamp() < times["exp"]
            and all(times[name] <= instant.timestamp() for name in ("nbf", "iat") if name in times)
            for instant in self.now()
        ]
        if not any(held):
            raise TokenRefusedError("the token has expired, or is not valid yet")


def claims_as_text(claims: Mapping[str, Any]) -> dict[str, str]:
    """The claims as an event has them: each value is a text, and a list stands in brackets."""
    return {name: _text(value) for name, value in claims.items()}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _texts(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _scopes(value: Any) -> list[str]:
    return value.split() if isinstance(value, str) else _texts(value)


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=ASKING_SECONDS) as answer:  # its callers ask https addresses alone
        content: bytes = answer.read(MOST_KEY_BYTES + 1)
    if len(content) > MOST_KEY_BYTES:
        raise ValueError(f"{url} answers more than {MOST_KEY_BYTES:,} bytes")
    return content
