"""Settings are read whole or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.core.settings import Settings, SettingsError
from localcloud.services.lambda_.managed_layers import ManagedLayer, managed_layers

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
        ("[lambada]\n", r"localcloud\.toml: no service reads \[lambada\]; there are lambda"),
        ("lambda = [", "can not be read as TOML"),
        ("[lambda]\nlayers = []\n", r"\[lambda\] has layers"),
        ('[[lambda.managed_layers]]\narn = "a"\n', r"number 1: pins is missing"),
        ('[[lambda.managed_layers]]\narn = "a"\npins = "p"\npin = 1\n', r"number 1: pin is no key of it"),
        ('[[lambda.managed_layers]]\narn = "a"\npins = "none.txt"\n', r"there is no file .*none\.txt"),
    ],
)
def test_what_would_have_no_effect_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        managed_layers(read(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        Settings.read(tmp_path / "none.toml", KNOWN)
