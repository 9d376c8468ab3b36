"""Settings are read whole or refused by name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from localcloud.core.settings import Settings, SettingsError
from localcloud.server import COLD_STARTS
from localcloud.services.lambda_ import preload
from localcloud.services.lambda_.managed_layers import ManagedLayer, managed_layers
from localcloud.services.lambda_.preload import freezes, idle_time, preloaded_modules, shares_processor
from localcloud.services.lambda_.runtime.processor import CAN_SHARE

KNOWN = frozenset({"lambda"})


def read(directory: Path, text: str) -> Settings:
    file = directory / "localcloud.toml"
    file.write_text(text)
    return Settings.read(file, KNOWN)


def test_a_managed_layer_has_its_pins_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("six==1.17.0\n")
    entry = '[[lambda.managed_layers]]\narn = ":1:layer:A"\npins = "pins.txt"\nparameters = { "/a" = "arn" }\n'

    assert managed_layers(read(tmp_path, entry)) == (ManagedLayer(":1:layer:A", tmp_path / "pins.txt", {"/a": "arn"}),)
    assert managed_layers(Settings()) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lambada]\n", r"localcloud\.toml: no service reads \[lambada\]; the tables are lambda"),
        ("lambda = [", "can't be read as TOML"),
        ("[lambda]\nlayers = []\n", r"\[lambda\] has layers"),
        ('[[lambda.managed_layers]]\narn = "a"\n', r"number 1: pins is missing"),
        ('[[lambda.managed_layers]]\narn = "a"\npins = "p"\npin = 1\n', r"number 1: pin is no key of it"),
        ('[[lambda.managed_layers]]\narn = "a"\npins = "none.txt"\n', r"there is no file .*none\.txt"),
    ],
)
def test_what_would_have_no_effect_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        managed_layers(read(tmp_path, text))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"boto3"', r"preload = 'boto3': it is a list of modules' names"),
        ("[1]", r"preload = \[1\]: it is a list"),
        ('["awslambdaric.bootstrap"]', r"'awslambdaric.bootstrap', which reads a worker's own address"),
        ('["runtime_client"]', "leave it out"),
    ],
)
def test_what_can_not_be_imported_beforehand_is_refused(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        preloaded_modules(read(tmp_path, f"[lambda]\npreload = {value}\n"))


@pytest.mark.parametrize("value", ["0", "-1", "true", '"10"', "inf", "nan"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=r"\[lambda\] idle_minutes = .*: it is a number of minutes above 0"):
        idle_time(read(tmp_path, f"[lambda]\nidle_minutes = {value}\n"))


def test_workers_are_used_again_whenever_unless_the_settings_say_so(tmp_path: Path) -> None:
    assert idle_time(read(tmp_path, "[lambda]\nidle_minutes = 7.5\n")) == timedelta(minutes=7.5)
    assert idle_time(Settings()) is None


def test_workers_freeze_where_the_settings_say_so(tmp_path: Path) -> None:
    assert freezes(read(tmp_path, "[lambda]\nfreeze = true\n"))
    assert not freezes(Settings())
    with pytest.raises(SettingsError, match=r"\[lambda\] freeze = 1: it is true or false"):
        freezes(read(tmp_path, "[lambda]\nfreeze = 1\n"))


def test_memory_sets_the_share_of_a_processor_where_the_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = read(tmp_path, "[lambda]\nprocessor_share = true\n")
    assert shares_processor(asked) == CAN_SHARE
    assert not shares_processor(Settings())
    with pytest.raises(SettingsError, match=r"\[lambda\] processor_share = 0.5: it is true or false"):
        shares_processor(read(tmp_path, "[lambda]\nprocessor_share = 0.5\n"))
    # AND where the system can't, that is said
    caplog.clear()
    monkeypatch.setattr(preload, "CAN_SHARE", False)
    assert not shares_processor(asked)
    assert "processor_share needs Linux" in caplog.text
    caplog.clear()
    assert not shares_processor(Settings())
    assert caplog.text == ""


def test_the_settings_of_cold_starts_are_all_known() -> None:
    settings = Settings().but("lambda", COLD_STARTS)
    assert managed_layers(settings) == managed_layers(Settings())
    assert (preloaded_modules(settings), idle_time(settings)) == ((), timedelta(minutes=10))
    assert (freezes(settings), shares_processor(settings)) == (True, CAN_SHARE)


def test_values_take_the_place_of_those_in_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, '[lambda]\npreload = ["boto3"]\nidle_minutes = 1\n')
    changed = settings.but("lambda", {"preload": []})
    assert (preloaded_modules(changed), idle_time(changed)) == ((), timedelta(minutes=1))
    assert (changed.file, preloaded_modules(settings)) == (settings.file, ("boto3",))
    assert idle_time(Settings().but("lambda", {"idle_minutes": 2})) == timedelta(minutes=2)


def test_nothing_is_imported_beforehand_unless_the_settings_say_so(tmp_path: Path) -> None:
    assert preloaded_modules(read(tmp_path, '[lambda]\npreload = ["boto3"]\n')) == ("boto3",)
    assert preloaded_modules(Settings()) == ()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        Settings.read(tmp_path / "none.toml", KNOWN)
