"""A YAML text as values, with the line of each: plain YAML, in which everything stands where it is meant.

Refused, with their line: anchors, aliases and merges (a mistake in a shared value would be told at another place),
tags (a value is what its key says), keys that are not text or come twice, and nesting no declaration has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from everloop.exceptions import TerminalError
from everloop.model_file.exceptions import Mistake
from everloop.model_file.misfit import Location
from everloop.model_file.yaml_syntax import syntax_mistake
from everloop.shown import on_one_line, shortened, shown

DEEPEST = 20

LONGEST_TEXT = 1024 * 1024
"""Characters of a document. A declaration has a few thousand."""

LONGEST_NUMBER = 100
"""Characters of a number: a float says all it can in 24, and YAML's ``1:59:59…`` costs the square of its length."""

_AS_READ = re.compile(
    r"[-+]?(0|[1-9][0-9]*|[0-9]*[.][0-9]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|[.](inf|nan))", re.I
)
"""A number in which YAML and a person read the same. It takes ``010`` for 8, ``1:30`` for 90 and ``1__0`` for 10."""

_OF_YAML = "tag:yaml.org,2002:"
_TIMESTAMP, _TEXT = f"{_OF_YAML}timestamp", f"{_OF_YAML}str"
_INT, _FLOAT = f"{_OF_YAML}int", f"{_OF_YAML}float"


class _Loader(yaml.SafeLoader):
    """Reads dates as text, since no key wants one, and ``1e-3`` as the number that everyone else reads in it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789"))


_LOADERS: tuple[type[Any], ...] = (*filter(None, [getattr(yaml, "CSafeLoader", None)]), _Loader)
"""Of events. libyaml takes a tenth of the time; what it refuses, the other one reads, or says in its own words why."""


_ALIKE = re.compile(r"[\w\n \"#$'()+,./:;<=\[\]^{}@-]*", re.ASCII)
"""A text in which both take the same for what it is: libyaml lets a tab pass, for one, or ``|#``."""


class _Composer(_Loader):
    """Makes nodes of events that are there already: to scan a text takes most of the time that reading it takes."""

    def __init__(self, events: list[yaml.Event]) -> None:
        super().__init__("")
        self._coming = events[::-1]

    def check_event(self, *choices: Any) -> bool:
        """Whether the next one is of these kinds."""
        return bool(self._coming) and (not choices or isinstance(self._coming[-1], choices))

    def peek_event(self) -> yaml.Event | None:
        """The next one."""
        return self._coming[-1] if self._coming else None

    def get_event(self) -> yaml.Event | None:
        """The next one, which is then taken."""
        return self._coming.pop() if self._coming else None


class DocumentError(TerminalError, ValueError):
    """The text is no such document. ``mistakes`` lists every reason."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes
        super().__init__(f"{len(mistakes)} mistakes")


@dataclass(frozen=True)
class Place:
    """Where a value is, or would.

    Attributes
    ----------
    line : int
        1-based: of the value's key, or of the nearest section around it that is there.
    is_there : bool
    written : str or None
        As it is written; None for what is not a single value.
    """

    line: int
    is_there: bool
    written: str | None = None


class Document:
    """A mapping read from YAML, as far as it can be.

    Attributes
    ----------
    value : dict
        What is there; None for a single value that can't be read.
    mistakes : list of Mistake
        What can't be read, or is not supported.

    Raises
    ------
    DocumentError
        When the text is not a mapping at all.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_TEXT:
            found, allowed = f"a text of {len(text):,} characters", f"at most {LONGEST_TEXT:,} characters"
            raise DocumentError([Mistake("", 0, found, allowed)])
        self.mistakes: list[Mistake] = []
        try:
            root = _Composer(self._events(text)).get_single_node()
        except yaml.YAMLError as error:
            raise DocumentError(self.mistakes or [syntax_mistake(error, text)]) from error
        if not isinstance(root, yaml.MappingNode):
            raise DocumentError([Mistake("", 1, "no mapping", "a mapping with the key 'model'")])
        self._root = root
        self._loader = _Loader("")
        self._children: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}
        self._read: set[int] = set()
        read: list[Mistake] = []
        self.value: dict[str, object] = self._mapping(self._root, (), read)
        told = {mistake.line for mistake in self.mistakes}
        self.mistakes += [mistake for mistake in read if mistake.line not in told]

    def _events(self, text: str) -> list[yaml.Event]:
        """All of them, with what no declaration may have among the mistakes."""
        for loader in _LOADERS if _ALIKE.fullmatch(text) else _LOADERS[-1:]:
            self.mistakes, events = [], list[yaml.Event]()
            try:
                self.mistakes += _unsupported(text, events, loader)
            except (yaml.YAMLError, UnicodeEncodeError):
                if loader is _LOADERS[-1]:
                    raise
            else:
                break
        return events

    def place(self, location: Location) -> Place:
        """Where the value at ``location`` is."""
        node: yaml.Node = self._root
        line = node.start_mark.line + 1
        for part in location:
            if isinstance(node, yaml.MappingNode):
                found = self._pairs(node).get(part) if isinstance(part, str) else None
                if found is None:
                    return Place(line, False)
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                return Place(line, False)
        return Place(line, True, node.value if isinstance(node, yaml.ScalarNode) else None)

    def _pairs(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The first key of each name, and its value: looked up for every mistake, so searched once."""
        if id(node) not in self._children:
            pairs = self._children[id(node)] = {}
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    pairs.setdefault(key.value, (key, value))
        return self._children[id(node)]

    def _mapping(self, node: yaml.MappingNode, location: Location, mistakes: list[Mistake]) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT or not _is_unicode(key.value):
                shown = (
                    f"the key {shortened(ascii(key.value))}"
                    if isinstance(key, yaml.ScalarNode)
                    else "a key of several parts"
                )
                mistakes.append(
                    Mistake(dotted(location), line, shown, "a key of text, in quotes where YAML needs them")
                )
                continue
            here = (*location, key.value)
            if key.value in values:
                mistakes.append(Mistake(dotted(here), line, "the same key a second time", "each key once"))
                continue
            values[key.value] = self._value(value, here, mistakes)
        return values

    def _value(self, node: yaml.Node, location: Location, mistakes: list[Mistake]) -> Any:
        if id(node) in self._read:  # an alias, which is told as that; what it stands for could grow without end
            return None
        self._read.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, mistakes)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*location, index), mistakes) for index, child in enumerate(node.value)]
        line = node.start_mark.line + 1
        if not _is_unicode(node.value):
            mistakes.append(
                Mistake(
                    dotted(location), line, shortened(ascii(node.value)), "text in Unicode, without lone surrogates"
                )
            )
            return None
        if node.tag in (_INT, _FLOAT) and len(node.value) > LONGEST_NUMBER:
            allowed = f"a number of at most {LONGEST_NUMBER} characters, or text in quotes"
            mistakes.append(Mistake(dotted(location), line, shortened(node.value), allowed))
            return None
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            mistakes.append(
                Mistake(dotted(location), line, shortened(node.value), "a value that can be read, or text in quotes")
            )
            return None
        if node.tag in (_INT, _FLOAT) and not _AS_READ.fullmatch(node.value):
            found = f"{shortened(node.value)}, which YAML reads as {shown(value)}"
            allowed = "a number in decimal digits, without leading zeros, '_' or ':'; or text in quotes"
            mistakes.append(Mistake(dotted(location), line, found, allowed))
            return None
        if isinstance(value, int) and abs(value) >= 2**63:
            mistakes.append(Mistake(dotted(location), line, shortened(node.value), "a whole number of at most 64 bits"))
        return value


def dotted(location: Location) -> str:
    """A location as a person writes it, e.g. ``data.features[2].type``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (shortened(part) if part.isprintable() else shown(part))
    return text


def _unsupported(text: str, events: list[yaml.Event], loader: type[Any]) -> Iterator[Mistake]:
    """What of the text no declaration may have; its events are added to ``events``."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        events.append(event)
        line = event.start_mark.line + 1 if event.start_mark else 1
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            yield Mistake(
                "",
                line,
                f"the alias *{shortened(anchor or '')}",
                "the value itself: nothing is shared in a declaration",
            )
        elif anchor is not None:
            yield Mistake(
                "", line, f"the anchor &{shortened(anchor)}", "no anchors: nothing is shared in a declaration"
            )
        elif tag is not None:
            yield Mistake(
                "",
                line,
                f"the tag {on_one_line(shortened(tag.replace(_OF_YAML, '!!')))}",
                "no tags: text that looks like something else is quoted",
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise DocumentError([Mistake("", line, f"a value {depth} levels deep", f"at most {DEEPEST} levels")])


def _is_unicode(text: str) -> bool:
    """Whether there are no lone surrogates, which YAML's escapes can write and no file can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
