from __future__ import annotations

import fcntl
import sys
import threading
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from everloop.infra.exceptions import LayerUnavailableError, SizeLimitError
from everloop.infra.packaging import compiled, layers
from everloop.infra.packaging.compiled import candidates, compile_folder, interpreter
from everloop.infra.packaging.layers import Layer, build_layer, layer_identity
from everloop.infra.packaging.requirements import Target, read_lines
from everloop.infra.packaging.sizes import UNZIPPED_LIMIT_BYTES, check_unzipped_size

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
X86 = Target("3.13", "x86_64")


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("Some_Package==1.0\n")
    return path


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("helper==2.0\n")
    return path


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A package index in the place of the real one: one package, one that it brings along."""
    calls: list[str] = []

    def install(requirements: Path, constraints: Path, target: Target, folder: Path) -> None:
        calls.append(requirements.read_text())
        files = {
            "some_package/__init__.py": "x = 1\n",
            "some_package/tests/test_all.py": "",
            "some_package-1.0.dist-info/METADATA": "Name: Some_Package\n",
            "some_package-1.0.dist-info/RECORD": f"changes every time {len(calls)}\n",
            "helper.py": "y = 2\n",
            "helper-2.0.dist-info/METADATA": "Name: helper\n",
            "bin/some-command": "",
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "helper.py").chmod(0o755)

    monkeypatch.setattr(layers, "install_wheels", install)
    return calls


def test_a_layer_holds_packages_and_their_exact_pins(
    requirements: Path, constraints: Path, installs: list[str], tmp_path: Path
) -> None:
    layer = build_layer(requirements, constraints, X86, tmp_path / "cache")
    assert layer is not None
    with zipfile.ZipFile(layer.archive) as archive:
        names = {n for n in archive.namelist() if not n.endswith(".pyc")}
        lock = archive.read("python/requirements.lock").decode()
    assert names == {
        "python/helper.py",
        "python/helper-2.0.dist-info/METADATA",
        "python/requirements.lock",
        "python/some_package/__init__.py",
        "python/some_package-1.0.dist-info/METADATA",
    }
    assert lock == "helper==2.0\nsome-package==1.0\n"
    assert layer.unzipped_bytes > 0


def test_it_is_built_once_and_the_same_each_time(
    requirements: Path, constraints: Path, installs: list[str], tmp_path: Path
) -> None:
    one = build_layer(requirements, constraints, X86, tmp_path / "cache")
    again = build_layer(requirements, constraints, X86, tmp_path / "cache")
    assert one == again
    assert len(installs) == 1
    elsewhere = build_layer(requirements, constraints, X86, tmp_path / "other")
    assert elsewhere is not None
    assert one is not None
    assert elsewhere.archive.read_bytes() == one.archive.read_bytes()


def test_no_requirements_no_layer(constraints: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert build_layer(tmp_path / "empty.txt", constraints, X86, tmp_path / "cache") is None


def test_order_and_comments_do_not_make_another_layer(tmp_path: Path, constraints: Path) -> None:
    (tmp_path / "a.txt").write_text("numpy==2\npydantic==2\n")
    (tmp_path / "b.txt").write_text("# the same\npydantic==2\nnumpy==2\n")
    pins = read_lines(constraints)
    one, other = (layer_identity(read_lines(tmp_path / f"{n}.txt"), pins, X86) for n in "ab")
    assert one == other
    assert one != layer_identity(read_lines(tmp_path / "a.txt"), pins, Target("3.13", "arm64"))


def test_offline_with_a_cold_cache_it_says_what_and_what_to_do(
    constraints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.txt").write_text("numpy==2.4.6\n")
    for name, value in {"UV_OFFLINE": "1", "UV_NO_CACHE": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LayerUnavailableError, match=r"the layer of numpy==2\.4\.6 .* package index") as caught:
        build_layer(tmp_path / "r.txt", constraints, X86, tmp_path / "cache")
    assert "numpy" in str(caught.value).split("\n", 1)[1]
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []


def test_compiled_caches_name_the_place_they_run_at(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def f():\n    pass\n")
    assert compile_folder(tmp_path, HERE, place="/opt/python")
    (cache,) = tmp_path.rglob("*.pyc")
    assert b"/opt/python/module.py" in cache.read_bytes()
    assert str(tmp_path).encode() not in cache.read_bytes()


def test_without_the_interpreter_sources_are_shipped(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("")
    assert interpreter("3.99") is None
    assert not compile_folder(tmp_path, "3.99", place="/opt/python")


@pytest.mark.parametrize("cache", ["cache", "elsewhere"], ids=["made of each other", "each installed"])
@pytest.mark.parametrize("first", ["with", "without"])
def test_with_and_without_the_interpreter_a_layer_is_the_same_and_kept_apart(
    first: str,
    cache: str,
    requirements: Path,
    constraints: Path,
    installs: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, found = Target(HERE, "x86_64"), interpreter(HERE)

    def build(place: str, python: str | None) -> Layer:
        for module in (layers, compiled):
            monkeypatch.setattr(module, "interpreter", lambda version: python)
        layer = build_layer(requirements, constraints, here, tmp_path / place)
        assert layer is not None
        return layer

    pythons = (found, None) if first == "with" else (None, found)
    one, two = build("cache", pythons[0]), build(cache, pythons[1])
    compiled_one, sources = (one, two) if first == "with" else (two, one)
    assert len(installs) == (1 if cache == "cache" else 2), "what is kept is not installed again"
    assert (sources.identity, sources.content) == (compiled_one.identity, compiled_one.content)
    assert sources.archive != compiled_one.archive
    assert sources.unzipped_bytes < compiled_one.unzipped_bytes
    # And it is what it is from an index, byte for byte, with what may be executed.
    alone = build("alone", pythons[1])
    assert two.archive.read_bytes() == alone.archive.read_bytes()


def test_what_version_managers_installed_is_found(tmp_path: Path) -> None:
    for place in (".pyenv/versions/3.13.0", ".pyenv/versions/3.12.1", "uv/python/cpython-3.13.5-linux-x86_64-gnu"):
        (tmp_path / place / "bin").mkdir(parents=True)
    found = list(candidates("3.13", {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}))
    assert found == [
        "python3.13",
        f"{tmp_path}/.pyenv/versions/3.13.0/bin/python3.13",
        f"{tmp_path}/uv/python/cpython-3.13.5-linux-x86_64-gnu/bin/python3.13",
    ]


def test_a_function_at_the_limit_fits_and_one_above_is_refused() -> None:
    assert check_unzipped_size("f", {"code": 1, "layer": UNZIPPED_LIMIT_BYTES - 1}) == UNZIPPED_LIMIT_BYTES
    with pytest.raises(SizeLimitError, match=r"f: 250 MB unzipped \(code 0 MB, layer 250 MB\)"):
        check_unzipped_size("f", {"code": 1, "layer": UNZIPPED_LIMIT_BYTES})


@pytest.mark.parametrize("left", [True, False], ids=["after a build that was cut off", "in an empty cache"])
def test_of_two_that_need_a_layer_at_once_one_builds_it(
    left: bool,
    requirements: Path,
    constraints: Path,
    installs: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN a second one that begins while the first one installs
    cache, install = tmp_path / "cache", vars(layers)["install_wheels"]
    identity = layer_identity(read_lines(requirements), read_lines(constraints), X86)
    if left:
        (cache / identity).mkdir(parents=True)
        (cache / identity / "layer.zip").write_bytes(b"half of it")
    first, lock, second_waits = threading.get_ident(), fcntl.flock, threading.Event()

    def met(*arguments: Any) -> None:
        others.append(pool.submit(build_layer, requirements, constraints, X86, cache))
        assert second_waits.wait(60)
        install(*arguments)

    def locked(descriptor: int, kind: int) -> None:
        if threading.get_ident() != first:
            second_waits.set()
        lock(descriptor, kind)

    monkeypatch.setattr(layers, "install_wheels", met)
    monkeypatch.setattr(fcntl, "flock", locked)
    others: list[Future[Layer | None]] = []
    with ThreadPoolExecutor() as pool:
        mine = build_layer(requirements, constraints, X86, cache)
        (other,) = others

    # THEN both have the one layer
    assert mine is not None
    assert other.result() == mine
    assert len(installs) == 1
    assert zipfile.is_zipfile(mine.archive)
    assert [p.name for p in cache.iterdir()] == [identity]
