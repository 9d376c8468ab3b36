"""Hooks stack, or are refused; what they changed can be taken back."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.core import patching
from localcloud.core.patching import HookConflictError, MotoChangedError, add, replace, restore, wrap
from support.in_process import MakeCloud


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    restore()
    yield
    restore()


class Backend:
    limit = 1

    def name(self) -> str:
        return "moto"

    @staticmethod
    def plain(text: str) -> str:
        return text

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__


class Special(Backend):
    pass


def saying(word: str) -> Any:
    """A hook that says a word after what was there."""

    def build(original: Any) -> Any:
        return lambda *arguments: f"{original(*arguments)} {word}"

    return build


def test_two_hooks_of_one_method_both_have_their_say() -> None:
    wrap(Backend, "name", saying("first"))
    wrap(Backend, "name", saying("second"))

    assert Backend().name() == "moto first second"


def test_a_replacement_can_be_wrapped() -> None:
    replace(Backend, "name", lambda self: "mine")
    wrap(Backend, "name", saying("after"))

    assert Backend().name() == "mine after"


@pytest.mark.parametrize("first", ["wrap", "replace"])
def test_a_replacement_that_would_cut_a_hook_off_is_refused(first: str) -> None:
    if first == "wrap":
        wrap(Backend, "name", saying("first"))
    else:
        replace(Backend, "name", lambda self: "first")

    with pytest.raises(HookConflictError, match=r"Backend\.name: .*test_patching has changed it"):
        replace(Backend, "name", lambda self: "second")
    assert "first" in Backend().name()


def test_static_and_class_methods_stay_what_they_are() -> None:
    wrap(Backend, "plain", saying("wrapped"))
    wrap(Backend, "of_class", saying("wrapped"))

    assert Backend.plain("a") == Backend().plain("a") == "a wrapped"
    assert Special.of_class() == "Special wrapped"


def test_all_of_it_is_taken_back() -> None:
    before = dict(vars(Backend))
    for word in ("first", "second"):
        wrap(Backend, "name", saying(word))
        wrap(Backend, "plain", saying(word))
    replace(Backend, "limit", 2)
    add(Backend, "more", 3)

    restore()

    assert dict(vars(Backend)) == before


def test_a_hook_of_a_subclass_leaves_the_class_alone_and_goes_without_a_trace() -> None:
    wrap(Special, "name", saying("special"))

    assert (Backend().name(), Special().name()) == ("moto", "moto special")
    restore()
    assert "name" not in vars(Special)


def test_what_moto_no_longer_has_is_an_error() -> None:
    with pytest.raises(MotoChangedError, match=r"Backend\.gone"):
        wrap(Backend, "gone", saying("x"))
    with pytest.raises(MotoChangedError, match=r"Backend\.gone"):
        replace(Backend, "gone", 1)


def test_what_moto_has_by_itself_is_not_added() -> None:
    with pytest.raises(MotoChangedError, match="still needed"):
        add(Backend, "name", 1)


def test_what_one_hook_added_another_does_not() -> None:
    add(Backend, "more", 1)

    with pytest.raises(HookConflictError, match="has added it already"):
        add(Backend, "more", 2)


def test_every_module_that_holds_a_helper_gets_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = [types.ModuleType(f"a_package.part{number}") for number in range(2)]
    other = types.ModuleType("a_package_of_another_name")
    for module in (*holders, other):
        module.helper = lambda: "moto"  # type: ignore[attr-defined]  # a module of this test, made at run time
        monkeypatch.setitem(sys.modules, module.__name__, module)

    patching.wrap_in_holders("a_package", "helper", saying("changed"))

    assert [module.helper() for module in holders] == ["moto changed"] * 2
    assert other.helper() == "moto"
    restore()
    assert [module.helper() for module in holders] == ["moto"] * 2
    with pytest.raises(MotoChangedError, match="has none"):
        patching.wrap_in_holders("a_package", "none", saying("x"))


def test_a_second_cloud_in_a_process_changes_moto_anew(make_cloud: MakeCloud) -> None:
    """Its hooks take the place of the first one's; none is left when both are gone."""
    from moto.dynamodb.responses import DynamoHandler

    from localcloud import hooks

    shipped = DynamoHandler.__dict__.get("transact_write_items")
    make_cloud()
    first = len(patching._changes)
    make_cloud()

    assert len(patching._changes) == first
    hooks.uninstall()
    assert patching._changes == []
    assert DynamoHandler.__dict__.get("transact_write_items") is shipped
