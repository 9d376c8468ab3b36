"""The ``localcloud`` command: bring an assembly up, point a shell at it, take it down."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import daemon
from localcloud.core.account import KINDS
from localcloud.core.credentials import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from localcloud.cloudformation.engine import DeployEvent

DEFAULT_PORT = 4599
STATE = Path(".localcloud")
OTHER_CREDENTIALS = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
"""Variables that would mix another account's credentials with the local cloud's."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    return int(options.command(options))


def _up(options: argparse.Namespace) -> int:
    from localcloud.cloudformation.exceptions import DeployError

    if options.assembly is not None and not (options.assembly / "manifest.json").is_file():
        return _fail(
            f"{options.assembly} is not a cloud assembly (it has no manifest.json)",
            "give the folder that `cdk synth` wrote, or none: then use `cdk deploy`",
        )
    cache = options.cache or options.state / "cache"
    running = daemon.find(options.state)
    was_running = running is not None
    if running is None:
        _remove_what_is_left(options.state, cache)
    try:
        running = running or daemon.start(
            options.port,
            options.state,
            cache,
            settings=options.settings,
            account_kind=options.account_kind,
            cold_starts=options.cold_starts,
            account_id=options.account_id,
            region=options.region,
        )
        outputs = _deploy(running, options) if options.assembly is not None else {}
    except daemon.CloudNotStartedError as error:
        return _fail(str(error), "fix the error in the log; if the port is in use, choose another with --port N")
    except DeployError as error:
        if running is not None and not was_running:
            running.stop()
        return _fail(str(error), "fix what the error names in the app, synthesize, and repeat this command")
    for stack, values in outputs.items():
        for name, value in values.items():
            print(f"{stack}.{name} = {value}")
    if outputs:
        _say_where_apis_are(running)
    print(f"the local cloud answers at {running.endpoint}; to point a shell at it, type")
    print(f'  eval "$(localcloud env --state {shlex.quote(str(options.state))})"')
    return 0


def _remove_what_is_left(state: Path, cache: Path) -> None:
    """Remove what a cloud that is gone has left, but for its cache: its stacks are nowhere any more.

    A directory without a cloud's log is none of a cloud's, and is left alone.
    """
    if not (state / daemon.LOG_FILE).is_file():
        return
    for path in state.iterdir():
        if cache.resolve() in (path.resolve(), *path.resolve().parents) or path.resolve() in cache.resolve().parents:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _deploy(running: daemon.RunningCloud, options: argparse.Namespace) -> Any:
    from localcloud.deploy import deploy_assembly

    return deploy_assembly(options.assembly, _clients(running), options.state / "stacks", _say).outputs


def _say_where_apis_are(running: daemon.RunningCloud) -> None:
    """An API has another address than on AWS; of REST APIs, no answer but a header says which."""
    clients = _clients(running)
    apis = [
        (api["Name"], api["ApiId"], api["ApiEndpoint"])
        for page in clients("apigatewayv2").get_paginator("get_apis").paginate()
        for api in page["Items"]
    ]
    rest = clients("apigateway")
    for page in rest.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            headers = rest.get_rest_api(restApiId=api["id"])["ResponseMetadata"]["HTTPHeaders"]
            apis.append((api["name"], api["id"], headers["x-localcloud-endpoint"]))
    for name, identifier, endpoint in apis:
        print(f"{name}: https://{identifier}.execute-api.{running.region}.amazonaws.com is {endpoint} here")


def _destroy(options: argparse.Namespace) -> int:
    from localcloud.cloudformation.exceptions import DeployError
    from localcloud.deploy import destroy_stack, destroy_stacks

    running = daemon.find(options.state)
    if running is None:
        return _fail(f"no local cloud runs on {options.state}", "start it with `localcloud up`")
    clients, stacks = _clients(running), options.state / "stacks"
    gone = options.stack
    try:
        if gone:
            for stack in gone:
                destroy_stack(stack, clients, stacks, _say)
        else:
            gone = destroy_stacks(clients, stacks, _say)
    except DeployError as error:
        return _fail(str(error), "fix what the error names, and repeat this command; deleted stacks stay deleted")
    print(f"deleted: {', '.join(gone)}" if gone else "no stack was deployed")
    return 0


def _clients(running: daemon.RunningCloud) -> Callable[[str], Any]:
    import boto3

    arguments = running.operator.client_arguments()
    return partial(boto3.client, region_name=running.region, endpoint_url=running.endpoint, **arguments)


def _say(event: DeployEvent) -> None:
    if event.logical_id:
        print(f"{event.stack}: {event.action} {event.logical_id} ({event.type})", file=sys.stderr)


def _env(options: argparse.Namespace) -> int:
    running = daemon.find(options.state)
    if running is None:
        return _fail(f"no local cloud runs on {options.state}", "start it with `localcloud up ASSEMBLY`")
    for name, value in running.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"unset {' '.join(OTHER_CREDENTIALS)}")
    return 0


def _down(options: argparse.Namespace) -> int:
    running = daemon.find(options.state)
    if running is not None:
        running.stop()
    print("the local cloud has stopped" if running else f"no local cloud was running on {options.state}")
    return 0


def _fail(what: str, remedy: str) -> int:
    print(f"localcloud: {what}\n{remedy}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localcloud", description="Runs an AWS assembly on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="deploy an assembly into the running local cloud, or into a new one")
    up.add_argument(
        "assembly",
        type=Path,
        nargs="?",
        help="the folder that `cdk synth` wrote (cdk.out); without it the cloud starts empty, for `cdk deploy`",
    )
    up.add_argument("--port", type=int, default=DEFAULT_PORT, help="the port of its AWS API (%(default)s)")
    up.add_argument(
        "--cache", type=Path, help=("where installed layers are kept when a cloud ends (in the state directory)")
    )
    up.add_argument("--settings", type=Path, help="a TOML file with settings of the services")
    up.add_argument("--account-kind", choices=KINDS, default="established", help="the kind of account (%(default)s)")
    up.add_argument(
        "--cold-starts", action="store_true", help="functions start as often as on AWS, and import all by themselves"
    )
    up.add_argument("--account-id", default=ACCOUNT_ID, help="the account id: twelve digits (%(default)s)")
    up.add_argument("--region", default=REGION, help="the region (%(default)s)")
    up.set_defaults(command=_up)
    env = commands.add_parser("env", help="print the shell commands that point every AWS tool at it")
    env.set_defaults(command=_env)
    destroy = commands.add_parser("destroy", help="delete stacks, each after the stacks that import from it")
    destroy.add_argument(
        "stack", nargs="*", help=("the stacks, in this order; without any, all except the CDK's bootstrap")
    )
    destroy.set_defaults(command=_destroy)
    down = commands.add_parser("down", help="stop it; nothing is kept")
    down.set_defaults(command=_down)
    for command in (up, env, destroy, down):
        command.add_argument("--state", type=Path, default=STATE, help="its state directory (%(default)s)")
    return parser
