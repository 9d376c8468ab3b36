"""Reads a declaration and says precisely what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.misfit import Location, MisfitError, refuse
from everloop.model_file.names import NAME_PATTERN, closest_name
from everloop.model_file.partial import broken, partial, section_of, sections_in
from everloop.model_file.schema import ADD, DEFAULT_SCRIPT, ModelDeclaration
from everloop.model_file.script import RULE_DEFINES, SCRIPT_DEFINES, rule_fault, script_fault
from everloop.model_file.yaml_document import Document, DocumentError, Place, dotted
from everloop.shown import LONGEST_SHOWN, shortened, shown

if TYPE_CHECKING:
    # Pydantic's own part: no function's requirements name it.
    from pydantic_core import ErrorDetails


def read_model_file(path: Path) -> ModelDeclaration:
    """Read and check the declaration at ``path``.

    Raises
    ------
    ModelFileError
        With every mistake found: file, line, what was found, what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelFileError(str(path), [Mistake("", 0, str(error), "a readable file")]) from error
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        found = f"the byte 0x{byte:02x}, which is not UTF-8"
        raise ModelFileError(str(path), [Mistake("", line, found, "a file saved as UTF-8")]) from error
    declaration, document, mistakes = _parse(text, str(path))
    lines = {mistake.line for mistake in document.mistakes}
    mistakes += [m for m in _folder_mistakes(path, document, {m.path for m in mistakes}) if m.line not in lines]
    if declaration is None or mistakes:
        raise ModelFileError(str(path), sorted(mistakes, key=lambda m: m.line))
    return declaration


def parse_model_file(text: str, *, file: str = "model.yaml") -> ModelDeclaration:
    """Check the declaration written in ``text``; ``file`` is how errors call it.

    Raises
    ------
    ModelFileError
        As :func:`read_model_file`, but for what only the folder shows.
    """
    declaration, _, mistakes = _parse(text, file)
    if declaration is None:
        raise ModelFileError(file, sorted(mistakes, key=lambda m: m.line))
    return declaration


def _parse(text: str, file: str) -> tuple[ModelDeclaration | None, Document, list[Mistake]]:
    """The declaration, or what is wrong with it."""
    try:
        document = Document(text)
    except DocumentError as error:
        raise ModelFileError(file, error.mistakes) from error
    declaration, found = None, []
    try:
        declaration = ModelDeclaration.model_validate(document.value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        found = _errors_of_keys(found) + _errors_between_keys(document.value, _errors_of_keys(found))
    # What YAML can't read is told as that, and not as a wrong value besides.
    lines = {mistake.line for mistake in document.mistakes}
    mistakes = [mistake for mistake in (_mistake(e, document) for e in found) if mistake.line not in lines]
    mistakes += document.mistakes
    return None if mistakes else declaration, document, mistakes


def _errors_of_keys(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """What is wrong with a value in itself."""
    return [e for e in found if not isinstance(e.get("ctx", {}).get("error"), MisfitError)]


def _errors_between_keys(value: Mapping[str, object], wrong: list[ErrorDetails]) -> list[ErrorDetails]:
    """What keys ask of each other. Pydantic looks only once each is right; here, what is wrong is left out."""
    locations = {e["loc"] for e in wrong}
    # Of a pair that lacks its second value, nothing is there to be wrong but the pair.
    locations |= {e["loc"][:-1] for e in wrong if e["type"] == "missing" and isinstance(e["loc"][-1], int)}
    errors: list[ErrorDetails] = []
    for section, at in sections_in(partial(ModelDeclaration, value, locations)):
        kind = section._section
        try:
            refuse(kind.__name__, broken(kind.rules(), section))
        except ValidationError as error:
            errors += [{**e, "loc": (*at, *e["loc"])} for e in error.errors(include_url=False)]
    return errors


def _folder_mistakes(path: Path, document: Document, told: set[str]) -> list[Mistake]:
    """What only the folder shows; ``told`` are the keys that are known to be wrong in themselves."""
    folder, mistakes = path.absolute().parent, []
    model, training = document.value.get("model"), document.value.get("training")
    if isinstance(model, str) and "model" not in told and model != folder.name:
        line = document.place(("model",)).line
        mistakes.append(Mistake("model", line, repr(model), f"the folder's name, {folder.name!r}"))
    script = training.get("script", DEFAULT_SCRIPT) if isinstance(training, dict) else DEFAULT_SCRIPT
    rule = _at(document.value, "problem", "baseline", "script")
    for key, named, fault, defines in (
        (("training", "script"), script, script_fault, SCRIPT_DEFINES),
        (("problem", "baseline", "script"), rule, rule_fault, RULE_DEFINES),
    ):
        if isinstance(named, str) and ".".join(key) not in told:
            mistakes += _script_mistakes(path, document.place(key), ".".join(key), named, fault, defines)
    return mistakes


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _script_mistakes(
    path: Path, place: Place, key: str, script: str, fault: Callable[[Path, str], str | None], defines: str
) -> list[Mistake]:
    """Whether the ``script`` at ``key`` is in the folder, and defines what it has to."""
    folder = path.absolute().parent
    file = folder / script
    # Only what lies in the folder is shipped to the training job; a link may lead out of it.
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        why = "leads out of the folder" if file.is_file() else "is not there"
        found, allowed = f"{_shown(script, place)}, which {why}", f"a file in {path.parent}"
        return [Mistake(key, place.line, found, allowed)]
    wrong = fault(file, script)
    return [] if wrong is None else [Mistake(key, place.line, wrong, defines)]


def _mistake(error: ErrorDetails, document: Document) -> Mistake:
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
        wanted = "a value more" if isinstance(last, int) else f"the key {last!r}, which is required{_to_add(location)}"
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
        return Mistake(path, place.line, found, "text, in quotes if YAML would read it as something else")
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
        return f"{shown(value)}, the default when the key is left out"
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
    name = closest_name(str(value))
    return "" if name is None else f", e.g. {name!r} (and rename the column of your files)"


def _is_plain(value: Any, written: str) -> bool:
    if isinstance(value, bool):
        return written.lower() in ("true", "false")
    try:
        return bool(float(written) == value)
    except (ValueError, OverflowError):
        return False


def _to_add(location: Location) -> str:
    """What to write at a required key, where that is known."""
    extra = _section_at(location[:-1]).model_fields[str(location[-1])].json_schema_extra
    return f": {extra[ADD]}" if isinstance(extra, dict) and ADD in extra else ""


def _keys_at(location: Location) -> list[str]:
    """The keys the schema allows at ``location``."""
    return list(_section_at(location).model_fields)


def _section_at(location: Location) -> Any:
    model: Any = ModelDeclaration
    for part in location:
        if isinstance(part, int):
            continue
        model = section_of(model.model_fields[part].annotation)
    return model
