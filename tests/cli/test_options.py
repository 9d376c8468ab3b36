"""What is typed about a file reaches the command as one format, or is refused before anything is read."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from everloop.cli.commands.data import data
from everloop.cli.commands.labels import labels
from everloop.cli.commands.replay import replay
from everloop.cli.commands.try_ import try_
from everloop.cli.options import file_format_options
from everloop.dataset.exceptions import FileFormatError
from everloop.dataset.file_format import FileFormat


def typed(*arguments: str, times: bool = True) -> FileFormat:
    seen: list[FileFormat] = []

    @click.command()
    @file_format_options(times=times)
    def command(file_format: FileFormat) -> None:
        seen.append(file_format)

    result = CliRunner().invoke(command, list(arguments))
    if result.exception is not None:
        raise result.exception
    return seen[0]


def test_nothing_typed_is_the_plain_format() -> None:
    assert typed() == typed(times=False) == FileFormat()


@pytest.mark.parametrize("tab", ["tab", "\t", r"\t"])
def test_all_of_it_may_be_typed(tab: str) -> None:
    said = typed(
        *("--delimiter", tab, "--decimal", ",", "--encoding", "latin-1", "--missing-word", "-", "--missing-word", "?"),
        *("--time-format", "%d.%m.%Y", "--time-zone", "Europe/Berlin"),
    )
    assert said == FileFormat("\t", ",", "latin-1", ("-", "?"), None, "%d.%m.%Y", "Europe/Berlin")
    assert typed("--time-unit", "ms") == FileFormat(time_unit="ms")


@pytest.mark.parametrize("wrong", [("--delimiter", ";;"), ("--encoding", "klingon"), ("--time-zone", "nowhere")])
def test_what_makes_no_sense_is_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(FileFormatError, match=wrong[0]):
        typed(*wrong)


@pytest.mark.parametrize("command", [data.commands["import"], labels.commands["import"], try_, replay])
def test_every_command_that_reads_rows_takes_them(command: click.Command) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    wanted = {"--delimiter", "--decimal", "--encoding", "--missing-word"}
    times = {"--time-unit", "--time-format", "--time-zone"}
    assert wanted <= options
    assert (times <= options) is (command is not labels.commands["import"])
