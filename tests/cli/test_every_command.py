"""Every command speaks to machines as well as to people, and says what its exit status means."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from everloop.cli import commands
from everloop.cli.main import everloop

FOLDER = Path(commands.__file__).parent
PRINTS = re.compile(r"\b(print|click\.echo|click\.secho|sys\.std(out|err)\.write)\(")


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(everloop))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_it_has_a_document_for_machines(path: tuple[str, ...]) -> None:
    assert "as_json" in {parameter.name for parameter in COMMANDS[path].params}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_all_that_can_be_typed_is_explained(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
        else:
            named = str(parameter.metavar or parameter.name).upper().strip("[]")
            assert named in command.help, f"{named} is not in the help"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_exit_status_of_its_own_is_in_its_help(path: tuple[str, ...]) -> None:
    callback = inspect.unwrap(COMMANDS[path].callback or (lambda: None))
    if "sys.exit(" in inspect.getsource(callback):
        assert "Exit status" in str(COMMANDS[path].help)


def groups(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from groups(command, (*path, name))


@pytest.mark.parametrize("path", list(groups(everloop)), ids=" ".join)
def test_no_line_of_a_list_of_commands_is_cut(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(everloop, [*path, "--help"]).output
    assert "..." not in told.partition("Commands:")[2]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_thing_has_one_word_in_the_help(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(everloop, [*path, "--help"]).output.lower()
    # Labels, not outcomes; the audit chain, not a log; rows, not instances.
    for word in ("outcome", "audit log", "instance"):
        assert not re.search(rf"\b{word}s?\b(?! instead of)", told), word


def test_the_exit_statuses_are_told_once_for_all() -> None:
    told = CliRunner().invoke(everloop, ["--help"]).output
    assert "Exit status: 0 when all went well" in told


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.name)
def test_a_command_prints_through_its_output_alone(file: Path) -> None:
    assert not PRINTS.findall(file.read_text(encoding="utf-8"))


def test_a_group_without_a_command_shows_its_help_and_fails() -> None:
    for name in ("runs", "rollout", "audit", "local", "data", "labels"):
        result = CliRunner().invoke(everloop, [name])
        assert result.exit_code == 2, name
        assert "Usage:" in result.output
