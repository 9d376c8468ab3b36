"""What a rollout tells of the version that stands by is read as it was written, also by and from an earlier release."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.serving.standby import Standby, StandbyFormatError

INSTANTS = st.datetimes(datetime(2013, 1, 1), datetime(2100, 1, 1)).map(
    lambda one: one.replace(microsecond=0, tzinfo=UTC)
)


@given(until=st.none() | INSTANTS, calibration=st.text(max_size=20), signer=st.text("0123456789abcdef", max_size=64))
def test_what_is_written_is_read(until: datetime | None, calibration: str, signer: str) -> None:
    standby = Standby(7, "artifacts/m/000007/", "f" * 64, until, calibration, signer)
    assert Standby.from_text(standby.to_text()) == standby


def test_without_a_signer_the_text_is_what_it_was() -> None:
    plain = Standby(7, "p/", "f")
    assert plain.to_text() == '[7,"p/","f",""]'
    assert Standby(7, "p/", "f", calibration="c").to_text() == '[7,"p/","f","","c"]'
    assert Standby(7, "p/", "f", signer="s").to_text() == '[7,"p/","f","","","s"]'


@pytest.mark.parametrize("text", ["{", "7", "[7]", '[7,"p/","f","","c","s","more"]', '["x","p/","f",""]'])
def test_what_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(StandbyFormatError, match="names no version"):
        Standby.from_text(text)


def test_the_empty_text_names_none() -> None:
    assert Standby.from_text("") is None
