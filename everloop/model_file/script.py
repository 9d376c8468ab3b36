"""Whether a script of the model's folder can be one, as far as its text shows: nothing of it runs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SIGNATURE = "train(features, target, *, seed, parameters)"
SCRIPT_DEFINES = f"a Python file that defines {SIGNATURE}"

EXPORT_FUNCTION, PREDICT_FUNCTION = "export", "predict"
"""What a script may define beside ``train``: it then writes the model as ONNX itself."""

RULE_FUNCTION = "rule"
RULE_SIGNATURE = "rule(features)"
RULE_DEFINES = f"a Python file that defines {RULE_SIGNATURE}"

_GIVEN = ("seed", "parameters")
"""What the training job gives by name, after the features and the target."""


def script_fault(file: Path, name: str) -> str | None:
    """Why ``file``, called ``name``, can be no training script, with its line; None where its text does not show it.

    Names that are imported, or assigned, may be anything: the training job finds out.
    """
    defined = _defined(file, name, "train")
    if isinstance(defined, str):
        return defined
    fault = _signature_fault(defined) if isinstance(defined, ast.FunctionDef) else None
    return None if fault is None else f"{name}:{defined.lineno}, which defines train without {fault}"


def rule_fault(file: Path, name: str) -> str | None:
    """The same of a file whose function is the rule in force."""
    defined = _defined(file, name, RULE_FUNCTION)
    if isinstance(defined, str):
        return defined
    if isinstance(defined, ast.FunctionDef):
        arguments = defined.args
        places = len(arguments.posonlyargs) + len(arguments.args)
        needed = places - len(arguments.defaults) + sum(default is None for default in arguments.kw_defaults)
        if needed > 1 or (places < 1 and arguments.vararg is None):
            return f"{name}:{defined.lineno}, which defines {RULE_FUNCTION} with other arguments than features alone"
    return None


def _defined(file: Path, name: str, function: str) -> ast.stmt | ast.expr | str:
    """What gives the file's module the name ``function`` last; a text says why nothing does."""
    try:
        tree = ast.parse(file.read_bytes(), file.name)
    except SyntaxError as error:
        python = ".".join(map(str, sys.version_info[:2]))
        return f"{name}:{error.lineno}, which Python {python} can't read: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        return f"{name}, which can't be read: {error}"
    defined = list(_bound(tree.body, function))
    return defined[-1] if defined else f"{name}, which defines no function {function}"


def _bound(body: list[ast.stmt], name: str) -> Iterator[ast.stmt | ast.expr]:
    """What may give the module a ``name``, in the order of the text: also inside ``if``, ``try`` and ``with``."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if statement.name == name:
                yield statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (statement for alias in statement.names if (alias.asname or alias.name) in (name, "*"))
        else:
            yield from _assigned(statement, name)
            for part in ("body", "orelse", "finalbody"):
                yield from _bound(getattr(statement, part, []), name)
            for handler in getattr(statement, "handlers", []):
                yield from _bound(handler.body, name)


def _assigned(statement: ast.stmt, name: str) -> Iterator[ast.expr]:
    """The targets of an assignment that are called ``name``; of a block, what follows its own head is not its own."""
    heads = [getattr(statement, part, None) for part in ("targets", "target", "items")]
    for head in heads:
        for node in head if isinstance(head, list) else [head] if head is not None else []:
            yield from (n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name)


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
