"""The local cloud's process: ``python -m localcloud.server --port N --state-directory D --cache-directory C``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType

from localcloud.core import allocator
from localcloud.core.account import KINDS
from localcloud.core.activity import Activity
from localcloud.core.clock import Clock
from localcloud.core.context import CloudContext
from localcloud.core.credentials import ACCOUNT_ID, CONTROL_PATH, OPERATOR_FILE, REGION
from localcloud.core.http_server import HttpServer, PortTakenError, listen
from localcloud.core.processes import is_there
from localcloud.core.settings import Settings, SettingsError
from localcloud.daemon import CLOUD_FILE

log = logging.getLogger("localcloud.server")

SWITCH_INTERVAL_SECONDS = 0.001
"""Threads answer in milliseconds and compute in Python: the default of 5 ms would let each wait for the others."""

Stop = SimpleQueue[None]
"""What tells the main thread to stop. A signal may arrive while that thread looks at it, which an Event's lock does not
survive; this queue's ``put`` may interrupt its own ``get`` (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put)."""


COLD_STARTS = {"preload": [], "idle_minutes": 10, "freeze": True, "processor_share": True}
"""What `[lambda]` says where functions start, run and wait as on AWS, which names no time to wait: 5 to 15 minutes are
reported."""


def main(arguments: list[str] | None = None) -> int:
    """Run a local cloud until it is told to stop; the exit status."""
    started_from = os.getppid()
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    _set_environment(options.port, options.account_id, options.region)
    try:
        settings = _settings(options.settings)
        if options.cold_starts:
            settings = settings.but("lambda", COLD_STARTS)
        listener = listen(options.port)
    except (PortTakenError, SettingsError) as error:
        print(f"local cloud: {error}", file=sys.stderr)
        return 2
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    allocator.configure()
    activity = Activity()
    context = CloudContext(
        clock=Clock(activity, options.start),
        activity=activity,
        port=options.port,
        state_directory=options.state_directory.resolve(),
        cache_directory=options.cache_directory.resolve(),
        account_id=options.account_id,
        region=options.region,
        settings=settings,
        account=KINDS[options.account_kind],
        control_path=options.control_path,
        standing=options.standing,
    )
    for directory in (context.state_directory, context.cache_directory):
        directory.mkdir(parents=True, exist_ok=True)
    context.state_directory.chmod(0o700)  # the operator's credentials, events, job data: this user's alone
    stop: Stop = SimpleQueue()
    try:
        server = _build(context, listener, stop)
        server.start()
        context.operator.write(context.state_directory)
        _write_cloud_file(context)
        log.info("ready on %s", context.endpoint)
        _wait(stop, options.parent, started_from)
    finally:
        shut_down(context)
    return 0


def _build(context: CloudContext, listener: socket.socket, stop: Stop) -> HttpServer:
    from localcloud import hooks
    from localcloud.aws_api import AwsApi
    from localcloud.control import Control, MemoryWatch
    from localcloud.services.registry import services

    hooks.install(context)
    control = Control(context, MemoryWatch(hooks.memory_sources()), lambda: stop.put(None))
    api = AwsApi(control, context, services())
    return HttpServer(listener, api, name="aws-api")


def shut_down(context: CloudContext) -> None:
    """End all children and take the notice of this cloud away."""
    from localcloud import hooks
    from localcloud.iam import usage

    hooks.uninstall()
    usage.end(context)
    for name in (CLOUD_FILE, OPERATOR_FILE):
        (context.state_directory / name).unlink(missing_ok=True)


def _settings(file: Path | None) -> Settings:
    from localcloud.services.registry import services

    if file is None:
        return Settings()
    return Settings.read(file, frozenset(service.settings for service in services() if service.settings))


def _wait(stop: Stop, parent: int | None, started_from: int) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.put(None)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    while True:
        with contextlib.suppress(Empty):
            return stop.get(timeout=1.0)
        # The two are one, unless that other process has imported for this one. A process that has ended keeps its id
        # until somebody asks about it, but not its children.
        if parent is not None and (os.getppid() != started_from or not is_there(parent)):
            log.info("the process that started this cloud has ended")
            return None


def _write_cloud_file(context: CloudContext) -> None:
    notice = {
        "pid": os.getpid(),
        "endpoint": context.endpoint,
        "port": context.port,
        "region": context.region,
        "account": context.account_id,
        "control_path": context.control_path,
        "started": datetime.now(UTC).isoformat(),
        "clock": {"now": context.clock.now().isoformat(), "moved": context.clock.is_moved},
    }
    path = context.state_directory / CLOUD_FILE
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(notice, indent=2))
    partial.replace(path)


def _set_environment(port: int, account_id: str, region: str) -> None:
    """What moto, botocore and children read from the environment; before any of them is imported."""
    allocator.forget(os.environ)
    os.environ["MOTO_PORT"] = str(port)
    os.environ["MOTO_ACCOUNT_ID"] = account_id
    os.environ["AWS_DEFAULT_REGION"] = region
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    for variable in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        os.environ.pop(variable, None)
    for variable in ("NO_PROXY", "no_proxy"):
        os.environ[variable] = ",".join(filter(None, [os.environ.get(variable), "127.0.0.1,localhost"]))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localcloud.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the port of the AWS API, on 127.0.0.1")
    parser.add_argument("--state-directory", type=Path, required=True, help="used by this cloud only")
    parser.add_argument("--cache-directory", type=Path, required=True, help="where installed layers are kept")
    parser.add_argument("--settings", type=Path, help="a TOML file with what the services are told")
    parser.add_argument("--account-kind", choices=KINDS, default="established", help="the kind of account")
    parser.add_argument("--cold-starts", action="store_true", help="functions start as on AWS")
    parser.add_argument("--account-id", type=_account_id, default=ACCOUNT_ID, help="twelve digits")
    parser.add_argument("--region", type=_region, default=REGION, help="one of AWS's")
    parser.add_argument("--control-path", default=CONTROL_PATH, help="the path of the control endpoints")
    parser.add_argument("--start", type=_instant, help="the start of a moved clock; without it, real time")
    parser.add_argument("--standing", type=Path, help="where processes that have imported stand for several clouds")
    parser.add_argument("--parent", type=int, help="stop when this process ends, or the parent process")
    return parser.parse_args(arguments)


def _account_id(text: str) -> str:
    if re.fullmatch(r"\d{12}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an account id: give twelve digits")
    return text


def _region(text: str) -> str:
    import botocore.session

    known = botocore.session.get_session().get_available_regions("sts")
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is not a region; the regions are {', '.join(known)}")
    return text


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone: end it with Z or an offset")
    return at.astimezone(UTC)


if __name__ == "__main__":
    exit_status = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(exit_status)  # threads that wait for a client or for the clock have nothing left to do
