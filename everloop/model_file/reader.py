"""Reads a declaration and says precisely what is wrong with it."""

from __future__ import annotations

import difflib
import re
import unicodedata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.misfit import Location
from everloop.model_file.schema import NAME_PATTERN, ModelDeclaration
from everloop.model_file.yaml_document import Document, DocumentError, Place, dotted
from everloop.shown import LONGEST_SHOWN, shortened, shown


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
    declaration, document = _parse(text, str(path))
    mistakes = []
    folder, script = path.absolute().parent, declaration.training.script
    if declaration.model != folder.name:
        line = document.place(("model",)).line
        mistakes.append(Mistake("model", line, repr(declaration.model), f"the folder's name, {folder.name!r}"))
    file = folder / script
    # Only what lies in the folder is shipped to the training job; a link may lead out of it.
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        place = document.place(("training", "script"))
        why = "leads out of the folder" if file.is_file() else "is not there"
        mistakes.append(
            Mistake("training.script", place.line, f"{_shown(script, place)}, which {why}", f"a file in {path.parent}")
        )
    if mistakes:
        raise ModelFileError(str(path), sorted(mistakes, key=lambda m: m.line))
    return declaration


def parse_model_file(text: str, *, file: str = "model.yaml") -> ModelDeclaration:
    """Check the declaration written in ``text``; ``file`` is how errors call it.

    Raises
    ------
    ModelFileError
        As :func:`read_model_file`, but for what only the folder shows.
    """
    return _parse(text, file)[0]


def _parse(text: str, file: str) -> tuple[ModelDeclaration, Document]:
    try:
        document = Document(text)
    except DocumentError as error:
        raise ModelFileError(file, error.mistakes) from error
    try:
        return ModelDeclaration.model_validate(document.value), document
    except ValidationError as error:
        mistakes = [_mistake(dict(e), document) for e in error.errors(include_url=False)]
        raise ModelFileError(file, sorted(mistakes, key=lambda m: m.line)) from error


def _mistake(error: dict[str, Any], document: Document) -> Mistake:
    location: Location = error["loc"]
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    path, place = dotted(location), document.place(location)
    if kind == "extra_forbidden":
        allowed = _keys_at(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return Mistake(path, place.line, f"the unknown key {shown(str(location[-1]))}", ", ".join(allowed) + hint)
    if kind == "missing":
        last = location[-1]
        wanted = "a value more" if isinstance(last, int) else f"the key {last!r}, which is required"
        return Mistake(path, place.line, "nothing", wanted)
    found = _shown(value, place)
    if kind == "value_error":
        return Mistake(path, place.line, found, str(context["error"]))
    if kind == "literal_error":
        return Mistake(path, place.line, found, str(context["expected"]))
    if kind == "string_pattern_mismatch":
        closest = _as_name(value) if context["pattern"] == NAME_PATTERN else ""
        return Mistake(path, place.line, found, f"text matching {context['pattern']}{closest}")
    if kind == "string_type":
        return Mistake(path, place.line, found, "text, in quotes where YAML would read something else")
    if kind in ("model_type", "dict_type"):
        return Mistake(path, place.line, found, "a section: keys with their values")
    if kind in ("list_type", "tuple_type"):
        return Mistake(path, place.line, found, "a list")
    if kind == "too_long":
        return Mistake(path, place.line, found, f"at most {context['max_length']} values")
    if kind == "too_short":
        return Mistake(path, place.line, found, f"at least {context['min_length']} values")
    message = str(error["msg"]).removeprefix("Input should be ")
    return Mistake(path, place.line, found, message[0].lower() + message[1:])


def _shown(value: Any, place: Place) -> str:
    """A value as it is written, and as what it is read where that is not plain to see."""
    if isinstance(value, (dict, BaseModel)):
        return "this section"
    if isinstance(value, list):
        single = all(isinstance(part, (str, int, float)) for part in value)
        return "an empty list" if not value else _list_shown(value) if single else "this list"
    if value is None:
        return "nothing"
    if not place.is_there:
        return f"{shown(value)}, which is meant where the key is left out"
    if isinstance(value, str) or place.written is None:
        return shown(value)
    written = shortened(place.written)
    return written if _is_plain(value, place.written) else f"{written}, which YAML reads as {shown(value)}"


def _list_shown(values: list[Any]) -> str:
    """As it is written, cut: what is not shown is not written out either."""
    return (
        shortened(repr(values[:LONGEST_SHOWN])) if len(values) <= LONGEST_SHOWN else f"a list of {len(values):,} values"
    )


def _as_name(value: Any) -> str:
    """The name that comes closest, where there is one: tables of the lake have no other letters, and no capitals."""
    ascii_text = unicodedata.normalize("NFKD", str(value)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_")[:31].rstrip("_")
    return f", e.g. {name!r} (and the column of your files renamed)" if re.match(NAME_PATTERN, name) else ""


def _is_plain(value: Any, written: str) -> bool:
    if isinstance(value, bool):
        return written.lower() in ("true", "false")
    try:
        return float(written) == value
    except (ValueError, OverflowError):
        return False


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
