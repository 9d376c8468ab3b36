"""Which requests a port of the local cloud answers at all: never those that a web page caused.

Any page in a browser on this machine can send requests to 127.0.0.1, and a name of its own that resolves to
127.0.0.1 (DNS rebinding) even lets it read the answers. Browsers say so: such requests carry another Host, an
Origin, or a Sec-Fetch-Site. Every server of the local cloud asks here before it reads a body.
"""

from __future__ import annotations

from collections.abc import Mapping

_OWN_SITES = frozenset({"same-origin", "none"})


def hosts_of(port: int) -> frozenset[str]:
    """The Host headers that mean a port of this machine's loopback interface."""
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    return frozenset(hosts | {"127.0.0.1", "localhost"}) if port == 80 else frozenset(hosts)


def refusal(headers: Mapping[str, str], hosts: frozenset[str]) -> str | None:
    """Why a request is not answered, or None.

    Parameters
    ----------
    headers : mapping
        By lower-cased name.
    hosts : frozenset of str
        Of :func:`hosts_of`.
    """
    host = headers.get("host", "").lower()
    if host not in hosts:
        shown = host or "missing"
        return f"the Host header is {shown!r}: this port answers only to {' or '.join(sorted(hosts))}"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}":
        return f"the request comes from a web page (Origin: {origin}): the local cloud answers no web page"
    site = headers.get("sec-fetch-site")
    if site is not None and site.lower() not in _OWN_SITES:
        return f"the request was caused by a web page (Sec-Fetch-Site: {site}): the local cloud answers no web page"
    return None
