"""Whether a training script can be one, as far as its text shows: nothing of it runs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SIGNATURE = "train(features, target, *, seed, parameters)"
SCRIPT_DEFINES = f"a Python file that defines {SIGNATURE}"

_GIVEN = ("seed", "parameters")
"""What the training job gives by name, after the features and the target."""


def script_fault(file: Path, name: str) -> str | None:
    """Why ``file``, called ``name``, can be no training script, with its line; None where its text does not show it.

    Names that are imported, or assigned, may be anything: the training job finds out.
    """
    try:
        tree = ast.parse(file.read_bytes(), file.name)
    except SyntaxError as error:
        python = ".".join(map(str, sys.version_info[:2]))
        return f"{name}:{error.lineno}, which Python {python} can't read: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        return f"{name}, which can't be read: {error}"
    defined = list(_bound(tree.body))
    if not defined:
        return f"{name}, which defines no function train"
    last = defined[-1]
    fault = _signature_fault(last) if isinstance(last, ast.FunctionDef) else None
    return None if fault is None else f"{name}:{last.lineno}, which defines train without {fault}"


def _bound(body: list[ast.stmt]) -> Iterator[ast.stmt | ast.expr]:
    """What may give the module a name ``train``, in the order of the text: also inside ``if``, ``try`` and ``with``."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if statement.name == "train":
                yield statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (statement for alias in statement.names if (alias.asname or alias.name) in ("train", "*"))
        else:
            yield from _assigned(statement)
            for part in ("body", "orelse", "finalbody"):
                yield from _bound(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _bound(handler.body)


def _assigned(statement: ast.stmt) -> Iterator[ast.expr]:
    """The targets of an assignment that are called ``train``; of a block, what follows its own head is not its own."""
    heads = [getattr(statement, name, None) for name in ("targets", "target", "items")]
    for head in heads:
        for node in head if isinstance(head, list) else [head] if head is not None else []:
            yield from (n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == "train")


def _signature_fault(function: ast.FunctionDef) -> str | None:
    arguments = function.args
    places = [*arguments.posonlyargs, *arguments.args]
    if len(places) < 2 and arguments.vararg is None:
        return "features and target as its first arguments"
    beyond_two = [argument.arg for argument in places[2:] if argument not in arguments.posonlyargs]
    by_name = {*beyond_two, *(argument.arg for argument in arguments.kwonlyargs)}
    missing = [name for name in _GIVEN if name not in by_name]
    if missing and arguments.kwarg is None:
        return " and ".join(missing)
    return None
