"""Machines are parsed once, and what an execution makes of a kept tree is what it makes of a new one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

from localcloud.services.stepfunctions.trees import KEPT, keeping_trees

parse = AmazonStateLanguageParser.parse


@pytest.fixture(autouse=True)
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were really parsed, in order."""
    texts = []

    class Counting(asl_parser.ASLParser):
        def state_machine(self) -> Any:
            texts.append(self.getTokenStream().tokenSource.inputStream.strdata)
            return super().state_machine()

    monkeypatch.setattr(asl_parser, "ASLParser", keeping_trees(Counting))
    return texts


def machine(result: object) -> str:
    states = {
        "A": {"Type": "Pass", "Result": result, "ResultPath": "$.a", "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "C"}]},
        "C": {"Type": "Wait", "Seconds": 1, "End": True},
    }
    return json.dumps({"StartAt": "A", "States": states})


def shown(component: Any, above: tuple[int, ...] = ()) -> Any:
    """What an interpreter consists of, by value."""
    if id(component) in above:
        return "above"
    above = (*above, id(component))
    if isinstance(component, dict):
        return {str(name): shown(value, above) for name, value in component.items()}
    if isinstance(component, list | tuple):
        return [shown(value, above) for value in component]
    if type(component).__module__.startswith("moto.stepfunctions.parser.asl.component"):
        return type(component).__name__, shown(vars(component), above)
    return component if isinstance(component, str | int | float | bool | None) else type(component).__name__


def test_a_machine_is_parsed_once_and_every_execution_has_its_own_interpreter(parsed: list[str]) -> None:
    (first, tree), (second, again) = parse(machine(1)), parse(machine(1))
    assert parsed == [machine(1)]
    assert tree is again
    assert first is not second
    assert shown(first) == shown(second)


def test_another_machine_is_another_tree(parsed: list[str]) -> None:
    assert parse(machine(1))[1] is not parse(machine(2))[1]
    assert shown(parse(machine(1))[0]) != shown(parse(machine(2))[0])
    assert len(parsed) == 2


def test_the_newest_few_are_kept(parsed: list[str]) -> None:
    for number in range(KEPT + 1):
        parse(machine(number))
        parse(machine(0))
    assert len(parsed) == KEPT + 1
    parse(machine(1))
    assert len(parsed) == KEPT + 2


def test_what_is_no_machine_is_refused_every_time(parsed: list[str]) -> None:
    said = []
    for _ in range(2):
        with pytest.raises(ASLParserException) as caught:
            parse('{"StartAt": 1, "States"')
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert len(parsed) == 2


def test_executions_may_begin_at_once() -> None:
    parse(machine(1))
    with ThreadPoolExecutor(8) as threads:
        programs = list(threads.map(lambda _: shown(parse(machine(1))[0]), range(16)))
    assert all(program == programs[0] for program in programs)
