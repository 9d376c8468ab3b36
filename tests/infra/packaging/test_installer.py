"""uv and pip install the same wheels for Lambda; each is tried on a folder of wheels, without an index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from everloop.infra.exceptions import LayerUnavailableError
from everloop.infra.packaging.installer import install_wheels, platform_tags
from everloop.infra.packaging.requirements import Target

ONLY = {
    "uv": {"UV_NO_INDEX": "1", "UV_FIND_LINKS": "{wheels}", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
    "pip": {"UV_NO_INDEX": "1", "UV_FIND_LINKS": "", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "{wheels}"},
}
"""The environment in which one installer finds the wheels and the other finds nothing."""


@pytest.fixture(params=sorted(ONLY))
def wheels(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that one of the installers looks into."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in ONLY[request.param].items():
        monkeypatch.setenv(name, value.format(wheels=folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    return folder


def write_wheel(folder: Path, tags: str, name: str = "thing") -> None:
    information = f"{name}-1.0.dist-info"
    content = {
        f"{name}.py": b"x = 1\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
    }
    expanded = [f"Tag: cp313-cp313-{tag}" for tag in tags.split(".")]
    lines = ["Wheel-Version: 1.0", "Generator: tests", "Root-Is-Purelib: false", *expanded]
    content[f"{information}/WHEEL"] = ("\n".join(lines) + "\n").encode()
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for file, data in content.items()
    )
    content[f"{information}/RECORD"] = (record + f"{information}/RECORD,,\n").encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-cp313-cp313-{tags}.whl", "w") as archive:
        for file, data in content.items():
            archive.writestr(file, data)


def install(target: Target, tmp_path: Path, *names: str) -> Path:
    (tmp_path / "requirements.txt").write_text("".join(f"{name}==1.0\n" for name in names))
    (tmp_path / "constraints.txt").write_text("")
    install_wheels(tmp_path / "requirements.txt", tmp_path / "constraints.txt", target, tmp_path / "installed")
    return tmp_path / "installed"


KINDS = {
    "newest": "manylinux_2_28",
    "between": "manylinux_2_24",
    "both": "manylinux_2_17.manylinux2014",
    "oldest": "manylinux2014",
}


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_wheels_for_any_glibc_that_lambda_has_are_installed(wheels: Path, architecture: str, tmp_path: Path) -> None:
    target = Target("3.13", architecture)
    for name, kind in KINDS.items():
        write_wheel(wheels, ".".join(f"{part}_{target.machine}" for part in kind.split(".")), name)
    installed = install(target, tmp_path, *KINDS)
    assert {path.stem for path in installed.glob("*.py")} == set(KINDS)


@pytest.mark.parametrize("tag", ["manylinux_2_34_x86_64", "manylinux_2_28_aarch64", "macosx_11_0_x86_64"])
def test_wheels_for_anything_else_are_not(wheels: Path, tag: str, tmp_path: Path) -> None:
    write_wheel(wheels, tag)
    with pytest.raises(LayerUnavailableError, match=r"the layer of thing==1\.0 for Python 3\.13 on x86_64"):
        install(Target("3.13", "x86_64"), tmp_path, "thing")


def test_the_newest_glibc_comes_first() -> None:
    tags = platform_tags(Target("3.13", "arm64"))
    assert tags[0] == "manylinux_2_28_aarch64"
    assert tags[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]
