"""Layers: what a function can import, and nothing else."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

from localcloud.services.lambda_.managed_layers import ManagedLayer
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError, LayerNotMaterialisedError
from localcloud.services.lambda_.runtime.layers import LayerInstaller, link_from_environment, parse_lock
from support.lambdas import Lambda, MakeLambda, zipped

IMPORTER = (
    "import importlib\n"
    "def handle(event, context):\n"
    "    found = {}\n"
    "    for name in event:\n"
    "        try:\n"
    "            module = importlib.import_module(name)\n"
    "            found[name] = getattr(module, '__version__', 'there')\n"
    "        except ImportError:\n"
    "            found[name] = None\n"
    "    return found\n"
)


def pin(name: str) -> str:
    return f"{name}=={importlib.metadata.version(name)}"


def test_a_layer_with_a_lock_is_installed_for_the_local_python(lambda_: Lambda) -> None:
    # GIVEN a layer built for another platform, whose lock says what it holds
    layer = lambda_.service.publish_layer_version(
        "deps",
        {
            "Content": {
                "ZipFile": zipped(
                    {
                        "python/numpy/__init__.py": "raise ImportError('built for another Python')",
                        "python/requirements.lock": f"# pins\n{pin('numpy')}\n",
                    }
                )
            }
        },
    )
    lambda_.create(IMPORTER, layers=(layer.arn,))

    # WHEN a function imports its package and one that no layer ships
    found = json.loads(lambda_.invoke(b'["numpy", "pandas"]').payload)

    # THEN only the layer's package is there, working
    assert found == {"numpy": importlib.metadata.version("numpy"), "pandas": None}


def test_a_layer_without_a_lock_is_used_as_it_is(lambda_: Lambda) -> None:
    layer = lambda_.service.publish_layer_version(
        "own", {"Content": {"ZipFile": zipped({"python/own_module.py": "__version__ = '7'\n"})}}
    )
    lambda_.create(IMPORTER, layers=(layer.arn,))

    assert json.loads(lambda_.invoke(b'["own_module"]').payload) == {"own_module": "7"}


def test_later_layers_come_before_earlier_ones_and_the_function_before_both(lambda_: Lambda) -> None:
    arns = tuple(
        lambda_.service.publish_layer_version(
            "own",
            {"Content": {"ZipFile": zipped({"python/shared.py": f"__version__ = '{number}'", "python/mine.py": ""})}},
        ).arn
        for number in (1, 2)
    )
    lambda_.create({"handler.py": IMPORTER, "mine.py": "__version__ = 'function'"}, layers=arns)

    assert json.loads(lambda_.invoke(b'["shared", "mine"]').payload) == {"shared": "2", "mine": "function"}


def test_a_published_version_keeps_its_layer_when_it_is_deleted(lambda_: Lambda) -> None:
    layer = lambda_.service.publish_layer_version(
        "own", {"Content": {"ZipFile": zipped({"python/own_module.py": "__version__ = '7'\n"})}}
    )
    lambda_.create(IMPORTER, layers=(layer.arn,), Publish=True)

    lambda_.service.delete_layer_version("own", 1)

    assert json.loads(lambda_.invoke(b'["own_module"]', "1").payload) == {"own_module": "7"}


def test_a_managed_layer_stands_for_its_pins(make_lambda: MakeLambda, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text(f"packaging=={importlib.metadata.version('packaging')}\n")
    lambda_ = make_lambda(managed_layers=(ManagedLayer(":111122223333:layer:Packaging", pins),))
    lambda_.create(IMPORTER, layers=("arn:aws:lambda:us-east-1:111122223333:layer:Packaging:7",), Timeout=60)

    found = json.loads(lambda_.invoke(b'["packaging", "pandas"]').payload)

    assert found == {"packaging": importlib.metadata.version("packaging"), "pandas": None}


def test_a_layer_of_an_unknown_account_is_refused(lambda_: Lambda) -> None:
    with pytest.raises(InvalidParameterValueError, match="belongs to another account"):
        lambda_.create(IMPORTER, layers=("arn:aws:lambda:us-east-1:999999999999:layer:x:1",))


def test_installed_layers_are_kept_by_their_content(tmp_path: Path) -> None:
    installer = LayerInstaller(tmp_path)
    pins = {"six": importlib.metadata.version("six")}

    first, second = installer.install(pins), installer.install(dict(pins))
    other = installer.install({**pins, "packaging": importlib.metadata.version("packaging")})

    assert first == second != other
    assert (first / "six.py").is_file()
    assert [path.name for path in (tmp_path / "layers").iterdir() if "." in path.name] == []


def test_linking_takes_exactly_the_pinned_versions(tmp_path: Path) -> None:
    assert link_from_environment({"six": importlib.metadata.version("six")}, tmp_path / "a")
    assert not link_from_environment({"six": "0.1"}, tmp_path / "b")
    assert not link_from_environment({"not-installed-at-all": "1"}, tmp_path / "c")
    source = Path(sys.modules["six"].__file__ or "") if "six" in sys.modules else None
    if source is not None:
        assert (tmp_path / "a" / "six.py").read_bytes() == source.read_bytes()


def test_a_lock_skips_what_is_not_for_this_python() -> None:
    text = "six==1.17.0\nwinonly==1.0 ; sys_platform == 'never'\n# comment\nPyYAML==6.0.3 # why\n"

    assert parse_lock(text, "lock") == {"six": "1.17.0", "pyyaml": "6.0.3"}


@pytest.mark.parametrize("line", ["six>=1", "six", "six==1.*", "git+https://example.org/x", "six==1,!=2"])
def test_a_lock_takes_exact_pins_only(line: str) -> None:
    with pytest.raises(LayerNotMaterialisedError, match="line 2"):
        parse_lock(f"numpy==2.4.6\n{line}\n", "lock")
