"""Reads a declaration and says precisely what is wrong with it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.schema import ModelDeclaration

Location = tuple[str | int, ...]


def read_model_file(path: Path) -> ModelDeclaration:
    """Read and check the declaration at ``path``.

    Raises
    ------
    ModelFileError
        With every mistake found: file, line, what was found, what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(str(path), [Mistake("", 0, str(error), "a readable UTF-8 file")]) from error
    declaration = parse_model_file(text, file=str(path))
    if declaration.model != path.parent.name:
        mistake = Mistake("model", 1, repr(declaration.model), f"the folder's name, {path.parent.name!r}")
        raise ModelFileError(str(path), [mistake])
    if not (path.parent / declaration.training.script).is_file():
        found = repr(declaration.training.script)
        raise ModelFileError(str(path), [Mistake("training.script", 1, found, f"a file in {path.parent}")])
    return declaration


def parse_model_file(text: str, *, file: str = "model.yaml") -> ModelDeclaration:
    """Check the declaration written in ``text``; ``file`` is how errors call it."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        problem = getattr(error, "problem", None) or str(error)
        raise ModelFileError(file, [Mistake("", line, problem, "valid YAML")]) from error
    if not isinstance(root, yaml.MappingNode):
        raise ModelFileError(file, [Mistake("", 1, "no mapping", "a mapping with the key 'model'")])
    mistakes = _duplicate_keys(root, ())
    if mistakes:
        raise ModelFileError(file, mistakes)
    try:
        return ModelDeclaration.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        mistakes = [_mistake(dict(e), root) for e in error.errors(include_url=False)]
        raise ModelFileError(file, sorted(mistakes, key=lambda m: m.line)) from error


def _mistake(error: dict[str, Any], root: yaml.Node) -> Mistake:
    location: Location = error["loc"]
    kind, context = error["type"], error.get("ctx", {})
    path = _dotted(location)
    line = _line(root, location)
    if kind == "extra_forbidden":
        allowed = _keys_at(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return Mistake(path, line, f"the unknown key {str(location[-1])!r}", ", ".join(allowed) + hint)
    if kind == "missing":
        return Mistake(path, line, "nothing", f"the key {str(location[-1])!r}, which is required")
    if kind == "literal_error":
        return Mistake(path, line, repr(error["input"]), str(context["expected"]))
    if kind == "string_pattern_mismatch":
        return Mistake(path, line, repr(error["input"]), f"text matching {context['pattern']}")
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = error["input"]
    found = "this section" if isinstance(shown, (dict, list, BaseModel)) else repr(shown)
    return Mistake(path, line, found, message[0].lower() + message[1:])


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the declaration"


def _line(root: yaml.Node, location: Location) -> int:
    """The line of the deepest node on the way to ``location`` that stands in the file."""
    node, line = root, root.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _duplicate_keys(node: yaml.Node, location: Location) -> list[Mistake]:
    mistakes: list[Mistake] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*location, str(key.value))
            if key.value in seen:
                line = key.start_mark.line + 1
                mistakes.append(Mistake(_dotted(here), line, "the key a second time", "each key once"))
            seen.add(key.value)
            mistakes += _duplicate_keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            mistakes += _duplicate_keys(value, (*location, index))
    return mistakes


def _keys_at(location: Location) -> list[str]:
    """The keys the schema allows at ``location``."""
    model: Any = ModelDeclaration
    for part in location:
        if isinstance(part, int):
            continue
        model = _section_of(model.model_fields[part].annotation)
    return list(model.model_fields)


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        section = _section_of(argument)
        if section is not None:
            return section
    return None
