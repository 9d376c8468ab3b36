"""What is said about a file makes sense, or is refused with what may be said."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.dataset.exceptions import FileFormatError
from everloop.dataset.file_format import FileFormat


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"delimiter": ";;"}, "one character"),
        ({"delimiter": '"'}, "one character"),
        ({"delimiter": "§"}, "one character"),
        ({"delimiter": ",", "decimal": ","}, "both ','"),
        ({"decimal": "'"}, "give . or ,"),
        ({"encoding": "klingon"}, "windows-1252"),
        ({"encoding": "base64"}, "windows-1252"),
        ({"encoding": ""}, "windows-1252"),
        ({"encoding": "undefined"}, "windows-1252"),
        ({"time_unit": "min"}, "s, ms, us, ns"),
        ({"time_unit": "s", "time_format": "%d.%m.%Y"}, "give only one"),
        ({"time_unit": "s", "time_zone": "Europe/Berlin"}, "in UTC"),
        ({"time_format": "dd.mm.yyyy"}, "%d.%m.%Y"),
        ({"time_format": "%d.%Q"}, "%d.%m.%Y"),
        ({"time_zone": "Mars/Olympus"}, "Europe/Berlin"),
        ({"time_zone": "../etc/passwd"}, "Europe/Berlin"),
        ({"time_zone": ""}, "Europe/Berlin"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], says: str) -> None:
    with pytest.raises(FileFormatError) as refused:
        FileFormat(**said)
    assert says in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "latin-1", "windows-1252", "cp1252", "utf-16"])
def test_text_encodings_are_taken_under_their_names(encoding: str) -> None:
    assert FileFormat(encoding=encoding).encoding == encoding
