"""Which properties of a resource type are acted upon, which are kept and change nothing, and what to do about the rest.

Every handler has such a table. A property that is in none of its parts is refused, wherever it is nested, before
anything of the assembly exists: accepted and without effect would be the worst answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r"\s*([A-Za-z0-9_]+|\*|[()])")

TAGS = "stored and returned; policies here can't use them, since conditions on tags deny"
DESCRIPTION = "text for people"
ENCRYPTION = "data is in files that only this user can read; nothing is encrypted, and key policies are not checked"
CAPACITY = "throughput is not limited here, and nothing is billed"


@dataclass(frozen=True)
class Problem:
    """A property that can't be had: where it is in the resource, and what to do, as the end of a sentence."""

    path: str
    sentence: str

    def __str__(self) -> str:
        return f"property {self.path} {self.sentence}"


@dataclass(frozen=True)
class PropertyTable:
    """What becomes of each property of a resource type.

    Attributes
    ----------
    acts : frozenset of str
        Dotted paths of the properties that are acted upon, as `CfnXxx` of the CDK nests them; lists are no level of
        their own. What ends with ``*`` is free: everything below it is data.
    kept : mapping of str to str
        Paths of properties that are accepted, kept and change nothing here, each with the reason why that misleads
        nobody; what is below them goes with them.
    refused : mapping of str to str
        Paths of properties that are refused with advice of their own, which is what to do instead.
    """

    acts: frozenset[str]
    kept: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The properties that a template may have, at the top."""
        return frozenset(path.split(".", 1)[0] for path in (*self.acts, *self.kept))

    def problems(self, properties: Mapping[str, Any]) -> Iterator[Problem]:
        """Everything in ``properties`` that is neither acted upon nor known to be harmless."""
        yield from self._problems(properties, "", "")

    def _problems(self, value: Any, path: str, shown: str) -> Iterator[Problem]:
        if isinstance(value, list):
            for index, element in enumerate(value):
                yield from self._problems(element, path, f"{shown}[{index}]")
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                below, shown_below = f"{path}.{name}".lstrip("."), f"{shown}.{name}".lstrip(".")
                if below in self.kept or f"{below}.*" in self.acts:
                    continue
                if below in self.refused:
                    yield Problem(shown_below, f"is not supported: {self.refused[below]}")
                elif below in self.acts:
                    yield from self._problems(inner, below, shown_below)
                else:
                    yield Problem(shown_below, "is not supported: leave it out")


def table_of(
    acts: str, *, kept: Mapping[str, str] | None = None, refused: Mapping[str, str] | None = None
) -> PropertyTable:
    """A table from texts.

    Parameters
    ----------
    acts : str
        Names with what is nested in them in parentheses: ``Code(S3Bucket S3Key) Environment(*) Timeout``.
    kept, refused : mapping of str to str
        Space-separated dotted paths with one reason, or one remedy, for all of them.

    Raises
    ------
    ValueError
        When the parentheses do not match, or a path has two fates.
    """
    acting = frozenset(_paths(acts))
    keeping = {path: reason for paths, reason in (kept or {}).items() for path in paths.split()}
    refusing = {path: remedy for paths, remedy in (refused or {}).items() for path in paths.split()}
    twice = sorted((acting & keeping.keys()) | (acting & refusing.keys()) | (keeping.keys() & refusing.keys()))
    if twice:
        raise ValueError(f"{twice[0]} is in two parts of the table")
    above = {path.rsplit(".", up)[0] for path in keeping for up in range(1, path.count(".") + 1)}
    return PropertyTable(acting | above, keeping, refusing)


def _paths(text: str) -> Iterator[str]:
    position, stack, last = 0, [""], ""
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{text[position:]!r} is not a name, a star or a parenthesis")
        position, token = match.end(), match[1]
        if token == "(":
            stack.append(f"{last}.")
        elif token == ")":
            if len(stack) == 1:
                raise ValueError(f"one parenthesis too many before {text[position:]!r}")
            stack.pop()
        else:
            last = stack[-1] + token
            yield last
    if len(stack) > 1:
        raise ValueError(f"{stack[-1]} has no closing parenthesis")
