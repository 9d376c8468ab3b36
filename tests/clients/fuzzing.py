"""Fuzzes a server by its OpenAPI document, and prints what came of it as one JSON document.

Run by the clients' own Python, with the server's address. Schemathesis makes requests that fit the document and others
that do not, and holds each answer to it: any 5xx, and any answer that is not as described, is a failure. With
``--mutate`` the bodies it made are sent on with bytes changed, cut and repeated, many times as fast; there a 5xx is a
failure, or no answer. Every run has a seed.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

WORDS = [b"null", b"NaN", b"1e999", b"-0", b'""', b"{}", b"[]", b"9" * 400]


@dataclass
class Told:
    """What came of a run."""

    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    mutated: collections.Counter[str] = field(default_factory=collections.Counter)
    operations: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: list[str] = field(default_factory=list)
    sent: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answered: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


def by_schema(url: str, seed: int, examples: int, told: Told) -> None:
    """Ask each operation for examples that fit the document, and for as many that don't."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    quiet = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def ask(case: Any) -> None:
        response = case.call()
        told.statuses[str(response.status_code)] += 1
        told.operations[case.operation.label] += 1
        sent = response.request
        if sent.body:
            body = sent.body.encode() if isinstance(sent.body, str) else sent.body
            into = told.answered if response.status_code == 200 else told.sent
            into.append((sent.method, sent.path_url, {"Content-Type": sent.headers["Content-Type"]}, body))
        case.validate_response(response, checks=CHECKS)

    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.POSITIVE or operation.body.items:
                strategy = operation.as_strategy(generation_mode=mode)
                try:
                    quiet(seeded(seed)(given(case=strategy)(ask)))()
                except Exception as error:
                    told.failures.append(f"{operation.label} {mode.name}: {error}"[:2000])


def by_mutation(url: str, seed: int, seconds: float, told: Told) -> None:
    """Send what was sent before with a few bytes wrong, on one kept connection."""
    chance, place = random.Random(seed), urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=60)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not told.failures:
        # Half of them are one fault away from an answer.
        method, path, headers, body = chance.choice(chance.choice([told.answered, told.sent]))
        body = mutated(body, chance)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        told.mutated[str(answer.status)] += 1
        if answer.status >= 500:
            told.failures.append(f"{method} {path} {headers} {body[:500]!r}: {answer.status} {content[:500]!r}")


def mutated(body: bytes, chance: random.Random) -> bytes:
    """The body with one to three faults."""
    data = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        at, size = chance.randrange(len(data) + 1), chance.randint(1, 8)
        match chance.randrange(5):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = data[at : at + size]
            case 2:
                data[at:at] = chance.randbytes(size)
            case 3:
                data[at : at + 1] = chance.choice(b'{}[]",:-+.eE0123456789ntf\\\n\x00').to_bytes()
            case _:
                data[at : at + size] = chance.choice(
                    [b"null", b"NaN", b"1e999", b"-0", b'""', b"{}", b"[]", b"9" * 400]
                )
    return bytes(data)


def main() -> None:
    """Run, and print the counts and the failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--examples", type=int, default=200, help="of an operation, that fit and that don't")
    parser.add_argument("--mutate", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    given_ = parser.parse_args()
    told = Told()
    by_schema(given_.url, given_.seed, given_.examples, told)
    if given_.mutate:
        by_mutation(given_.url, given_.seed, given_.mutate, told)
    counts = {"statuses": told.statuses, "mutated": told.mutated, "operations": told.operations}
    total = told.statuses.total() + told.mutated.total()
    print(json.dumps({"requests": total, **counts, "failures": told.failures}))


if __name__ == "__main__":
    main()
