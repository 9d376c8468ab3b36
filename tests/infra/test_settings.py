from __future__ import annotations

from pathlib import Path

import pytest

from everloop.infra.exceptions import SynthesisError
from everloop.infra.settings import Settings, read_models, why_not_so_many
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.synthesis import ROOT, write_model


def test_models_come_sorted(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    write_model(tmp_path, regression_document())
    assert [m.declaration.model for m in read_models(tmp_path)] == ["delay_minutes", "late_train"]


def test_all_mistakes_of_all_models_come_at_once(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document() | {"surprise": 1})
    write_model(tmp_path, regression_document(serving={"max_row": 3}))
    (tmp_path / "third").mkdir()
    with pytest.raises(SynthesisError) as caught:
        read_models(tmp_path)
    lines = str(caught.value).splitlines()
    assert [part for part in ("surprise", "max_row", "third") if not any(part in line for line in lines)] == []


def test_a_misspelt_file_does_not_take_a_model_away(tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    (tmp_path / "late_train" / "model.yaml").rename(tmp_path / "late_train" / "model.yml")
    with pytest.raises(SynthesisError, match=r"model\.yaml"):
        read_models(tmp_path)


def test_the_document_is_the_same_however_the_file_is_written(tmp_path: Path) -> None:
    folder = write_model(tmp_path, binary_document())
    before = read_models(tmp_path)[0]
    text = (folder / "model.yaml").read_text(encoding="utf-8")
    (folder / "model.yaml").write_text(f"# a comment\n{text}", encoding="utf-8")
    assert read_models(tmp_path)[0].sha256 == before.sha256


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(SynthesisError, match="'sparc' is not one of x86_64, arm64"):
        Settings.of(ROOT, models="tests", architecture="sparc")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="nowhere"):
        Settings.of(tmp_path, models="nowhere")


def test_more_models_that_take_tokens_than_the_api_has_authorizers_are_refused() -> None:
    jwt = {"issuer": "https://login.example.com", "audience": ["predictions"]}
    taking = [
        declare(binary_document(model=f"late_{n}", serving={"authorization": "jwt", "jwt": jwt})) for n in range(11)
    ]
    signed = declare(regression_document())
    own = declare(
        binary_document(model="own", serving={"authorization": "jwt", "jwt": jwt, "rate": {"requests_per_second": 5}})
    )
    assert why_not_so_many([*taking[:10], own], 10) is None, "its authorizer is its own API's"
    assert why_not_so_many([*taking[:10], signed], 10) is None
    refused = why_not_so_many([*taking, signed], 10) or ""
    assert "11 models have serving.authorization: jwt (late_0, late_1" in refused
    assert "delay_minutes" not in refused
    assert "everloop:authorizers=11" in refused
    assert "or serving.rate, which gives a model an API of its own" in refused
    assert why_not_so_many(taking, Settings.of(ROOT, models="tests", authorizers="11").authorizers) is None


@pytest.mark.parametrize("given", ["many", "-1", "", "1.5", "¹", None])
def test_authorizers_that_are_no_number_are_refused(given: str | None) -> None:
    with pytest.raises(SynthesisError, match="everloop:authorizers"):
        Settings.of(ROOT, models="tests", authorizers=given)  # type: ignore[arg-type]  # as the context has it
