"""The commands do not know whether they talk to AWS or to a local cloud, nor does what they call."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.core.credentials import ACCOUNT_ID

ROOT = Path(__file__).parents[2]
KNOWS_THE_LOCAL_CLOUD = {
    "cli/commands/local.py",
    "cli/commands/replay.py",
    "cli/operations/assembly_cache.py",
    "cli/operations/jobs_here.py",
    "cli/operations/local_cloud.py",
    "cli/replay/run.py",
}
"""What starts a local cloud, or jobs on this machine. Everything else works on any account."""

FILES = sorted(str(p.relative_to(ROOT)) for room in ("cli", "everloop") for p in (ROOT / room).rglob("*.py"))

LOCAL_PACKAGES = {"localcloud", "moto"}
LOCAL_MODULES = {
    "everloop.cli.operations.local_cloud",
    "everloop.cli.commands.local",
}
LOCAL_MODULES |= {"everloop.cli.commands.replay"}
ALLOWED = {
    "cli/commands/serve.py": ["holds '127.0.0.1'"],
    "everloop/server/container.py": ["reads .environ"],
    "cli/operations/reproduce.py": ["reads .environ", "reads .environ"],
    "everloop/aws/transport.py": [
        "holds 'amazonaws.com.cn'",
        "holds 'amazonaws.com'",
        "holds 'AWS_ENDPOINT_URL'",
        "holds 'AWS_ENDPOINT_URL_'",
    ],
}
"""What serves people on this machine, and where; what a container is told of its version; what runs a training again
with four variables of this machine and no others; and what stands in for the SDK, so it finds services as it does."""

READABLE_VARIABLES = {"AWS_REGION", "COLUMNS", "EVERLOOP_TOKEN", "MPLCONFIGDIR", "ORT_DISABLE_TELEMETRY"}
"""What a command may ask the environment itself; boto3 reads the rest of AWS's, and does not tell."""

ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
TELLING_NAMES = {"endpoint_url", "_endpoint", "is_local", *ENVIRONMENT}
"""Attributes, keywords and the like that tell where the account is."""

TELLING_VARIABLE = re.compile(r"AWS_(ENDPOINT_URL\w*|IGNORE_CONFIGURED_ENDPOINT_URLS)")
TELLING_WORD = re.compile(
    rf"127\.0\.0\.1|\b(localhost|moto|amazonaws|{ACCOUNT_ID}|operator\.json)\b|\bAKIALOCAL"
    r"|0\.0\.0\.0|/_localcloud/|^::1$"
)
"""In a text: what only one of the two clouds has. `AWS_ENDPOINT_URL` is one only as a whole: messages may name it."""


def signs_of_knowing(text: str) -> list[str]:
    """The places of a module that could tell a local cloud from AWS, each as a line number and what is there."""
    nodes = list(ast.walk(ast.parse(text)))
    allowed = {id(node) for found in nodes for node in _allowed_reading(found)}
    return [
        f"line {getattr(node, 'lineno', None)}: {sign}"
        for node in nodes
        if id(node) not in allowed
        for sign in _signs(node)
    ]


def _signs(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.level:
        yield "imports relatively, which does not say from where"
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (f"imports {name}" for name in _imported(node) if _is_local_module(name) or name in ENVIRONMENT)
    elif isinstance(node, ast.Attribute) and node.attr in TELLING_NAMES:
        yield f"reads .{node.attr}"
    elif isinstance(node, ast.Name) and node.id in TELLING_NAMES:
        yield f"reads {node.id}"
    elif isinstance(node, (ast.keyword, ast.arg)) and node.arg in TELLING_NAMES:
        yield f"takes {node.arg}"
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in TELLING_NAMES:
        yield f"defines {node.name}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        value = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
        if value in TELLING_NAMES or TELLING_VARIABLE.fullmatch(value) or TELLING_WORD.search(value):
            yield f"holds {value!r}"
        elif _is_local_module(value) and value not in LOCAL_PACKAGES:
            yield f"holds the module's name {value!r}"
    elif isinstance(node, ast.Call) and _called(node) in {"__import__", "import_module"}:
        names = [a.value for a in node.args if isinstance(a, ast.Constant)]
        yield from (f"imports {name}" for name in names if name in LOCAL_PACKAGES)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Each module that a statement may import: of ``from a import b`` it may be ``a.b`` too, or a name of ``a``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    yield node.module or ""
    for alias in node.names:
        yield f"{node.module or ''}.{alias.name}"
        if node.module == "os":
            yield alias.name


def _is_local_module(name: str) -> bool:
    in_package = re.fullmatch(r"\w+(\.\w+)*", name) is not None and name.split(".")[0] in LOCAL_PACKAGES
    return in_package or any(f"{name}.".startswith(f"{module}.") for module in LOCAL_MODULES)


def _allowed_reading(node: ast.AST) -> Iterator[ast.AST]:
    """The ``os.environ`` of ``os.environ.get(name)`` and its like, where the name is written out and an allowed one."""
    if isinstance(node, ast.Call) and _called(node) in {"get", "setdefault"} and node.args:
        holder, name = getattr(node.func, "value", node.func), node.args[0]
    elif isinstance(node, ast.Subscript):
        holder, name = node.value, node.slice
    else:
        return
    if isinstance(name, ast.Constant) and name.value in READABLE_VARIABLES:
        yield holder


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@pytest.mark.parametrize("file", [f for f in FILES if f not in KNOWS_THE_LOCAL_CLOUD])
def test_nothing_behind_the_commands_can_tell_where_the_account_is(file: str) -> None:
    found = signs_of_knowing((ROOT / file).read_text(encoding="utf-8"))
    assert [sign.partition(": ")[2] for sign in found] == ALLOWED.get(file, [])


def test_what_starts_a_local_cloud_is_there_and_would_be_refused() -> None:
    for file in KNOWS_THE_LOCAL_CLOUD:
        assert signs_of_knowing((ROOT / file).read_text(encoding="utf-8")), f"{file} needs no exception any more"


@pytest.mark.parametrize(
    "line",
    [
        'def poll(): return 0.05 if os.environ.get("AWS_ENDPOINT_URL") else 5.0',
        'url = os.environ["AWS_ENDPOINT_URL_S3"]',
        'name = "AWS_ENDPOINT_URL"',
        'name = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"',
        'here = "AWS_ENDPOINT_URL" in os.environ',
        'url = os.getenv("AWS_ENDPOINT" + "_URL")',
        'url = os.environ.get("AWS_" + "ENDPOINT_URL")',
        'url = os.environ.get(f"AWS_{what}")',
        "everything = dict(os.environ)",
        'mode = os.environ.get("EVERLOOP_MODE")',
        "from os import environ as surroundings",
        "from os import getenv",
        'surroundings = getattr(os, "environ")',
        "import localcloud",
        "import localcloud.daemon as cloud",
        "from localcloud import daemon",
        "from localcloud.core.context import REGION",
        "import moto",
        "def late():\n    from moto import mock_aws",
        "from everloop.cli.operations import local_cloud",
        "from everloop.cli.operations.local_cloud import STATE",
        "from . import local_cloud",
        "from .local_cloud import STATE",
        "import everloop.cli.commands.local",
        'cloud = __import__("localcloud")',
        'daemon = importlib.import_module("localcloud.daemon")',
        'cloud = importlib.import_module("everloop.cli.operations.local_cloud")',
        'here = "localhost" in url',
        'here = url.startswith("http://127.0.0.1:")',
        'here = host == "::1"',
        'here = f"http://localhost:{port}" == url',
        'here = b"127.0.0.1" in peer',
        'here = "moto" in server',
        'there = url.endswith(".amazonaws.com")',
        'here = arn.split(":")[4] == "123456789012"',
        'here = credentials.access_key == "AKIALOCALABCDEFGHIJK"',
        'here = (state / "operator.json").exists()',
        'clock = get(base + "/_localcloud/clock")',
        'client = session.client("s3", endpoint_url=url)',
        "here = client.meta.endpoint_url",
        'here = getattr(client.meta, "endpoint_url")',
        "here = client._endpoint.host",
        "def ask(endpoint_url): ...",
        "if account.is_local: ...",
        "def is_local(): ...",
    ],
)
def test_the_check_refuses_what_could_tell(line: str) -> None:
    assert signs_of_knowing(line)


@pytest.mark.parametrize(
    "line",
    [
        'region = os.environ.get("AWS_REGION") or None',
        'region = os.environ["AWS_REGION"]',
        'raise CommandError("not reached", "check AWS_ENDPOINT_URL; `everloop local up` starts a local cloud")',
        "url = platform.api_endpoint",
        'COMMANDS = {"local": "everloop.cli.commands.local:local"}',
        'words = ["local", "motor", "environment"]',
        "from everloop.environment import Settings",
        "from os import path",
    ],
)
def test_the_check_lets_pass_what_could_not(line: str) -> None:
    assert signs_of_knowing(line) == []


FOR_AN_ACCOUNT = [
    "preflight",
    "restore",
    "remove",
    "train",
    "status",
    "trace",
    "runs",
    "rollout",
    "retraining",
    "audit",
    "predict",
]
READ_ROWS = ["data", "labels"]
FOR_A_LOCAL_CLOUD = {"localcloud", "moto", "duckdb", "flask", "aws_cdk", "matplotlib", "sklearn", "onnxruntime"}
FOR_ROWS = {"pandas", "pyarrow", "scipy"}
LOADED = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def loaded_by(*lines: str) -> list[set[str]]:
    """The packages that a process of its own has imported after each of the lines of code."""
    program = "\n".join(["import json, sys", *(f"{line}\n{LOADED}" for line in lines)])
    ran = subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True, text=True)
    return [set(json.loads(line)) for line in ran.stdout.splitlines() if line.startswith("[")]


def loaded_by_typing(*words: str) -> set[str]:
    """The packages that a command has imported when it has ended."""
    lines = [f"sys.argv[1:] = {list(words)}", "from everloop.cli.main import main"]
    (found,) = loaded_by("\n".join([*lines, "try: main()", "except SystemExit: pass"]))
    return found


def test_the_commands_for_an_account_load_no_more_than_they_need() -> None:
    """Nothing of the local cloud; what reads rows where they are read; and boto3 when the account is asked."""
    commands = [*FOR_AN_ACCOUNT, "check", "calibration", *READ_ROWS]
    begin = "from everloop.cli.main import everloop"
    _, *loaded = loaded_by(begin, *(f"assert everloop.get_command(None, {name!r})" for name in commands))
    for command, found in zip(commands, loaded, strict=True):
        unwanted = FOR_A_LOCAL_CLOUD | {"boto3"}
        unwanted |= set() if command in READ_ROWS else FOR_ROWS
        unwanted |= {"numpy", "pydantic"} if command in FOR_AN_ACCOUNT else set()
        assert not found & unwanted, command


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status", "--help"], ["no-such-command"]], ids=" ".join)
def test_what_asks_nobody_loads_no_client_and_no_declaration(words: list[str]) -> None:
    found = loaded_by_typing(*words)
    assert not found & (FOR_A_LOCAL_CLOUD | FOR_ROWS | {"boto3", "numpy", "pydantic", "yaml"})


def test_a_check_of_declarations_loads_no_client_and_no_rows() -> None:
    found = loaded_by_typing("check", "--no-sample")
    assert not found & (FOR_A_LOCAL_CLOUD | FOR_ROWS | {"boto3"})
