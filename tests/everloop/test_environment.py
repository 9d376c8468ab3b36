"""A function's settings are typed, and what is wrong with them is said at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from everloop.environment import MissingSettingError, Settings, WrongSettingError


@dataclass(frozen=True)
class Own(Settings):
    table: str
    version: int | None = None
    prefix: str = ""


GIVEN = {"EVERLOOP_MODEL": "m", "EVERLOOP_TABLE": "t", "EVERLOOP_ELSE": "x", "PATH": "/"}


def test_the_variables_are_read_by_the_fields_names() -> None:
    assert Own.read(GIVEN) == Own(model="m", table="t")
    assert Own.read({**GIVEN, "EVERLOOP_VERSION": "7", "EVERLOOP_PREFIX": "p"}) == Own("m", "t", 7, "p")


def test_an_empty_one_is_none() -> None:
    assert Own.read({**GIVEN, "EVERLOOP_VERSION": ""}).version is None
    with pytest.raises(MissingSettingError, match="EVERLOOP_TABLE is not set"):
        Own.read({**GIVEN, "EVERLOOP_TABLE": ""})


def test_all_that_are_missing_are_named() -> None:
    with pytest.raises(MissingSettingError, match="EVERLOOP_MODEL and EVERLOOP_TABLE are not set"):
        Own.read({})


@pytest.mark.parametrize("text", ["seven", "-1", "1.5", " 7"])
def test_a_number_is_one(text: str) -> None:
    with pytest.raises(WrongSettingError, match="EVERLOOP_VERSION"):
        Own.read({**GIVEN, "EVERLOOP_VERSION": text})
